"""CIFAR-10 and CIFAR-100: the official binary batches, and CIFAR-10 as JPEG streams in two npz files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.arrays import Raw
from qtt_hw.data.labels import class_indices, class_names
from qtt_hw.data.npz import read_npz
from qtt_hw.data.options import require
from qtt_hw.data.prepare import Unusable, prepare
from qtt_hw.data.samples import Samples

__all__ = ["CIFAR10", "CIFAR100", "JPEG_FILES", "Layout", "cifar_folder", "load_cifar", "read_jpegs"]

#: Rows and columns of an image, and its channels.
EDGE, CHANNELS = 32, 3
PIXELS = EDGE * EDGE * CHANNELS

#: CIFAR-10 in JPEG: the streams of all images joined (`jpeg`), where each begins and ends (`offset`), `y`, `classes`.
JPEG_FILES = {"train": "cifar10_train_jpeg.npz", "test": "cifar10_test_jpeg.npz"}


@dataclass(frozen=True)
class Layout:
    """Binary batches: files with their numbers of images, each image after label bytes of which the last one counts."""

    name: str
    archive: str
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]
    label_bytes: int
    names: str
    labels: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(name for name, _ in (*self.train, *self.test))


CIFAR10 = Layout(
    "cifar10",
    "cifar-10-batches-bin",
    tuple((f"data_batch_{number}.bin", 10_000) for number in range(1, 6)),
    (("test_batch.bin", 10_000),),
    1,
    "batches.meta.txt",
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
CIFAR100 = Layout(
    "cifar100",
    "cifar-100-binary",
    (("train.bin", 50_000),),
    (("test.bin", 10_000),),
    2,
    "fine_label_names.txt",
    tuple(str(index) for index in range(100)),
)


def cifar_folder(folder: Path) -> tuple[Path, Layout | None] | None:
    """The folder that holds the images, this one or the archive's own in it, and its layout; None where none does.

    The layout is None for JPEG.
    """
    if any((folder / name).is_file() for name in JPEG_FILES.values()):
        return folder, None
    for layout in (CIFAR10, CIFAR100):
        for place in (folder, folder / layout.archive):
            if any((place / name).is_file() for name in layout.files):
                return place, layout
    return None


def load_cifar(folder: Path, layout: Layout | None) -> Raw:
    """Images uint8 [N, 1, 32, 32, 3] in RGB of the official training and test set.

    Parameters
    ----------
    folder : Path
    layout : Layout, optional
        Of binary batches; JPEG without.

    Raises
    ------
    ValueError
        One line that names the file, and of JPEG the image.
    """
    if layout is None:
        return _load_jpegs(folder)
    labels = _label_names(folder / layout.names, layout)
    train, test = (_read_batches(folder, files, layout) for files in (layout.train, layout.test))
    read = f"binary batches uint8 [{len(train)}, {CHANNELS}, {EDGE}, {EDGE}] as N, C, H, W"
    return Raw(train, test, labels, read=read)


def _label_names(path: Path, layout: Layout) -> tuple[str, ...]:
    """The class names of the archive's own file, or the known ones where it is not there."""
    if not path.is_file():
        return layout.labels
    names = tuple(path.read_text(encoding="utf-8").split())
    if len(names) != len(layout.labels):
        raise ValueError(f"{path}: {len(names)} names, expected {len(layout.labels)}, one a line")
    return names


def _read_batches(folder: Path, files: Sequence[tuple[str, int]], layout: Layout) -> Samples:
    x = np.empty((sum(count for _, count in files), 1, EDGE, EDGE, CHANNELS), dtype=np.uint8)
    y = np.empty(len(x), dtype=np.int64)
    start = 0
    record = layout.label_bytes + PIXELS
    for name, count in files:
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path}: no such file; {layout.name} in binary is {', '.join(layout.files)}")
        size = path.stat().st_size
        if size != count * record:
            fault = "cut short" if size < count * record else "too long"
            raise ValueError(f"{path}: {fault}: {size} bytes, {count} images of {record} bytes are {count * record}")
        rows = np.fromfile(path, dtype=np.uint8).reshape(count, record)
        part = slice(start, start + count)
        y[part] = rows[:, layout.label_bytes - 1]
        if y[part].max() >= len(layout.labels):
            raise ValueError(f"{path}: label {y[part].max()}, expected 0 to {len(layout.labels) - 1}")
        # Stored plane after plane.
        x[part, 0] = rows[:, layout.label_bytes :].reshape(count, CHANNELS, EDGE, EDGE).transpose(0, 2, 3, 1)
        start += count
    return Samples(x, y)


def _load_jpegs(folder: Path) -> Raw:
    require("cv2", "decoding JPEG")
    paths = [folder / name for name in JPEG_FILES.values()]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path}: no such file; CIFAR-10 in JPEG is {' and '.join(JPEG_FILES.values())}")
    (train, labels), (test, others) = map(_load_jpegs_of, paths)
    if labels != others:
        raise ValueError(f"{folder}: its two files name different classes")
    return Raw(train, test, labels, read=f"{len(train)} JPEG images of {EDGE} x {EDGE} pixels in RGB")


def _load_jpegs_of(path: Path) -> tuple[Samples, tuple[str, ...]]:
    offset, y, labels = _index(path)
    shape = (len(y), EDGE, EDGE, CHANNELS)
    decoded = prepare(path.parent, [path], shape, {"kind": "jpeg"}, lambda file: read_jpegs(file, offset))
    return Samples(decoded.x[0][:, None], y), labels


def _index(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    """Where streams begin and end [N + 1], classes [N], and class names, checked."""
    arrays = read_npz(path, ("offset", "y", "classes"))
    offset, y = arrays["offset"].astype(np.int64), arrays["y"]
    labels = class_names(arrays["classes"], f"{path}: classes")
    if y.ndim != 1 or not len(y) or offset.shape != (len(y) + 1,) or offset[0] < 0 or (np.diff(offset) < 4).any():
        raise ValueError(f"{path}: expected rising offsets [N + 1] of N streams and classes y [N]")
    return offset, class_indices(y, len(y), labels, f"{path}: y"), labels


def read_jpegs(path: Path, offset: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Images uint8 [N, 32, 32, 3] in RGB of the joined streams in an npz file.

    Raises
    ------
    Unusable
        One line that names the file and the image.
    """
    cv2 = require("cv2", "decoding JPEG")
    jpeg = read_npz(path, ("jpeg",))["jpeg"]
    if jpeg.dtype != np.uint8 or jpeg.ndim != 1 or offset[-1] != len(jpeg):
        raise Unusable(f"{path}: jpeg is {jpeg.dtype} {list(jpeg.shape)}, the offsets want uint8 [{offset[-1]}]")
    # Decoders fill up what is missing at the end with grey: a whole stream begins and ends with its markers.
    ends = np.stack([jpeg[offset[:-1]], jpeg[offset[:-1] + 1], jpeg[offset[1:] - 2], jpeg[offset[1:] - 1]], axis=1)
    whole = (ends == (0xFF, 0xD8, 0xFF, 0xD9)).all(axis=1)
    x = np.empty((len(offset) - 1, EDGE, EDGE, CHANNELS), dtype=np.uint8)
    for n in range(len(x)):
        image = cv2.imdecode(jpeg[offset[n] : offset[n + 1]], cv2.IMREAD_COLOR_RGB) if whole[n] else None
        if image is None or image.shape != x.shape[1:]:
            raise Unusable(f"{path}: image {n} is no whole JPEG of {EDGE} x {EDGE} pixels")
        x[n] = image
    return x
