"""A user's labels as class indices from 0 without gaps, and class names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["are_numbers", "class_indices", "class_names", "names_in", "plain_array"]


def plain_array(values: Any, where: str) -> NDArray:
    """An array of whatever a user gives; raises ValueError that names the place of what makes none.

    A mask says that values are not to be used, which no data set here can say.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{where}: is a masked array; leave the samples that are masked out, and give its .data")
    try:
        return np.asarray(values)
    except Exception as error:  # of the user's own type, such as a tensor with a gradient or on another device
        raise ValueError(f"{where}: makes no array: {' '.join(str(error).split())}") from None


def _strings(values: NDArray) -> NDArray | None:
    """An array of strings of strings, bytes or objects that are all one of these; None of anything else."""
    if values.dtype.kind == "U":
        return values
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "backslashreplace")  # so that other bytes are other names
    if values.dtype.kind == "O" and values.size and all(isinstance(value, str | bytes) for value in values.ravel()):
        given = values.ravel().tolist()
        decoded = [v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else v for v in given]
        return np.array(decoded).reshape(values.shape)
    return None


def class_names(values: Any, where: str) -> tuple[str, ...]:
    """Class names, by index, of strings, bytes or numbers; names that are numbers are what labels hold.

    Raises
    ------
    ValueError
        When they are no list, there are less than two, or one stands twice.
    """
    array = np.asarray(values)
    strings = _strings(array)
    if array.ndim != 1 or (strings is None and array.dtype.kind not in "iu"):
        raise ValueError(f"{where}: {array.dtype} {list(array.shape)}, expected the names of the classes [classes]")
    names = tuple(str(name) for name in (array if strings is None else strings).tolist())
    twice = next((name for name in names if names.count(name) > 1), None) if len(names) < 10_000 else names[0]
    if twice is not None:
        raise ValueError(f"{where}: names the class {twice!r} twice; expected one name a class")
    if len(names) < 2:
        raise ValueError(f"{where}: {len(names)} class, expected two or more")
    if any(not name.strip() or not name.isprintable() for name in names):
        raise ValueError(f"{where}: a class's name is empty, or holds what cannot be printed")
    return names


def are_numbers(values: Any) -> bool:
    """Whether names of classes are numbers: then integer labels are these, not indices."""
    return np.asarray(values).dtype.kind in "iu"


def names_in(labels: Any) -> tuple[str, ...] | None:
    """The class names in alphabetical order, where the labels are names; None where they are numbers."""
    strings = _strings(np.asarray(labels))
    return None if strings is None else tuple(sorted(set(strings.ravel().tolist())))


def class_indices(
    values: Any, count: int, names: Sequence[str] | None, where: str, *, by_number: bool = False
) -> NDArray[np.int64]:
    """Class indices int64 [N] of labels [N] or [N, 1]: integers from 0, bools, or class names.

    Parameters
    ----------
    values : array
    count : int
        Samples.
    names : sequence of str, optional
        The classes. Without them integers must be 0, 1 and so on, each at least once, and strings are numbered in
        alphabetical order.
    where : str
        For messages.
    by_number : bool
        The names are numbers, and integers stand for the class of that name.

    Raises
    ------
    ValueError
        When the labels are of another type or shape, are not as many as the samples, or are none of the classes.
    """
    y = plain_array(values, where)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2:
        one_hot = y.dtype.kind in "buif" and bool(((y == 1).sum(axis=1) == 1).all() and ((y == 0) | (y == 1)).all())
        what = "one-hot" if one_hot else "several labels a sample"
        raise ValueError(f"{where}: shape {list(y.shape)}, {what}; expected one class index a sample [N]: y.argmax(1)")
    if y.ndim != 1:
        raise ValueError(f"{where}: shape {list(y.shape)}, expected [N]")
    if len(y) != count:
        raise ValueError(f"{where}: {len(y)} labels for {count} samples")
    if not count:
        raise ValueError(f"{where}: holds no labels")
    if by_number and y.dtype.kind in "iu":
        y = y.astype(str)
    strings = _strings(y)
    if strings is not None:
        known = {name: index for index, name in enumerate(names or sorted(set(strings.tolist())))}
        for name in strings.tolist():
            if name not in known:
                raise ValueError(f"{where}: class {name!r} is not one of {', '.join(known)}")
        return np.array([known[name] for name in strings.tolist()], dtype=np.int64)
    if y.dtype == bool:
        y = y.astype(np.uint8)
    if y.dtype.kind not in "iu":
        raise ValueError(f"{where}: holds {y.dtype}, expected integers from 0, or class names")
    least, greatest = int(y.min()), int(y.max())
    if least < 0 or (names is not None and greatest >= len(names)):
        highest = "N - 1" if names is None else len(names) - 1
        raise ValueError(f"{where}: classes {least} to {greatest}, expected 0 to {highest}")
    if names is None:
        _no_gap(np.unique(y), where)
    return y.astype(np.int64)


def _no_gap(found: NDArray, where: str) -> None:
    """Refuse classes that are not 0, 1 and so on: `found` holds each of them once, rising."""
    missing = int((found == np.arange(len(found))).argmin()) if int(found[-1]) >= len(found) else None
    if missing is not None:
        listed = [str(int(label)) for label in found[:6]] + ["..."] * (len(found) > 6)
        raise ValueError(
            f"{where}: classes {', '.join(listed)} up to {int(found[-1])}, but none is {missing}: number them from 0 "
            "without gaps, or name all classes in labels"
        )
