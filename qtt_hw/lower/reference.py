"""What drafts of stages compute on floats, compared with the model's own function."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT
from qtt_hw.lower.draft import NetworkDraft
from qtt_hw.lower.failures import FAILURES
from qtt_hw.lower.record import VARIES
from qtt_hw.nn.planar import of_axes

__all__ = ["Softmax", "difference", "extremes", "logits", "random_inputs"]

#: The softmax that ends a model, by its call's name, and what it computes of logits [N, classes].
Softmax = tuple[str, Callable[[Tensor], Tensor]]

#: Largest difference of logits to the model's, as a share of the model's largest.
TOLERANCE = 1e-6
#: Share by which a float64 input is moved to see how far its rounding can carry: some thousand times that rounding.
MOVED = 1e-12
#: How often a model that draws at random runs again, as two of few draws may be equal.
DRAWS = 16
#: What names float32 in a call, and what names float64.
_WIDER: dict[Any, Any] = {
    torch.float32: torch.float64,
    torch.FloatTensor: torch.DoubleTensor,
    "torch.FloatTensor": "torch.DoubleTensor",
}


class _Widened(TorchFunctionMode):
    """Has a forward that speaks of float32, as x.float() does, compute in float64, and think that that is float32."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given, named = tree_map(_wider, args), tree_map(_wider, kwargs or {})
        made = (Tensor.double if func is Tensor.float else func)(*given, **named)
        return torch.float32 if made is torch.float64 else tree_map(_wider, made)


def _wider(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.dtype == torch.float32 else value
    return _WIDER.get(value, value) if isinstance(value, torch.dtype | type | str) else value


@torch.no_grad()
def logits(network: NetworkDraft, x: Tensor) -> Tensor:
    """[N, logits] of float inputs [N, C, D, H, W], in their dtype; nothing is quantised."""
    results = {INPUT: x.contiguous(memory_format=torch.channels_last_3d)}
    for draft in network.drafts:
        results[draft.name] = draft.floats(*(results[name] for name in draft.inputs))
    return results[network.drafts[-1].name].flatten(1)


def random_inputs(example: Tensor, fmt: Format) -> Tensor:
    """Random inputs of the format and of the example's shape, float32; without a draw from torch's own state."""
    integers = torch.randint(
        fmt.minimum, fmt.maximum + 1, example.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32
    )
    return (integers * 2.0**-fmt.frac).to(example.device)


def extremes(example: Tensor, fmt: Format) -> list[Tensor]:
    """Inputs of the example's shape that hold nothing but the format's least value, its greatest, and zero."""
    return [torch.full_like(example, value * 2.0**-fmt.frac) for value in (fmt.minimum, fmt.maximum, 0)]


def _varies(model: nn.Module, x: Tensor) -> bool:
    """Whether a model computes something else when it runs again on the same input, by more than rounding.

    Its trace then holds one draw of what forward draws at random, or one state of what it counts.
    """
    model, before = copy.deepcopy(model), torch.get_rng_state()
    first: Tensor = model(x.clone())
    drawn = not torch.equal(before, torch.get_rng_state())
    apart = ((first - model(x.clone())).abs().max() for _ in range(DRAWS if drawn else 1))
    return any(bool(each > TOLERANCE * first.abs().max()) for each in apart)


def difference(
    model: nn.Module, network: NetworkDraft, x: Tensor, axes: int, softmax: Softmax | None = None
) -> str | None:
    """How a model computes something else than its drafts, and a softmax that was left out, do; None if it does not.

    Sums in another order differ a little in float32, and then hardly in float64, which is slow for large networks; but
    for a network whose layers magnify rounding, as batch norms of hardly any variance do, by no more than its logits
    move when its input does by more than rounding. That it is a function of its input is seen first.
    """

    def outputs(dtype: torch.dtype, inputs: Tensor) -> Tensor:
        copied = copy.deepcopy(model).to(dtype)
        with nullcontext() if dtype == torch.float32 else _Widened():
            logits: Tensor = copied(of_axes(inputs, axes).clone())
        return logits.flatten(1)

    dtype = torch.float32
    try:
        if _varies(model, of_axes(x, axes)):
            return VARIES
        for dtype in (torch.float32, torch.float64):
            x = x.to(dtype)
            expected = outputs(dtype, x)
            found = logits(network, x)
            if softmax is not None:
                found = softmax[1](found)
            apart = float((expected - found).abs().max())
            largest = float(expected.abs().max())
            if not apart > TOLERANCE * largest:  # nor where a value is not finite, which is reported by layer
                return None
        if apart <= float((expected - outputs(dtype, x * (1 + MOVED))).abs().max()):
            return None
    except FAILURES as error:  # of the user's forward
        return f"does not run in {dtype}, to be compared with its layers: {' '.join(str(error).split())}"
    return (
        f"computes something else than its layers one after the other: logits differ by {apart:.2g} "
        f"of {largest:.2g}; let forward do nothing but call them"
    )
