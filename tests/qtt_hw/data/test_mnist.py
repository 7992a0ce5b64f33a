import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.data import load
from qtt_hw.data.mnist import FILES, read_idx

needs_data = pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")
RNG = np.random.default_rng(0)
X = {part: RNG.integers(0, 256, size=(count, 5, 4), dtype=np.uint8) for part, count in (("train", 60), ("test", 30))}
Y = {part: (np.arange(len(x)) % 3).astype(np.uint8) for part, x in X.items()}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, *, zipped: bool) -> Path:
    folder.mkdir(exist_ok=True)
    for part, names in FILES.items():
        for name, array in zip(names, (X[part], Y[part]), strict=True):
            (folder / name).unlink(missing_ok=True)
            content = idx(array)
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("zipped", [True, False])
def test_four_files(tmp_path: Path, zipped: bool) -> None:
    splits = load(write(tmp_path / "digits", zipped=zipped), validation=6)
    assert splits.name == "digits" and splits.labels == ("0", "1", "2")
    assert splits.test.x.shape == (30, 1, 5, 4, 1)
    assert np.array_equal(splits.test.x[:, 0, :, :, 0], X["test"]) and np.array_equal(splits.test.y, Y["test"])
    assert [len(splits[name]) for name in ("train", "validation")] == [54, 6]
    assert np.bincount(splits.validation.y).tolist() == [2, 2, 2]
    both = sorted(volume.tobytes() for name in ("train", "validation") for volume in splits[name].x)
    assert both == sorted(image.tobytes() for image in X["train"])


IMAGES = idx(X["train"])


@pytest.mark.parametrize(
    "content, message",
    [
        (IMAGES[:-1], r"cut short: 1199 bytes after the header, the shape \[60, 5, 4\] wants 1200"),
        (IMAGES + b"\0", "too long: more than 1200 bytes after the header"),
        (IMAGES[:15], "cut short: 15 bytes, less than the header"),
        (b"", "cut short: 0 bytes, less than the header"),
        (idx(Y["train"]) + bytes(8), r"magic number 2049, expected 2051: an idx file of images as bytes"),
        (struct.pack("<4I", 2051, 60, 5, 4) + bytes(1200), "magic number 50855936, expected 2051"),
        (struct.pack(">4I", 2051, 0, 5, 4), r"states the shape \[0, 5, 4\], expected sizes above 0"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes, message: str, zipped: bool) -> None:
    write(tmp_path, zipped=zipped)
    path = tmp_path / f"{FILES['train'][0]}{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(ValueError, match=message) as error:
        load(tmp_path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_a_damaged_gzip_stream(tmp_path: Path) -> None:
    write(tmp_path, zipped=True)
    path = tmp_path / f"{FILES['test'][0]}.gz"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content, message in (
        (whole[:-20], "cut short: its gzip stream of"),
        (b"junk" + whole, "not a whole gzip file: Not a gzipped file"),
        (bytes(flipped), "not a whole gzip file"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as error:
            load(tmp_path)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    images, labels = (tmp_path / name for name in FILES["train"])
    write(tmp_path, zipped=False)
    labels.write_bytes(idx(Y["train"][:59]))
    with pytest.raises(ValueError, match=f"{labels}: 59 labels for the 60 images of {images.name}"):
        load(tmp_path)
    labels.write_bytes(idx(np.zeros(60, np.uint8)))
    with pytest.raises(ValueError, match="test label 2, but training labels are 0 to 0"):
        load(tmp_path)
    write(tmp_path, zipped=False)
    images.write_bytes(idx(X["train"][:, :4]))
    with pytest.raises(ValueError, match=r"test images of \[5, 4\], training of \[4, 4\]"):
        load(tmp_path)
    images.unlink()
    with pytest.raises(ValueError, match=f"{tmp_path}: has no {images.name} or {images.name}.gz"):
        load(tmp_path)
    with pytest.raises(ValueError, match="takes no option fold"):
        load(tmp_path, fold=1)


@needs_data
def test_the_published_set() -> None:
    splits = load("mnist")
    assert splits.name == "mnist" and splits.labels == tuple("0123456789")
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [55_000, 5_000, 10_000]
    assert splits.train.sample_shape == (1, 28, 28, 1)
    counts = np.bincount(splits.train.y) + np.bincount(splits.validation.y)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.abs(np.bincount(splits.validation.y) - counts / 12).max() < 1
    assert splits.test.y[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert round(float(splits.test.x.mean() / 255), 4) == 0.1325
    assert read_idx(Path(os.environ["QTT_DATA"]) / "mnist" / f"{FILES['test'][1]}.gz", 1)[0] == 7


@pytest.mark.parametrize("zipped", [True, False])
def test_a_header_that_states_too_much_is_refused_at_once(tmp_path: Path, zipped: bool) -> None:
    write(tmp_path, zipped=zipped)
    path = tmp_path / f"{FILES['train'][0]}{'.gz' if zipped else ''}"
    header = struct.pack(">4I", 2051, 2**31, 2**31, 2**31)
    path.write_bytes(gzip.compress(header) if zipped else header)
    with pytest.raises(ValueError, match="would unpack to" if zipped else "cut short: 0 bytes after the header"):
        load(tmp_path)


def test_one_class_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    write(tmp_path, zipped=False)
    for part in FILES:
        (tmp_path / FILES[part][1]).write_bytes(idx(np.zeros_like(Y[part])))
    with pytest.raises(ValueError, match="all its samples are of one class, 0"):
        load(tmp_path, validation=6)


def test_labels_with_a_gap_are_damaged(tmp_path: Path) -> None:
    folder = write(tmp_path / "digits", zipped=False)
    labels = Y["train"].copy()
    labels[7] = 255
    (folder / FILES["train"][1]).write_bytes(idx(labels))
    with pytest.raises(ValueError, match="digits: training labels reach 255, but none is 3; a file is damaged"):
        load(folder, validation=6)
