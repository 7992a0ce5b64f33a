"""The plan: every stage's folding, what it costs, and the cycles it is predicted to take; a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
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

from qtt_hw.errors import named
from qtt_hw.files import write_file
from qtt_hw.graph import Graph
from qtt_hw.graph.kinds.concatenation import MOST_STREAMS
from qtt_hw.reading import read_json
from qtt_hw.versions import PLAN
from qtt_hw.window import MOST_CHANNELS
from rtl_gen.engine.folding import EngineFolding, engine_name
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import ECP5, UNBOUNDED, Family, Resources, device, family_named, family_of
from rtl_gen.kinds import Folding, Spec, spec_of
from rtl_gen.prediction import Mean, Prediction, number_of
from rtl_gen.topology import SOURCE, Topology, compatible

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
    "hardware_of",
    "is_plan",
    "load_plan",
    "most_cycles",
    "ordered",
    "rate_of",
    "save_plan",
    "stage_specs",
]

#: Products that a stage of a plan may form in a step: five times the multipliers of the largest FPGA there is.
MOST_PRODUCTS = 1 << 16

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


def stage_specs(graph: Graph, foldings: Sequence[tuple[UnitName, AnyFolding]], family: Family) -> list[Spec]:
    """The units of a graph under foldings by stage or engine; raises ValueError naming what does not match."""
    nodes = {node.name: node for node in graph.nodes if not node.relabels}
    units = {(names,) if isinstance(names, str) else names: folding for names, folding in foldings}
    given = [name for names in units for name in names]
    of_stage = {name: names for names in units for name in names}
    own = [name for names, folding in units.items() if isinstance(folding, Folding) for name in names]
    in_order = [name for name in nodes if name in set(own)] == own
    if set(given) != set(nodes) or len(given) != len(nodes) or not in_order:
        strange = next((n for n in given if n not in nodes or given.count(n) > 1 or not in_order), None)
        missing = next((n for n in nodes if n not in of_stage), None)
        raise ValueError(
            f"the plan does not belong to {graph.name}: "
            + (f"it has no stage {missing}" if missing else f"stage {strange} is not in the model, or out of order")
        )
    found: list[Spec] = []
    for name, node in nodes.items():
        names = of_stage[name]
        folding = units[names]
        if isinstance(folding, EngineFolding):
            if name == names[0]:
                found.append(EngineSpec(Segment.of(graph, names), folding, family))
        else:
            found.append(spec_of(node, [graph.edges[source] for source in node.inputs], folding, family))
    return found


def ordered(graph: Graph, foldings: Mapping[UnitName, AnyFolding]) -> list[tuple[UnitName, AnyFolding]]:
    """Foldings in the order of a graph's stages."""
    units = {name: unit for unit in foldings for name in ((unit,) if isinstance(unit, str) else unit[:1])}
    return [(units[node.name], foldings[units[node.name]]) for node in graph.nodes if node.name in units]


def hardware_of(
    graph: Graph, plan: Plan, where: object = "the plan", *, exchangeable: bool = False
) -> tuple[list[Spec], Topology]:
    """The hardware stages of a graph under a plan, and what each reads, after every check that needs no schedule.

    Parameters
    ----------
    graph : Graph
    plan : Plan
        Anybody's: what it says of a stage must fit it, words must fit their readers, and no memory may be larger than
        what it serves can make use of.
    where : object
        What an error begins with: the plan's file.
    exchangeable : bool
        All ROMs in block RAM.

    Raises
    ------
    ValueError
        Naming the stage and the choice that does not fit.
    """
    with named(where):
        family, target = family_named(plan.family), device(plan.device)
        if target is not UNBOUNDED and family_of(target) is not family:
            raise ValueError(f"family: {plan.device} is of the family {family_of(target).name}, not {plan.family}")
        if exchangeable:
            family = replace(family, memory=replace(family.memory, exchangeable=True))
        specs = stage_specs(graph, plan.foldings, family)
        topology = Topology.of(graph, plan.fifo_depths, [engine.stages for engine in plan.engines])
        for spec in specs:
            spec.check_depths()
            if spec.products > MOST_PRODUCTS:
                name, count = spec.node.name, spec.products
                raise ValueError(f"stage {name}: {count} products a step, {MOST_PRODUCTS} are the most")
        _check_words(graph, plan, specs, topology)
        _check_fifos(graph, plan, specs, topology)
        return specs, topology


def _check_words(graph: Graph, plan: Plan, specs: Sequence[Spec], topology: Topology) -> None:
    """Raise ValueError where a stage cannot take the words that it reads."""
    channels, values = graph.input.edge.channels, graph.input.edge.channels * graph.input.edge.positions
    if channels % plan.input_lanes and (plan.input_lanes % channels or values % plan.input_lanes):
        raise ValueError(
            f"input_lanes {plan.input_lanes} does not divide the input's {channels} channels, nor is it those of some "
            f"positions that divide all {values} values"
        )
    for spec, sources in zip(specs, topology.reads, strict=True):
        for source in sources:
            lanes = plan.input_lanes if source == SOURCE else specs[source].folding.lanes
            if not compatible(lanes, spec.in_width):
                what = "the input" if source == SOURCE else f"stage {specs[source].node.name}"
                raise ValueError(
                    f"stage {spec.name}: reads words of {spec.in_width} values, "
                    f"those of {what} have {lanes}; one must divide the other"
                )


def _check_fifos(graph: Graph, plan: Plan, specs: Sequence[Spec], topology: Topology) -> None:
    """Raise ValueError where a FIFO is deeper than the branch beside it can fall behind.

    No stage holds more than three inferences: two in its ring, what its stride passes over, and less in its queue.
    """
    words = graph.input.edge.positions * graph.input.edge.channels // plan.input_lanes
    for reader, depth in topology.fifos.items():
        source = topology.reads[reader.stage][reader.input]
        passing = words if source == SOURCE else specs[source].out_words
        most = 4 * len(specs) * passing + specs[0].family.memory.deepest_block
        if depth is not None and depth > most:
            raise ValueError(
                f"stage {specs[reader.stage].node.name}: a FIFO of {depth} words is more than it can use, {most}"
            )


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
