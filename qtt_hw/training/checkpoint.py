"""Checkpoints: named tensors, one JSON object with a version, and a digest of both in a safetensors file; no pickle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from qtt_hw.errors import named
from qtt_hw.files import write_file
from qtt_hw.versions import RUN

__all__ = ["load_tensors", "optimizer_state", "parse_tensors", "restore_optimizer", "save_tensors"]


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Tensors by name, in plain memory order, a JSON object, which gets the version of runs, and the digest of both."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps({"version": RUN.written, **metadata}, sort_keys=True)
    write_file(path, save(plain, {"qtt": text, "digest": _digest(text, plain)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON object of `save_tensors`, after a check of their digest, which early files have not.

    Raises
    ------
    ValueError
        Naming the file, where it is not there, is not a checkpoint, was written by a newer qtt-hw, or was changed.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    return parse_tensors(content, str(path))


def parse_tensors(content: bytes, where: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `load_tensors` reads, from the file's content."""
    try:
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])["__metadata__"]
        text = header["qtt"]
        metadata: dict[str, Any] = {**json.loads(text)}
        version = metadata.pop("version", RUN.versions[0])  # the checkpoints of the first runs do not say theirs
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not a checkpoint: {' '.join(str(error).split())}") from None
    with named(where):
        RUN.check(version)
    try:
        tensors = load(content)
    except (SafetensorError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: not a checkpoint: {' '.join(str(error).split())}") from None
    if "digest" in header and header["digest"] != _digest(text, tensors):
        raise ValueError(f"{where}: its content does not match its digest; the file was changed or damaged")
    return tensors, metadata


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    """sha256 over the JSON and, in name order, every tensor's name, type, shape and bytes."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def optimizer_state(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimizer's tensors as `<parameter>/<key>`."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}/{key}": value if isinstance(value, Tensor) else torch.tensor(value)
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_state` took, in each parameter's own memory order."""
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        parameter, key = parameters[name.rpartition("/")[0]], name.rpartition("/")[2]
        if value.shape == parameter.shape and value.dim() > 0:
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        elif optimizer.defaults.get("fused"):  # which counts its steps on the device
            value = value.to(parameter.device)
        optimizer.state[parameter][key] = value
