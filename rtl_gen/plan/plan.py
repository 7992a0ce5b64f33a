"""The plan: every stage's folding, what it costs, and the cycles it is predicted to take; a JSON file."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    computed_field,
    model_serializer,
    model_validator,
)

from qtt_hw.files import write_file
from qtt_hw.graph.kinds.concatenation import MOST_STREAMS
from qtt_hw.reading import read_json
from qtt_hw.versions import PLAN
from qtt_hw.window import MOST_CHANNELS
from rtl_gen.engine.folding import EngineFolding, engine_name
from rtl_gen.families import ECP5, Resources
from rtl_gen.kinds import Folding
from rtl_gen.prediction import Mean, Prediction, number_of

__all__ = [
    "CLOCKS",
    "RATES",
    "AnyFolding",
    "EnginePlan",
    "FifoPlan",
    "Foldings",
    "PathPlan",
    "Plan",
    "StagePlan",
    "UnitName",
    "is_plan",
    "load_plan",
    "most_cycles",
    "rate_of",
    "save_plan",
]

#: Frames a second, and MHz, that can be asked for.
RATES, CLOCKS = (1e-6, 1e9), (1e-3, 1e4)

#: Of a stage's unit, or of an engine.
AnyFolding = Folding | EngineFolding

#: A stage with a unit of its own by its name, or an engine's stages by theirs.
UnitName = str | tuple[str, ...]
#: Of every unit.
Foldings = dict[UnitName, AnyFolding]
#: How many there are of something that is counted.
Count = Annotated[int, Field(ge=0, le=1 << 60, strict=True)]
#: Words of a memory, or bits of a word.
Depth = Annotated[int, Field(ge=1, le=1 << 40, strict=True)]


class StagePlan(BaseModel):
    """One stage of a plan; `cycles` is what it needs by itself for one inference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    folding: Folding
    cycles: Count
    multipliers: Count
    dsps: Count
    brams: Count
    luts: Count
    ffs: Count = 0
    rom_bits: Count


class EnginePlan(BaseModel):
    """An engine of a plan, and the stages that it computes; as `StagePlan`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: Annotated[tuple[str, ...], Field(min_length=1)]
    folding: EngineFolding
    cycles: Count
    multipliers: Count
    dsps: Count
    brams: Count
    luts: Count
    ffs: Count = 0
    rom_bits: Count

    @property
    def name(self) -> str:
        """Of its unit in the hardware."""
        return engine_name(self.stages)


class FifoPlan(BaseModel):
    """The FIFO on a short branch of a join, in words of the stream that it delays.

    Attributes
    ----------
    stage : str
        The join.
    input : int
        Which of its inputs.
    least : int
        The least depth without a deadlock.
    depth : int
        The least depth at full rate, which is built.
    width : int
        Bits of a word.
    brams, luts, ffs : int
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    input: int = Field(ge=0, lt=MOST_STREAMS, strict=True)
    least: Depth
    depth: Depth
    width: Depth
    brams: Count
    luts: Count
    ffs: Count = 0


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
    multiplications: Count
    rom_bits: Count
    dsps: Count | None
    brams: Count | None
    luts: Count | None


