import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from qtt_hw.data import cifar, load
from qtt_hw.data.cifar import CIFAR10, CIFAR100, JPEG_FILES, Layout

needs_data = pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")
RNG = np.random.default_rng(0)
COUNT = 20


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Layout]:
    """The two layouts with files of 20 images."""

    def shortened(layout: Layout) -> Layout:
        train, test = (tuple((name, COUNT) for name, _ in files) for files in (layout.train, layout.test))
        return dataclasses.replace(layout, train=train, test=test)

    found = {name: shortened(getattr(cifar, name)) for name in ("CIFAR10", "CIFAR100")}
    for name, layout in found.items():
        monkeypatch.setattr(cifar, name, layout)
    return found


def write_batches(folder: Path, layout: Layout) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Random images [20, 32, 32, 3] and classes by file, as they were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in layout.files:
        x = RNG.integers(0, 256, size=(COUNT, 32, 32, 3), dtype=np.uint8)
        y = (np.arange(COUNT) % 10).astype(np.uint8)
        marks = [np.full((COUNT, 1), 7, np.uint8)] * (layout.label_bytes - 1)
        np.concatenate([*marks, y[:, None], x.transpose(0, 3, 1, 2).reshape(COUNT, -1)], axis=1).tofile(folder / name)
        written[name] = x, y
    return written


@pytest.mark.parametrize("name, archive", [("CIFAR10", False), ("CIFAR10", True), ("CIFAR100", True)])
def test_binary_batches(tmp_path: Path, small: dict[str, Layout], name: str, archive: bool) -> None:
    layout = small[name]
    written = write_batches(tmp_path / layout.archive if archive else tmp_path, layout)
    splits = load(tmp_path, validation=0.2)
    assert splits.name == layout.name and splits.labels == layout.labels
    x, y = written[layout.test[0][0]]
    assert np.array_equal(splits.test.x[:, 0], x) and np.array_equal(splits.test.y, y)
    assert len(splits.train) + len(splits.validation) == COUNT * len(layout.train)
    both = sorted(image.tobytes() for part in ("train", "validation") for image in splits[part].x)
    assert both == sorted(image.tobytes() for file, _ in layout.train for image in written[file][0])


