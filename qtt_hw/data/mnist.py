"""MNIST, and sets published in its form: images and labels in four idx files, gzipped or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.arrays import Raw
from qtt_hw.data.npz import check_unpacked, reason
from qtt_hw.data.samples import Samples

__all__ = ["FILES", "has_idx", "load_mnist", "read_idx"]

#: Images and labels of the training and of the test set; each may end in .gz.
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

#: The magic number is 0, 0, the element type (8: unsigned bytes) and the number of axes.
_BYTES = 0x0800
_WHAT = {1: "labels", 3: "images"}


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def has_idx(folder: Path) -> bool:
    """Whether the folder holds one of MNIST's four files."""
    return any(_find(folder, name) is not None for names in FILES.values() for name in names)


def load_mnist(folder: Path) -> Raw:
    """Images uint8 [N, 1, 28, 28, 1] of the training and the test set, labels "0" to "9".

    The sizes are those that the files state, so that sets of the same form, such as Fashion-MNIST, are read as well.

    Raises
    ------
    ValueError
        One line that names the file that is missing, cut short, of a wrong magic number or of a wrong size.
    """
    train, test = (_read_part(folder, *FILES[part]) for part in ("train", "test"))
    if train.sample_shape != test.sample_shape:
        raise ValueError(f"{folder}: test images of {list(test.x.shape[2:4])}, training of {list(train.x.shape[2:4])}")
    classes = int(train.y.max()) + 1
    missing = sorted(set(range(classes)) - set(train.y.tolist()))
    if missing:
        raise ValueError(f"{folder}: training labels reach {classes - 1}, but none is {missing[0]}; a file is damaged")
    if int(test.y.max()) >= classes:
        raise ValueError(f"{folder}: test label {test.y.max()}, but training labels are 0 to {classes - 1}")
    n, _, rows, columns, _ = train.x.shape
    read = f"idx images uint8 [{n}, {rows}, {columns}] as N, H, W"
    return Raw(train, test, tuple(str(index) for index in range(classes)), read=read)


def _read_part(folder: Path, images: str, labels: str) -> Samples:
    paths = []
    for name in (images, labels):
        path = _find(folder, name)
        if path is None:
            raise ValueError(f"{folder}: has no {name} or {name}.gz")
        paths.append(path)
    x, y = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if len(x) != len(y):
        raise ValueError(f"{paths[1]}: {len(y)} labels for the {len(x)} images of {paths[0].name}")
    return Samples(x[:, None, :, :, None], y.astype(np.int64))


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes with 1 (labels) or 3 axes (images N, rows, columns).

    Big-endian 32-bit words: the magic number 0x0800 + axes, each axis's size; then the bytes, the last axis fastest.

    Raises
    ------
    ValueError
        One line that names the file, what it holds and what was expected.
    """
    header = 4 * (1 + axes)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(header)
            if len(content) < header:
                raise ValueError(f"{path}: cut short: {len(content)} bytes, less than the header of an idx file")
            shape = _shape(path, content, axes)
            wanted = math.prod(shape)
            if path.suffix == ".gz":
                check_unpacked(path, wanted)
            # Never more than there is: a header may state anything.
            there = wanted if path.suffix == ".gz" else min(wanted, path.stat().st_size)
            # A byte more than there should be, so that the end of a gzip stream is read, and what follows is seen.
            body = stream.read(there + 1)
    except EOFError:
        packed = path.stat().st_size
        raise ValueError(f"{path}: cut short: its gzip stream of {packed} bytes has no end") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file: {reason(error)}") from None
    if len(body) < wanted:
        raise ValueError(f"{path}: cut short: {len(body)} bytes after the header, the shape {shape} wants {wanted}")
    if len(body) > wanted:
        raise ValueError(f"{path}: too long: more than {wanted} bytes after the header, which the shape {shape} wants")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _shape(path: Path, header: bytes, axes: int) -> list[int]:
    magic, *shape = (int(word) for word in np.frombuffer(header, dtype=">u4"))
    expected = _BYTES + axes
    if magic != expected:
        raise ValueError(f"{path}: magic number {magic}, expected {expected}: an idx file of {_WHAT[axes]} as bytes")
    if min(shape) < 1:
        raise ValueError(f"{path}: states the shape {shape}, expected sizes above 0")
    return shape
