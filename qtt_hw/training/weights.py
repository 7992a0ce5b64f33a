"""Weights that a network was trained to elsewhere: a .safetensors file, or one that torch.save wrote."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from qtt_hw.errors import named, short
from qtt_hw.nn.finite import unusable

__all__ = ["load_weights", "read_weights"]

#: Under which trainers put the weights beside an optimizer's state and the like.
_NESTED = ("state_dict", "model_state_dict", "model", "net", "weights")
#: What nn.DataParallel and torch.compile put before every name, and Lightning before those of its `model`.
_PREFIXES = ("module.", "_orig_mod.", "model.")
#: Counts that batch norm keeps for its training alone.
_COUNT = "num_batches_tracked"
_HOW = "torch.save(net.state_dict(), ...)"


def read_weights(path: Path, names: Collection[str] = ()) -> dict[str, Tensor]:
    """The tensors by name of a .safetensors file, or of one that torch.save wrote, which runs no code of its own.

    Of a checkpoint that holds more, the weights are taken where trainers put them (`state_dict`, `model`); the prefix
    that nn.DataParallel, torch.compile or Lightning puts before every name is taken off, unless with it they are all
    the `names` of a network.

    Raises
    ------
    ValueError
        One line that names the file: it is not there, is damaged, or holds anything else.
    """
    try:
        content = path.read_bytes() if path.suffix == ".safetensors" else None
        found = load(content) if content is not None else _torch_file(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file: {short(error)}") from None
    with named(path):
        return _plain(found, names)


def _torch_file(path: Path) -> Any:
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("constants.pkl") for name in archive.namelist()):
                raise ValueError(f"{path}: is a TorchScript archive; save the weights alone: {_HOW}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how a file was pickled that is refused in a line
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path}: holds more than tensors, or is no file of torch.save; save the weights alone: {_HOW}"
        ) from None
    except Exception as error:  # whatever torch makes of a damaged file
        told = f": {short(error)}" if isinstance(error, RuntimeError) else "; save the weights alone: " + _HOW
        raise ValueError(f"{path}: not a file of torch.save{told}") from None


def _plain(found: Any, names: Collection[str]) -> dict[str, Tensor]:
    for key in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise ValueError(f"holds a {type(found).__name__}, not tensors by name: {_HOW}")
    others = [name for name, value in found.items() if not isinstance(value, Tensor)]
    if others or not found:
        what = f"a {type(found[others[0]]).__name__} called {others[0]!r}" if others else "nothing"
        raise ValueError(f"holds {what}, not tensors by name: {_HOW}")
    for prefix in _PREFIXES:
        if not _covers(found, names) and all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    return dict(found)


def _covers(found: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether all the network's own names are among those found."""
    return bool(names) and all(name in found or name.endswith(_COUNT) for name in names)


def load_weights(model: nn.Module, path: Path) -> None:
    """Give a network the weights of a file, every one of them and no other, in the network's own types.

    Raises
    ------
    ValueError
        As of `read_weights`; one line that names the file and the first layer whose weights are missing, are too many,
        or have another shape.
    """
    own = model.state_dict()
    found = read_weights(path, own)
    with named(path):
        missing = [name for name in own if name not in found and not name.endswith(_COUNT)]
        if missing:
            also = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ValueError(f"has no {missing[0]}{also}, which the network has; {_listed(found, own)}")
        more = [name for name in found if name not in own]
        if more:
            also = f" and {len(more) - 1} more" if len(more) > 1 else ""
            raise ValueError(f"has {more[0]}{also}, which the network has not: is it of another network?")
        for name, value in found.items():
            if value.shape != own[name].shape:
                raise ValueError(f"{name}: has shape {list(value.shape)}, the network's has {list(own[name].shape)}")
            if value.layout != torch.strided or value.is_quantized or value.is_complex():
                what = "complex" if value.is_complex() else "quantized" if value.is_quantized else "sparse"
                raise ValueError(f"{name}: is a {what} tensor; save it dense and in float")
            wrong = unusable(name, value.to(own[name].dtype))
            if wrong is not None:
                raise ValueError(f"{name}: {wrong}")
    model.load_state_dict(found, strict=False)


def _listed(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """What the file has in place of what is missing."""
    spare = [name for name in found if name not in own]
    return f"it has {spare[0]}, which the network has not" if spare else f"it has {len(found)} tensors"
