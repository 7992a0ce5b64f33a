"""Values that no layer can compute with: NaN, infinity, and variances below 0; found in a network before it is used."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["replace_unusable", "unusable", "unusable_tensors"]

#: What batch norm divides by, squared.
_VARIANCE = "running_var"
#: Tensors whose first axis is the channels that a layer puts out.
_BY_CHANNEL = ("weight", "bias", "running_mean", _VARIANCE)


def unusable(name: str, tensor: Tensor) -> str | None:
    """What is wrong with the values of a tensor of that name as float32, with the first of them; None if nothing is."""
    if tensor.is_meta or not tensor.is_floating_point():
        return None
    values, own = tensor.detach().to(torch.float32), name.rpartition(".")[2]
    wrong, what = ~values.isfinite(), "a value that is not finite"
    if own == _VARIANCE and not bool(wrong.any()):
        wrong, what = values < 0, "a variance below 0"
    if not bool(wrong.any()):
        return None
    first = [int(index) for index in wrong.nonzero()[0]]
    if not first:
        return f"holds {what}"
    return f"holds {what}, first in channel {first[0]}" if own in _BY_CHANNEL else f"holds {what}, first at {first}"


def unusable_tensors(module: nn.Module, recurse: bool = True) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) of the parameters and the batch norms' statistics of a module with such values."""
    for name, tensor in (*module.named_parameters(recurse=recurse), *module.named_buffers(recurse=recurse)):
        said = unusable(name, tensor) if isinstance(tensor, nn.Parameter) or _is_statistic(name) else None
        if said is not None:
            yield name, said


@torch.no_grad()
def replace_unusable(module: nn.Module) -> None:
    """Put 1 in place of all of a tensor with such values: of a network whose values are yet to come from elsewhere."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, _ in list(unusable_tensors(module)):
        tensors[name].fill_(1)


def _is_statistic(name: str) -> bool:
    return name.rpartition(".")[2] in ("running_mean", _VARIANCE)
