"""What follows from a folding: the lanes of the input, the FIFOs, all costs and the predicted cycles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from qtt_hw.graph import Graph
from qtt_hw.progress import Progress, silent
from rtl_gen.argmax import output_layout
from rtl_gen.cycles import predict
from rtl_gen.depths import FifoDepth, fifo_depths
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import DEVICES, Resources, family_named
from rtl_gen.fifo import fifo_resources
from rtl_gen.host_link import beside_buffer, buffer_resources, buffered_words
from rtl_gen.kinds import Spec
from rtl_gen.kinds.choices import readable
from rtl_gen.period import NotPeriodic
from rtl_gen.plan.links import link_resources
from rtl_gen.plan.occupancy import busy
from rtl_gen.plan.plan import EnginePlan, FifoPlan, PathPlan, Plan, StagePlan
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["beside_stages", "derived", "design_brams", "input_lanes"]


def input_lanes(graph: Graph, specs: Sequence[Spec], topology: Topology) -> int:
    """The most values in an input word, up to the widest that a stage takes, whose words all readers can take."""
    readers = [specs[reader.stage] for reader in topology.readers[SOURCE]]
    found = readable(graph.input.edge.channels, 1)
    for spec in readers:
        lanes = readable(graph.input.edge.channels, spec.in_width)
        # A sum splits no words, which costs cycles.
        found &= frozenset(n for n in lanes if spec.in_width % n == 0) if not spec.gathers else lanes
    widest = max(spec.in_width for spec in readers)
    if len(readers) == 1 and widest > graph.input.edge.channels:
        found |= {widest}  # neighbouring positions in a word
    return max(lanes for lanes in found if lanes <= widest)


def derived(
    graph: Graph,
    specs: Sequence[Spec],
    device: str,
    clock_mhz: float,
    paths: Sequence[PathPlan] = (),
    fifos: Mapping[tuple[str, int], int] | None = None,
    progress: Progress = silent,
) -> Plan:
    """The plan file's content for the given stages.

    Parameters
    ----------
    graph : Graph
    specs : sequence of Spec
    device : str
        Its name.
    clock_mhz : float
    paths : sequence of PathPlan
    fifos : mapping, optional
        Depths as they may be, by the name of the sum and its input: where they are, that is found sooner.
    progress : Progress

    Raises
    ------
    ValueError
        When the network hangs, naming the stage, or its intervals do not repeat.
    """
    engines = [spec.names for spec in specs if isinstance(spec, EngineSpec)]
    topology, classes = Topology.of(graph, engines=engines), math.prod(graph.output.shape)
    lanes = input_lanes(graph, specs, topology)
    numbers = {spec.node.name: number for number, spec in enumerate(specs)}
    depths = fifo_depths(
        *(specs, lanes, topology),
        classes=classes,
        hints={Reader(numbers[name], k): depth for (name, k), depth in (fifos or {}).items() if name in numbers},
        progress=progress,
    )
    topology = topology.with_fifos({depth.reader: depth.full for depth in depths})
    plans = [_fifo_plan(graph, specs, lanes, topology, depth) for depth in depths]
    progress("prediction of cycles", text="the first inference")
    try:
        prediction = predict(
            *(specs, lanes),
            classes=classes,
            topology=topology,
            progress=progress,
        )
    except NotPeriodic as error:
        raise ValueError(f"{graph.name}: {error}") from None
    each = [spec.resources() for spec in specs]
    links = link_resources(specs, topology, lanes)
    family = specs[0].family
    total = sum(each, _of_fifos(plans)) + links
    edge = graph.input.edge
    memory = family.memory
    bits, words = lanes * edge.format.bits, edge.positions * edge.channels // lanes
    total += beside_buffer(bits, output_layout(specs[-1].out.format, classes).size, classes + 1, family)
    brams = DEVICES[device].brams if device in DEVICES else total.brams  # no more are known of a device of one's own
    total += buffer_resources(bits, words, buffered_words(bits, words, memory, brams, total.brams), memory)
    bottleneck = max(specs, key=lambda spec: spec.cycles)
    return Plan(
        model=graph.name,
        device=device,
        family=family.name,
        clock_mhz=clock_mhz,
        input_lanes=lanes,
        predicted=prediction,
        bottleneck=bottleneck.name,
        utilization=round(float(busy(bottleneck, prediction.mean)), 6),
        multipliers=sum(spec.multipliers for spec in specs),
        dsps=total.dsps,
        brams=total.brams,
        luts=total.luts,
        ffs=total.ffs,
        link_luts=links.luts,
        link_ffs=links.ffs,
        rom_bits=sum(spec.rom_bits for spec in specs),
        stages=tuple(
            StagePlan(stage=spec.node.name, **_of_unit(spec, cost))
            for spec, cost in zip(specs, each, strict=True)
            if not isinstance(spec, EngineSpec)
        ),
        engines=tuple(
            EnginePlan(stages=spec.names, **_of_unit(spec, cost))
            for spec, cost in zip(specs, each, strict=True)
            if isinstance(spec, EngineSpec)
        ),
        fifos=tuple(plans),
        paths=tuple(paths),
    )


def _of_unit(spec: Spec, cost: Resources) -> dict[str, Any]:
    """What a plan says of a unit that takes so much."""
    return {
        "folding": spec.folding,
        "cycles": spec.cycles,
        "multipliers": spec.multipliers,
        "dsps": cost.dsps,
        "brams": cost.brams,
        "luts": cost.luts,
        "ffs": cost.ffs,
        "rom_bits": spec.rom_bits,
    }


def _of_fifos(fifos: Sequence[FifoPlan]) -> Resources:
    return sum((Resources(brams=fifo.brams, luts=fifo.luts, ffs=fifo.ffs) for fifo in fifos), Resources())


def beside_stages(plan: Plan) -> Resources:
    """What a plan has between and before its stages: FIFOs, forks and changes of width, and the host's buffer."""
    overhead, units = family_named(plan.family).overhead, plan.units.values()
    return Resources(
        brams=plan.brams - overhead.brams - sum(unit.brams for unit in units),
        luts=plan.luts - overhead.luts - sum(unit.luts for unit in units),
        ffs=plan.ffs - overhead.ffs - sum(unit.ffs for unit in units),
    )


def design_brams(plan: Plan) -> int:
    """Block RAMs of a plan's design, without the board's."""
    units = sum(stage.brams for stage in plan.stages) + sum(engine.brams for engine in plan.engines)
    return units + sum(fifo.brams for fifo in plan.fifos)


def _fifo_plan(graph: Graph, specs: Sequence[Spec], in_lanes: int, topology: Topology, depth: FifoDepth) -> FifoPlan:
    """The FIFO of a sum as the plan file has it."""
    node, source = specs[depth.reader.stage].node, topology.reads[depth.reader.stage][depth.reader.input]
    lanes = in_lanes if source == SOURCE else specs[source].folding.lanes
    width = lanes * graph.edges[node.inputs[depth.reader.input]].format.bits
    cost = fifo_resources(depth.full, width, specs[0].family)
    return FifoPlan(
        stage=node.name,
        input=depth.reader.input,
        least=depth.least,
        depth=depth.full,
        width=width,
        brams=cost.brams,
        luts=cost.luts,
        ffs=cost.ffs,
    )
