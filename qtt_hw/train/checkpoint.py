"""Checkpoints: named tensors and one JSON object in a safetensors file, replaced atomically; no pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

__all__ = ["load_tensors", "optimizer_state", "parse_tensors", "restore_optimizer", "save_tensors", "write_atomically"]


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Tensors by name, in plain memory order, and a JSON object."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, {"qtt": json.dumps(metadata, sort_keys=True)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON object of `save_tensors`."""
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = json.loads(stream.metadata()["qtt"])
            return {name: stream.get_tensor(name) for name in stream.keys()}, metadata  # noqa: SIM118
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a checkpoint: {' '.join(str(error).split())}") from None


def parse_tensors(content: bytes, where: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `load_tensors` reads, from the file's content."""
    try:
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size])["__metadata__"]["qtt"]
        return load(content), json.loads(metadata)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: not a checkpoint: {' '.join(str(error).split())}") from None


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
        optimizer.state[parameter][key] = value
