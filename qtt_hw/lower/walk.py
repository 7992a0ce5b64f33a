"""A PyTorch model's calls lowered one after the other, and the result compared with the model."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower import reference
from qtt_hw.lower.calls import Calls, Visit
from qtt_hw.lower.failures import FAILURES
from qtt_hw.lower.hooks import Report
from qtt_hw.lower.layers import is_layer
from qtt_hw.lower.lowering import Lowering
from qtt_hw.lower.obstacles import obstacles, other_dtypes, shared_tensors
from qtt_hw.lower.trace import evaluated, trace, undisturbed
from qtt_hw.nn.planar import as_volumes, axes_read, is_volumetric, of_axes
from qtt_hw.nn.wrapped import unwrapped

__all__ = ["Visit", "require_format", "walk"]


def require_format(fmt: object) -> None:
    """Raise ValueError unless an input format is one."""
    if not isinstance(fmt, Format):
        raise ValueError(
            f"the input format must be a qtt_hw.fixedpoint.Format, as Format(8, True, 7) for images, got a "
            f"{type(fmt).__name__}"
        )


def _one_input(model: nn.Module) -> None:
    """Raise ValueError for a forward that takes several inputs."""
    try:
        arguments = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):  # of what is not written in Python, which is refused elsewhere
        return
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [a.name for a in arguments if a.default is a.empty and a.kind in by_position]
    if len(needed) > 1:
        raise ValueError(f"{type(model).__name__}: forward takes {', '.join(needed)}; a network takes one input")


def _others(
    model: nn.Module, example: Tensor, input_format: Format, visit: Visit, told: Sequence[str], counts: Sequence[int]
) -> None:
    """Report the refusals of a network beside those of modules that have been told of, as far as it can be traced."""

    def report(name: str, kind: str, reason: str | None) -> None:
        if reason is not None and not any(name == other or name.startswith(f"{other}.") for other in told):
            visit(name, kind, reason)

    if "" in told:
        return
    lowering = Lowering((*example.shape[2:], example.shape[1]), input_format, axes=counts[0])  # type: ignore[arg-type]
    with suppress(*FAILURES), undisturbed():
        x = of_axes(reference.random_inputs(example.float(), input_format), counts[0])
        calls = Calls(trace(evaluated(model, x, report), x), shared_tensors(model), lowering, report)
        for node in calls.module.graph.nodes:
            if node.op == "output":
                continue
            calls.step(node)


def _running(
    model: nn.Module, x: Tensor, counts: Sequence[int], given: int, report: Report, others: Sequence[Tensor]
) -> tuple[nn.Module, int]:
    """A copy of the model that has run on x, and with how many axes behind the batch: the first count that it takes.

    Raises
    ------
    ValueError
        When it runs with none of them: why not with those that the example was given with, if these are among them.
    """
    refused: dict[int, ValueError] = {}
    hooks: list[tuple[str, str, str]] = []  # of the run that did not fail: who is told may raise
    for axes in counts:
        inputs = (of_axes(each, axes) for each in (x, *others))
        try:
            copied = evaluated(model, next(inputs), lambda *hook: hooks.append(hook), list(inputs))
        except ValueError as error:
            refused[axes] = error
            continue
        for hook in hooks:
            report(*hook)
        return copied, axes
    raise refused.get(given, refused[counts[0]])


def walk(
    model: nn.Module,
    example: Tensor,
    input_format: Format,
    visit: Visit,
    tt_form: Literal["streamed", "merged"] = "streamed",
) -> Lowering:
    """Lower every call of the model in turn, reporting each to `visit`, supported or not.

    Where all are supported, what they were lowered to computes what the model computes, compared on one random batch.

    Parameters
    ----------
    model : nn.Module
    example : float tensor, [N, C, D, H, W], [N, C, H, W] or [N, C]
        Of depth 1 for a network with 2D layers. Its values matter to nothing but hooks: see `evaluated`.
    input_format : Format
    visit : callable
        May raise to stop at the first layer that cannot be lowered.
    tt_form : "streamed" or "merged"
        See `QuantConfig`.

    Raises
    ------
    ValueError
        When the model cannot be traced or does not run on the example.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"the model must be a torch.nn.Module, got a {type(model).__name__}")
    if not isinstance(example, Tensor) or example.ndim not in (2, 4, 5) or min(example.shape) < 1:
        shape = list(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise ValueError(f"the example must have axes [N, C, D, H, W], [N, C, H, W] or [N, C], got {shape}")
    model = unwrapped(model)
    counts = axes_read(model, example)
    given = 4 if is_volumetric(model) else example.ndim - 1  # to a 3D layer, four axes are one sample without its batch
    example = as_volumes(example)
    _, c, d, h, w = example.shape
    lowering = Lowering((d, h, w, c), input_format, tt_form, counts[0])
    if is_layer(model):
        model = nn.Sequential(model)
    faults = 0

    def fault(name: str, kind: str, reason: str) -> None:
        nonlocal faults
        faults += 1
        visit(name, kind, reason)

    _one_input(model)
    found = list(obstacles(model))
    for obstacle in found:
        fault(*obstacle)
    if found:
        _others(model, example, input_format, visit, [name for name, _, _ in found], counts)
        return lowering
    said = other_dtypes(model)
    x = reference.random_inputs(example.float(), input_format)
    values = example.detach().to(torch.float32)
    others = (values, *reference.extremes(values, input_format))
    copied, axes = _running(model, x, counts, given, fault, others)
    if faults:
        return lowering
    if axes != counts[0]:
        lowering = Lowering((d, h, w, c), input_format, tt_form, axes)
    lowering.converted = said
    with undisturbed():
        traced = trace(copied, of_axes(x, axes))
        lowering.gradients = traced.gradients
        calls = Calls(traced, shared_tensors(model), lowering, visit)
        calls.run()
        if not calls.refused:
            reason = reference.difference(copied, lowering.network, x, axes, lowering.softmax)
            if reason is not None:
                visit("", "model", reason)
    return lowering