class Plan(BaseModel):
    """A folding of a whole network.

    Attributes
    ----------
    version : int
        4 is written. Before it the host's link had another buffer; before 3 LUTs were estimated otherwise, and
        flip-flops not at all; of version 1 the prediction's transient is not known.
    device, family : str
        The FPGA whose budget it keeps, and the family for which it is: costs and latencies are that family's.
    predicted : Prediction
        The end of every inference.
    utilization : float
        Part of the mean interval in which the busiest stage makes a step (`rtl_gen.plan.occupancy.busy`).
    multipliers : int
        That form the products of a cycle, of all stages together; lanes that shift have none.
    dsps, brams, luts, ffs : int
        Predicted MULT18X18D, DP16KD, LUTs as `rtl_gen.families.Resources` counts them, and flip-flops.
    link_luts, link_ffs : int
        Of `luts` and `ffs`, what forks, splitters and gatherers between the stages take; version 1 did not count them.
    rom_bits : int
        Weights in ROM.
    stages : tuple of StagePlan
        Those with a unit of their own.
    engines : tuple of EnginePlan
    fifos : tuple of FifoPlan
        Of every sum.
    paths : tuple of PathPlan
        Every path of every layer whose path was free to choose.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: int = PLAN.written
    model: str
    device: str
    family: str = ECP5.name
    clock_mhz: float = Field(ge=CLOCKS[0], le=CLOCKS[1], strict=True)
    input_lanes: int = Field(ge=1, le=MOST_CHANNELS, strict=True)
    predicted: Prediction
    bottleneck: str
    utilization: float
    multipliers: Count
    dsps: Count
    brams: Count
    luts: Count
    ffs: Count = 0
    link_luts: Count = 0
    link_ffs: Count = 0
    rom_bits: Count
    stages: tuple[StagePlan, ...]
    engines: tuple[EnginePlan, ...] = ()
    fifos: tuple[FifoPlan, ...] = ()
    paths: tuple[PathPlan, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        """Of a known version; cycles and latency stand in JSON for those who read it, and must be the prediction's."""
        if not isinstance(given, dict):
            return given
        rest = {name: value for name, value in given.items() if name not in ("cycles", "latency")}
        version = PLAN.check(given.get("version", 1 if "predicted" not in given else 2))
        if version == 1 and "predicted" not in given:
            absent = [name for name in ("cycles", "latency") if name not in given]
            if absent:
                raise ValueError(f"{absent[0]}: Field required")
            return rest | {"version": 1, "predicted": {"interval": given["cycles"], "latency": given["latency"]}}
        if len(rest) < len(given):
            predicted = Prediction.model_validate(given.get("predicted"))
            for name, wanted in (("cycles", number_of(predicted.mean)), ("latency", predicted.latency)):
                if name in given and given[name] != wanted:
                    raise ValueError(f"{name}: {given[name]!r} is given, that of the prediction is {wanted}")
        return rest

    @computed_field  # type: ignore[prop-decorator]
    @property
    def cycles(self) -> Mean:
        """Mean number of cycles from one inference's end to the next, once the intervals repeat."""
        return self.predicted.mean

    @computed_field  # type: ignore[prop-decorator]
    @property
    def latency(self) -> int:
        """Cycles from the first input to the last output of the first inference."""
        return self.predicted.latency

    @property
    def resources(self) -> Resources:
        """All that it takes, the overhead included."""
        return Resources(self.dsps, self.brams, self.luts, self.ffs)

    @property
    def chosen_paths(self) -> dict[str, str]:
        """The path by layer, where it was free to choose: what `qtt train --plan` takes over."""
        return {path.layer: path.path for path in self.paths if path.chosen}

    @property
    def fifo_depths(self) -> dict[tuple[str, int], int]:
        """The depth of each FIFO that is built, by its sum and the sum's input."""
        return {(fifo.stage, fifo.input): fifo.depth for fifo in self.fifos}

    @property
    def units(self) -> dict[str, StagePlan | EnginePlan]:
        """Of every stage with a unit of its own, and every engine, by its name in the hardware."""
        return {**{stage.stage: stage for stage in self.stages}, **{e.name: e for e in self.engines}}

    @property
    def foldings(self) -> list[tuple[UnitName, AnyFolding]]:
        """Of every unit, by the name of its stage or the names of an engine's."""
        return [*((s.stage, s.folding) for s in self.stages), *((e.stages, e.folding) for e in self.engines)]

    @model_serializer(mode="wrap")
    def _without_no_engines(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As older readers take it: of a plan without engines nothing is said of them."""
        found: dict[str, Any] = handler(self)
        return {name: value for name, value in found.items() if name != "engines" or value}

    @property
    def frames_per_second(self) -> float:
        """Frames a second at the plan's clock, by the mean of the intervals."""
        return rate_of(self.clock_mhz, self.cycles)


def rate_of(clock_mhz: float, cycles: Fraction | int) -> float:
    """Frames a second of a design that takes so many cycles for each, on average."""
    return clock_mhz * 1e6 * cycles.denominator / cycles.numerator


def most_cycles(clock_mhz: float, fps: float) -> int:
    """The greatest whole number of cycles at which a design makes so many frames a second; 0 when none does."""
    near = int(clock_mhz * 1e6 / fps)  # of a rounded quotient
    return next((n for n in (near + 1, near) if n > 0 and rate_of(clock_mhz, n) >= fps), max(near - 1, 0))


def save_plan(plan: Plan, path: Path) -> None:
    """Write the plan as JSON, whole or not at all."""
    write_file(path, json.dumps(plan.model_dump(mode="json"), indent=1) + "\n")


def is_plan(path: Path) -> bool:
    """Whether a file says of itself what a plan does; it may be of another version."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"version", "model", "device", "stages"} <= set(found)


def load_plan(path: Path) -> Plan:
    """Read a plan; raises ValueError naming the file and the field that is wrong."""
    return read_json(path, Plan)
