"""Stages run in their order, each on the results of those it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT
from qtt_hw.lower.stage import Stage

__all__ = ["execute", "formats"]

Result = TypeVar("Result")


def execute(
    stages: Sequence[Stage], source: Result, act: Callable[[Stage, list[Result]], Result]
) -> Iterator[tuple[Stage, Result]]:
    """Each stage with its result; a result is let go of when its last reader has run.

    Parameters
    ----------
    stages : sequence of Stage
        In topological order.
    source : Result
        The network's input.
    act : callable
        The result of a stage from those of its inputs.
    """
    last = {name: index for index, stage in enumerate(stages) for name in stage.inputs}
    kept = {INPUT: source}
    del source
    for index, stage in enumerate(stages):
        inputs = [kept[name] for name in stage.inputs]
        for name in stage.inputs:
            if last[name] == index:
                kept.pop(name, None)
        with named(stage.name):
            result = act(stage, inputs)
        if stage.name in last:
            kept[stage.name] = result
        yield stage, result


def formats(stages: Sequence[Stage], source: Format) -> dict[str, Format]:
    """The output format of every stage, by name, for a network's input format."""
    found = execute(stages, source, lambda stage, inputs: stage.out_format(*inputs))
    return {INPUT: source} | {stage.name: fmt for stage, fmt in found}
