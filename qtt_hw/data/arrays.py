"""Arrays of a user's data set made into samples of bytes and class indices, with errors that name where they came from.

The keys are x and y, x_val and y_val, x_test and y_test, or MedMNIST's train_images, train_labels and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.axes import in_order, parse_axes, sample_axes, spelled
from qtt_hw.data.labels import are_numbers, class_indices, class_names, names_in, plain_array
from qtt_hw.data.samples import Samples

__all__ = ["Raw", "as_bytes", "from_mapping", "has_validation", "is_known"]


@dataclass(frozen=True, eq=False)
class Raw:
    """What a source holds, before anything is held out of it.

    Parameters
    ----------
    train : Samples
    test, validation : Samples, optional
        Where the source brings its own.
    labels : tuple of str
        Class names, by index.
    read : str
        What was read as what, in a few words.
    notes : tuple of str
        What the user should know, such as arrays that were not read.
    """

    train: Samples
    test: Samples | None
    labels: tuple[str, ...]
    validation: Samples | None = None
    read: str = ""
    notes: tuple[str, ...] = ()


#: The keys that hold samples or labels: x, x_train, x_val, x_test; train_images, val_images, test_images; and so on.
_KEY = re.compile(r"(?P<kind>x|y)(?:_(?P<part>[a-z]+))?|(?P<first>[a-z]+)_(?P<what>images|labels)")
_PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


def _role(key: object) -> tuple[str, str] | None:
    """(part, "x" or "y") of a key; None of one that is neither samples nor labels."""
    if not isinstance(key, str):
        return None
    match = _KEY.fullmatch(key.lower())
    if match is None:
        return None
    part = _PARTS.get(match["part"] or match["first"] or "train")
    kind = match["kind"] or {"images": "x", "labels": "y"}[match["what"]]
    return None if part is None else (part, kind)


def is_known(key: object) -> bool:
    """Whether a key is read."""
    return key in ("labels", "axes") or _role(key) is not None


def has_validation(keys: Iterable[str]) -> bool:
    """Whether one of the keys holds validation samples."""
    return any(_role(key) == ("validation", "x") for key in keys)


def as_bytes(values: Any, where: str) -> NDArray[np.uint8]:
    """values as uint8 of the same shape: bool, integers 0 to 255, or floats that are whole numbers 0 to 255."""
    array = plain_array(values, where)
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
        scaled = array.min() >= 0 and array.max() <= 1
        hint = "; scale it back, such as by (255 * x).round()" if scaled else ""
        raise ValueError(
            f"{where}: {array.dtype} values from {array.min():g} to {array.max():g}, expected whole numbers 0 to "
            f"255{hint}"
        )
    return array.astype(np.uint8)


def _samples_array(values: Any, where: str) -> NDArray[np.uint8]:
    x = as_bytes(values, where)
    if x.ndim and not len(x):
        raise ValueError(f"{where}: holds no samples; leave it out")
    if not 2 <= x.ndim <= 5 or 0 in x.shape:
        raise ValueError(
            f"{where}: shape {list(np.shape(values))}, expected [N, D, H, W, C], [N, D, H, W], [N, H, W], [N, C], or "
            "what its axes say"
        )
    return x


def _keys(arrays: Mapping[str, Any], where: str) -> dict[str, tuple[str, str]]:
    """By part, the keys of its samples and its labels.

    Raises
    ------
    ValueError
        When a part has one without the other or two of one, or there is nothing to train on.
    """
    found: dict[tuple[str, str], str] = {}
    for key in arrays:
        role = _role(key)
        if role is None:
            continue
        if role in found:
            raise ValueError(f"{where}: holds both {found[role]} and {key}; expected one of them")
        found[role] = key
    for kind in ("x", "y"):
        if ("train", kind) not in found:
            raise ValueError(
                f"{where}: has no {kind}; expected x and y, optionally x_val, y_val, x_test, y_test, labels and axes, "
                "or train_images, train_labels and so on"
            )
    parts = {}
    for part in dict.fromkeys(part for part, _ in found):
        samples, labels = found.get((part, "x")), found.get((part, "y"))
        if samples is None or labels is None:
            raise ValueError(
                f"{where}: has {samples or labels} alone: samples and labels come together, such as x_test and y_test"
            )
        parts[part] = (samples, labels)
    return parts


def from_mapping(arrays: Mapping[str, Any], where: str, axes: str | None = None) -> Raw:
    """Samples, labels and class names of a mapping, with the source's own validation and test samples.

    Parameters
    ----------
    arrays : mapping
    where : str
        For messages.
    axes : str, optional
        Of x, such as "NCDHW"; else those of the key `axes`, else what its sizes leave no doubt about.

    Raises
    ------
    ValueError
        One line that names the source and the key.
    """
    keys = _keys(arrays, where)
    order = _given_axes(arrays, axes, where)
    names = class_names(arrays["labels"], f"{where}: labels") if "labels" in arrays else None
    by_number = names is not None and are_numbers(arrays["labels"])
    key, label_key = keys["train"]
    x = _samples_array(arrays[key], f"{where}: {key}")
    remedy = f"say which by an array axes beside it, or behind the source: {where},axes={{axes}}"
    if order is None and key.lower().endswith("_images") and x.ndim == 4 and x.shape[-1] == 3 < min(x.shape[1:3]):
        order = "HWC"  # MedMNIST's
    order = sample_axes(x.shape[1:], order, f"{where}: {key}", remedy)
    if names is None:
        names = names_in(plain_array(arrays[label_key], f"{where}: {label_key}"))
        _same_kind(arrays, keys, names is not None, where)
    y = class_indices(arrays[label_key], len(x), names, f"{where}: {label_key}", by_number=by_number)
    names = names or tuple(str(index) for index in range(int(y.max()) + 1))
    parts = {"train": Samples(in_order(x, order), y)}
    for part, (key, label_key) in keys.items():
        if part == "train":
            continue
        other = _samples_array(arrays[key], f"{where}: {key}")
        if other.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"{where}: {key} has samples of {list(other.shape[1:])}, {keys['train'][0]} of {list(x.shape[1:])}"
            )
        label_where = f"{where}: {label_key}"
        y = class_indices(arrays[label_key], len(other), names, label_where, by_number=by_number)
        parts[part] = Samples(in_order(other, order), y)
    dtype = np.asarray(arrays[keys["train"][0]]).dtype
    ignored = [str(key) for key in arrays if not is_known(key)]
    return Raw(
        parts["train"],
        parts.get("test"),
        names,
        parts.get("validation"),
        f"{keys['train'][0]} {dtype} {list(x.shape)} as {spelled('N' + order)}",
        (f"not read: {', '.join(ignored)}",) if ignored else (),
    )


def _same_kind(arrays: Mapping[str, Any], keys: dict[str, tuple[str, str]], named: bool, where: str) -> None:
    """Refuse labels of one part that are names where those of another are numbers: nothing says which is which."""
    for _, key in keys.values():
        if (names_in(plain_array(arrays[key], f"{where}: {key}")) is not None) != named:
            kinds = ("numbers", "names") if named else ("names", "numbers")
            raise ValueError(
                f"{where}: {key} holds {kinds[0]}, {keys['train'][1]} {kinds[1]}: use one of them, or name the classes "
                "in labels"
            )


def _given_axes(arrays: Mapping[str, Any], option: str | None, where: str) -> str | None:
    """The axes that the option names, or the array `axes`, which must agree."""
    own = arrays.get("axes")
    if own is not None:
        stored = plain_array(own, f"{where}: axes")
        given_as = stored.ravel().tolist()
        text = "".join(part.decode("ascii", "replace") if isinstance(part, bytes) else str(part) for part in given_as)
        own = parse_axes(text, where)
    if option is None:
        return own
    given = parse_axes(option, where)
    if own is not None and own != given:
        raise ValueError(f"{where}: says itself that its axes are N{own}, the option says N{given}")
    return given
