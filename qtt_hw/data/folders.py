"""Class folders of .npy volumes, with train/, val/ and test/ above them or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.arrays import Raw, as_bytes
from qtt_hw.data.axes import in_order, parse_axes, sample_axes, spelled
from qtt_hw.data.npz import reason
from qtt_hw.data.samples import Samples

__all__ = ["VALIDATION", "has_classes", "load_folder"]

#: What the folder of a source's own validation samples may be called.
VALIDATION = ("val", "valid", "validation")


def has_classes(folder: Path) -> bool:
    """Whether the folder holds class folders of .npy volumes, or train/ that does."""
    return bool(_class_names(folder / "train" if (folder / "train").is_dir() else folder))


def load_folder(folder: Path, axes: str | None = None) -> Raw:
    """Samples of class folders of .npy volumes, with train/, val/ and test/ above them or not.

    Parameters
    ----------
    folder : Path
    axes : str, optional
        Of one volume, such as "CDHW"; else what its sizes leave no doubt about.

    Raises
    ------
    ValueError
        One line that names the file.
    """
    order = None if axes is None else parse_axes(axes, str(folder))
    above = (folder / "train").is_dir()
    top = folder / "train" if above else folder
    labels = _class_names(top)
    reader = _Reader(folder, labels, order)
    train = reader.read(top)
    parts: dict[str, Samples] = {}
    if above:
        for part, names in (("validation", VALIDATION), ("test", ("test",))):
            found = [folder / name for name in names if (folder / name).is_dir()]
            if len(found) > 1:
                raise ValueError(f"{found[1]}: validation samples stand in {found[0].name}/ too; expected one of them")
            if found:
                unknown = set(_class_names(found[0])) - set(labels)
                if unknown:
                    raise ValueError(f"{found[0] / min(unknown)}: a class that {top} does not have")
                parts[part] = reader.read(found[0])
    return Raw(
        train,
        parts.get("test"),
        labels,
        parts.get("validation"),
        f"{len(train)} .npy files {reader.dtype} {list(reader.shape)} as {spelled(reader.axes)}",
        tuple(_left_out(folder, above, labels)),
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    return tuple(sorted(child.name for child in folder.iterdir() if child.is_dir() and any(child.glob("*.npy"))))


def _left_out(folder: Path, above: bool, labels: tuple[str, ...]) -> list[str]:
    """What stands beside the class folders, and in them, and is not read."""
    known = {"train", "test", *VALIDATION} if above else set(labels)
    others = sorted(child.name for child in folder.iterdir() if child.is_dir() and child.name not in known)
    top = folder / "train" if above else folder
    if above:
        others += sorted(
            f"train/{child.name}" for child in top.iterdir() if child.is_dir() and child.name not in labels
        )
    notes = [f"not read: {', '.join(f'{name}/' for name in others if not name.startswith('.'))}"] if others else []
    files = sum(
        path.suffix != ".npy" and not path.name.startswith(".") for label in labels for path in (top / label).iterdir()
    )
    return notes + ([f"not read: {files} files in the class folders that are no .npy"] if files else [])


class _Reader:
    """Volumes of one shape and one order of axes."""

    def __init__(self, folder: Path, labels: tuple[str, ...], axes: str | None) -> None:
        self.labels, self._given = labels, axes
        self._remedy = f"say which behind the folder: {folder},axes={{axes}}"
        self.shape: tuple[int, ...] = ()
        self.axes, self.dtype, self._first = "", "", ""

    def read(self, folder: Path) -> Samples:
        """The volumes of a folder of class folders."""
        volumes: list[NDArray[np.uint8]] = []
        classes: list[int] = []
        for index, name in enumerate(self.labels):
            for path in sorted((folder / name).glob("*.npy")):
                volumes.append(self._volume(path))
                classes.append(index)
        if not volumes:
            raise ValueError(f"{folder}: no class folders of .npy volumes")
        return Samples(np.concatenate(volumes), np.array(classes, dtype=np.int64))

    def _volume(self, path: Path) -> NDArray[np.uint8]:
        try:
            # Mapped: a header that states more than the file holds is refused before anything is allocated.
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"{path}: not a readable .npy file: {reason(error)}") from None
        if not isinstance(array, np.ndarray) or not 2 <= array.ndim <= 4 or 0 in array.shape:
            found = list(array.shape) if isinstance(array, np.ndarray) else "several arrays"
            raise ValueError(f"{path}: shape {found}, expected one volume [D, H, W] or [D, H, W, C], or what axes say")
        if not self.shape:
            self.axes = sample_axes(array.shape, self._given, str(path), self._remedy)
            self.shape, self.dtype, self._first = array.shape, str(array.dtype), str(path)
        if array.shape != self.shape:
            raise ValueError(f"{path}: shape {list(array.shape)}, the first volume has {list(self.shape)}")
        if (str(array.dtype) == "bool") != (self.dtype == "bool"):
            raise ValueError(f"{path}: holds {array.dtype}, {self._first} {self.dtype}: convert all to one of them")
        return in_order(as_bytes(np.array(array), str(path))[None], self.axes)