def test_wrong_batches(tmp_path: Path, small: dict[str, Layout]) -> None:
    layout = small["CIFAR10"]
    write_batches(tmp_path, layout)
    path = tmp_path / "data_batch_3.bin"
    whole = path.read_bytes()
    for content, message in (
        # A whole number of images is cut short as well.
        (whole[: 19 * 3073], "cut short: 58387 bytes, 20 images of 3073 bytes are 61460"),
        (whole + b"\0", "too long: 61461 bytes"),
        (b"\x0a" + whole[1:], "label 10, expected 0 to 9"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{path}: {message}"):
            load(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=f"^{path}: no such file; cifar10 in binary is data_batch_1.bin, "):
        load(tmp_path)


def test_the_archives_own_names(tmp_path: Path, small: dict[str, Layout]) -> None:
    write_batches(tmp_path, small["CIFAR100"])
    names = tuple(f"name{index}" for index in range(100))
    path = tmp_path / "fine_label_names.txt"
    path.write_text("\n".join(names) + "\n")
    assert load(tmp_path, validation=0.2).labels == names
    path.write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=f"^{path}: 2 names, expected 100"):
        load(tmp_path)


def test_files_of_10_000_images() -> None:
    """The sizes that the sets are published with."""
    assert {count * (1 + cifar.PIXELS) for _, count in (*CIFAR10.train, *CIFAR10.test)} == {30_730_000}
    assert [count * (2 + cifar.PIXELS) for _, count in (*CIFAR100.train, *CIFAR100.test)] == [153_700_000, 30_740_000]


def write_jpegs(path: Path, count: int, **changes: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Smooth images as JPEG streams; what the file holds, and the images [N, 32, 32, 3]."""
    ramp = np.linspace(0, 200, 32)
    images = np.stack(
        [
            np.stack([ramp[:, None] + n + 0 * ramp, 0 * ramp[:, None] + ramp, np.full((32, 32), 9 * n)], -1)
            for n in range(count)
        ]
    ).astype(np.uint8)
    streams = [cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].ravel() for image in images]
    arrays = {
        "jpeg": np.concatenate(streams),
        "offset": np.cumsum([0, *map(len, streams)]),
        "y": (np.arange(count) % 2).astype(np.uint8),
        "classes": np.array(["cat", "dog"]),
    } | changes
    np.savez(path, **arrays)
    return arrays, images


def test_jpegs_decoded_once_in_rgb(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jpegs(tmp_path / JPEG_FILES["train"], 20)
    _, images = write_jpegs(tmp_path / JPEG_FILES["test"], 10)
    splits = load(tmp_path, validation=4)
    assert splits.name == "cifar10" and splits.labels == ("cat", "dog")
    assert splits.test.x.shape == (10, 1, 32, 32, 3) and splits.test.y.tolist() == [0, 1] * 5
    assert np.abs(splits.test.x[:, 0].astype(int) - images).mean() < 2
    assert [len(splits[name]) for name in ("train", "validation")] == [16, 4]
    assert len(list(cache.iterdir())) == 2
    monkeypatch.setattr(cv2, "imdecode", None)
    assert load(tmp_path, validation=4).train.digest == splits.train.digest


def test_wrong_jpegs(tmp_path: Path) -> None:
    train, test = (tmp_path / name for name in JPEG_FILES.values())
    arrays, _ = write_jpegs(train, 20)
    with pytest.raises(ValueError, match=f"^{test}: no such file; CIFAR-10 in JPEG is {train.name} and {test.name}"):
        load(tmp_path)
    write_jpegs(test, 10)
    offset, jpeg = arrays["offset"], arrays["jpeg"]
    cut, damaged = jpeg.copy(), jpeg.copy()
    cut[offset[4] - 2] = 0
    damaged[offset[7] + 2 : offset[8] - 2] = 0
    larger = cv2.imencode(".jpg", np.zeros((40, 32, 3), np.uint8))[1].ravel()
    for changes, message in (
        ({"jpeg": cut}, "image 3 is no whole JPEG of 32 x 32 pixels"),
        ({"jpeg": damaged}, "image 7 is no whole JPEG of 32 x 32 pixels"),
        (
            {"jpeg": larger, "offset": np.array([0, len(larger)]), "y": arrays["y"][:1]},
            "image 0 is no whole JPEG of 32 x 32 pixels",
        ),
        ({"jpeg": jpeg[:-5]}, r"jpeg is uint8 \[\d+\], the offsets want uint8"),
        ({"offset": offset[::-1]}, r"expected rising offsets \[N \+ 1\]"),
        ({"offset": offset[:-1]}, r"expected rising offsets \[N \+ 1\]"),
        ({"y": arrays["y"] + 1}, "y: classes 1 to 2, expected 0 to 1"),
        ({"classes": np.array(["a", "b"])}, "its two files name different classes"),
    ):
        write_jpegs(train, 20, **changes)
        with pytest.raises(ValueError, match=message) as error:
            load(tmp_path)
        assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)
    np.savez(train, **{key: value for key, value in arrays.items() if key != "offset"})
    with pytest.raises(ValueError, match=f"^{train}: has no offset"):
        load(tmp_path)


@needs_data
def test_the_published_set() -> None:
    splits = load("cifar10")
    assert splits.name == "cifar10" and splits.labels == CIFAR10.labels
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [45_000, 5_000, 10_000]
    assert splits.train.sample_shape == (1, 32, 32, 3)
    assert np.bincount(splits.validation.y).tolist() == [500] * 10
    assert np.bincount(splits.test.y).tolist() == [1_000] * 10
    means = (splits.train.x.mean((0, 1, 2, 3)) * 0.9 + splits.validation.x.mean((0, 1, 2, 3)) * 0.1) / 255
    assert means.round(4).tolist() == [0.4913, 0.4821, 0.4465]
