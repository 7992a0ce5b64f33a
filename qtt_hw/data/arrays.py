"""Arrays of a user's data set made into bytes and class indices, with errors that name where they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.samples import Samples

__all__ = ["Raw", "as_bytes", "from_mapping", "load_folder", "load_npz", "read_npz"]

#: Training samples, test samples where the source brings its own, class names.
Raw = tuple[Samples, Samples | None, tuple[str, ...]]


def as_bytes(values: Any, where: str) -> NDArray[np.uint8]:
    """values as uint8 of the same shape: bool, integers 0 to 255, or floats that are whole numbers 0 to 255."""
    array = np.asarray(values)
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8)
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise ValueError(f"{where}: holds {array.dtype}, expected uint8 or bool")
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        first = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
        raise ValueError(f"{where}: holds NaN or infinity, first at {first}; expected uint8 or bool")
    if array.size and (array.min() < 0 or array.max() > 255 or (array != np.floor(array)).any()):
        raise ValueError(
            f"{where}: {array.dtype} values from {array.min():g} to {array.max():g}, expected whole numbers 0 to 255"
        )
    return array.astype(np.uint8)


def _volumes(values: Any, where: str) -> NDArray[np.uint8]:
    """uint8 [N, D, H, W, C] of [N, D, H, W, C], [N, D, H, W] (one channel) or [N, H, W] (one plane, one channel)."""
    x = as_bytes(values, where)
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim == 4:
        x = x[..., None]
    if x.ndim != 5 or 0 in x.shape:
        raise ValueError(
            f"{where}: shape {list(np.shape(values))}, expected [N, D, H, W, C], [N, D, H, W] or [N, H, W]"
        )
    return x


def _classes(values: Any, count: int, labels: tuple[str, ...] | None, where: str) -> NDArray:
    y = np.asarray(values)
    if y.ndim != 1:
        raise ValueError(f"{where}: shape {list(y.shape)}, expected [N]")
    if len(y) != count:
        raise ValueError(f"{where}: {len(y)} labels for {count} samples")
    if y.dtype.kind == "U":
        known = {name: index for index, name in enumerate(labels or sorted(set(y.tolist())))}
        for name in y.tolist():
            if name not in known:
                raise ValueError(f"{where}: class {name!r} is not one of {', '.join(known)}")
        return np.array([known[name] for name in y.tolist()], dtype=np.int64)
    if not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"{where}: holds {y.dtype}, expected integers from 0, or class names")
    limit = len(labels) if labels else None
    if y.min() < 0 or (limit is not None and y.max() >= limit):
        raise ValueError(f"{where}: classes {y.min()} to {y.max()}, expected 0 to {limit - 1 if limit else 'N - 1'}")
    return y.astype(np.int64)


def from_mapping(arrays: Mapping[str, Any], where: str) -> Raw:
    """Samples of the keys x and y, and of x_test, y_test and labels where they are present."""
    for key in ("x", "y"):
        if key not in arrays:
            raise ValueError(f"{where}: has no {key}; expected x and y, optionally x_test, y_test and labels")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise ValueError(f"{where}: x_test and y_test come together")
    labels: tuple[str, ...] | None = None
    if "labels" in arrays:
        labels = tuple(str(name) for name in np.asarray(arrays["labels"]).tolist())
    elif np.asarray(arrays["y"]).dtype.kind == "U":
        labels = tuple(sorted(set(np.asarray(arrays["y"]).tolist())))
    x = _volumes(arrays["x"], f"{where}: x")
    y = _classes(arrays["y"], len(x), labels, f"{where}: y")
    labels = labels or tuple(str(index) for index in range(int(y.max()) + 1))
    train = Samples(x, y)
    if "x_test" not in arrays:
        return train, None, labels
    x_test = _volumes(arrays["x_test"], f"{where}: x_test")
    if x_test.shape[1:] != x.shape[1:]:
        raise ValueError(f"{where}: x_test has samples of {list(x_test.shape[1:])}, x of {list(x.shape[1:])}")
    return train, Samples(x_test, _classes(arrays["y_test"], len(x_test), labels, f"{where}: y_test")), labels


def read_npz(path: Path, keys: Sequence[str] | None = None) -> dict[str, NDArray]:
    """Every array of an npz file, or those of the given keys, without pickle."""
    try:
        # The stream is ours to close: numpy leaves its own open when the archive is damaged.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            wanted = archive.files if keys is None else keys
            found = {key: archive[key] for key in wanted if key in archive}
    except Exception as error:  # zipfile, zlib and EOF errors share no base class
        raise ValueError(f"{path}: not a readable npz file of plain arrays: {_one_line(error)}") from None
    for key in keys or ():
        if key not in found:
            raise ValueError(f"{path}: has no {key}")
    return found


def load_npz(path: Path) -> Raw:
    """Samples of an npz file with x and y, read without pickle."""
    return from_mapping(read_npz(path), str(path))


def load_folder(folder: Path) -> Raw | None:
    """Samples of class folders of .npy volumes, with train/ and test/ above them or not; None if there are none."""
    if (folder / "train").is_dir():
        labels = _class_names(folder / "train")
        if not labels:
            return None
        test = None
        if (folder / "test").is_dir():
            unknown = set(_class_names(folder / "test")) - set(labels)
            if unknown:
                raise ValueError(f"{folder / 'test' / min(unknown)}: a class that {folder / 'train'} does not have")
            test = _read_classes(folder / "test", labels)
        return _read_classes(folder / "train", labels), test, labels
    labels = _class_names(folder)
    return (_read_classes(folder, labels), None, labels) if labels else None


def _class_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(child.name for child in folder.iterdir() if child.is_dir() and any(child.glob("*.npy"))))


def _read_classes(folder: Path, labels: tuple[str, ...]) -> Samples:
    volumes: list[NDArray[np.uint8]] = []
    classes: list[int] = []
    for index, name in enumerate(labels):
        for path in sorted((folder / name).glob("*.npy")):
            try:
                array = np.load(path, allow_pickle=False)
            except (ValueError, OSError, EOFError) as error:
                raise ValueError(f"{path}: not a readable .npy file: {_one_line(error)}") from None
            volume = as_bytes(array, str(path))
            if volume.ndim == 3:
                volume = volume[..., None]
            if volume.ndim != 4:
                raise ValueError(f"{path}: shape {list(array.shape)}, expected one volume [D, H, W] or [D, H, W, C]")
            if volumes and volume.shape != volumes[0].shape:
                raise ValueError(f"{path}: shape {list(volume.shape)}, the first volume has {list(volumes[0].shape)}")
            volumes.append(volume)
            classes.append(index)
    if not volumes:
        raise ValueError(f"{folder}: no class folders of .npy volumes")
    return Samples(np.stack(volumes), np.array(classes, dtype=np.int64))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
