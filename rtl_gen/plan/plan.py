"""The plan: every stage's folding, what it costs, and the cycles it is predicted to take; a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qtt_hw.errors import one_line
from qtt_hw.ir.graph import Graph
from rtl_gen.families import Family
from rtl_gen.kinds import Folding, Spec, spec_of

__all__ = ["FifoPlan", "PathPlan", "Plan", "StagePlan", "load_plan", "save_plan", "stage_specs"]


class StagePlan(BaseModel):
    """One stage of a plan; `cycles` is what it needs by itself for one inference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    folding: Folding
    cycles: int
    multipliers: int
    dsps: int
    brams: int
    luts: int
    rom_bits: int


class FifoPlan(BaseModel):
    """The FIFO on the short branch of a sum, in words of the stream that it delays.

    Attributes
    ----------
    stage : str
        The sum.
    input : int
        0 or 1: which of its inputs.
    least : int
        The least depth without a deadlock.
    depth : int
        The least depth at full rate, which is built.
    width : int
        Bits of a word.
    brams, luts : int
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    input: int
    least: int = Field(ge=1)
    depth: int = Field(ge=1)
    width: int = Field(ge=1)
    brams: int
    luts: int


class PathPlan(BaseModel):
    """What one path of contraction of a layer costs by itself, at the plan's number of cycles.

    Attributes
    ----------
    layer, path : str
    chosen : bool
    multiplications : int
        Of one inference.
    rom_bits : int
        Weights of its steps, merged cores included.
    dsps, brams, luts : int or None
        Of its cheapest folding; None when no folding is that fast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    path: str
    chosen: bool
    multiplications: int
    rom_bits: int
    dsps: int | None
    brams: int | None
    luts: int | None


class Plan(BaseModel):
    """A folding of a whole network.

    Attributes
    ----------
    cycles : int
        Predicted initiation interval: last output to last output, once periodic.
    latency : int
        Predicted cycles from the first input to the last output.
    utilization : float
        Part of the interval in which the busiest stage multiplies.
    multipliers : int
        That form the products of a cycle, of all stages together; lanes that shift have none.
    dsps, brams, luts : int
        Predicted MULT18X18D, DP16KD and LUT-like cells.
    rom_bits : int
        Weights in ROM.
    fifos : tuple of FifoPlan
        Of every sum.
    paths : tuple of PathPlan
        Every path of every layer whose path was free to choose.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    model: str
    device: str
    clock_mhz: float
    input_lanes: int
    cycles: int
    latency: int
    bottleneck: str
    utilization: float
    multipliers: int
    dsps: int
    brams: int
    luts: int
    rom_bits: int
    stages: tuple[StagePlan, ...]
    fifos: tuple[FifoPlan, ...] = ()
    paths: tuple[PathPlan, ...] = ()

    @property
    def chosen_paths(self) -> dict[str, str]:
        """The path by layer, where it was free to choose: what `qtt train --plan` takes over."""
        return {path.layer: path.path for path in self.paths if path.chosen}

    @property
    def fifo_depths(self) -> dict[tuple[str, int], int]:
        """The depth of each FIFO that is built, by its sum and the sum's input."""
        return {(fifo.stage, fifo.input): fifo.depth for fifo in self.fifos}

    @property
    def frames_per_second(self) -> float:
        return self.clock_mhz * 1e6 / self.cycles


def stage_specs(graph: Graph, foldings: Sequence[tuple[str, Folding]], family: Family) -> list[Spec]:
    """The hardware stages of a graph under the given foldings; raises ValueError naming what does not match."""
    nodes = [node for node in graph.nodes if not node.relabels]
    names = [node.name for node in nodes]
    if names != [name for name, _ in foldings]:
        strange = next((n for n, _ in foldings if n not in names), None)
        missing = next((n for n in names if n not in dict(foldings)), None)
        raise ValueError(
            f"the plan does not belong to {graph.name}: "
            + (f"it has no stage {missing}" if missing else f"stage {strange} is not in the model, or out of order")
        )
    return [
        spec_of(node, [graph.edges[name] for name in node.inputs], folding, family)
        for node, (_, folding) in zip(nodes, foldings, strict=True)
    ]


def save_plan(plan: Plan, path: Path) -> None:
    """Write the plan as JSON, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(plan.model_dump(mode="json"), indent=1) + "\n")
    partial.replace(path)


def load_plan(path: Path) -> Plan:
    """Read a plan; raises ValueError naming the file and the field that is wrong."""
    try:
        return Plan.model_validate_json(path.read_text())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise one_line(error, str(path)) from None
