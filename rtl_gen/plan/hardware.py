"""A graph's units under a plan, and their connections: what generator and simulation make of a plan file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from qtt_hw.errors import named
from qtt_hw.graph import Graph
from rtl_gen.engine.folding import EngineFolding
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import UNBOUNDED, Family, device, family_named, family_of
from rtl_gen.host_link import single_ports
from rtl_gen.kinds import Folding, Spec, spec_of
from rtl_gen.plan.plan import AnyFolding, Plan, UnitName
from rtl_gen.topology import SOURCE, Topology, compatible

__all__ = ["hardware_of", "left_of_link", "ordered", "stage_specs"]

#: Products that a stage of a plan may form in a step: five times the multipliers of the largest FPGA there is.
MOST_PRODUCTS = 1 << 16


def stage_specs(graph: Graph, foldings: Sequence[tuple[UnitName, AnyFolding]], family: Family) -> list[Spec]:
    """The units of a graph under foldings by stage or engine; raises ValueError naming what does not match."""
    nodes = {node.name: node for node in graph.nodes if not node.relabels}
    listed = [((names,) if isinstance(names, str) else names, folding) for names, folding in foldings]
    given = [name for names, _ in listed for name in names]
    wrong = _strange(nodes, given, [names[0] for names, folding in listed if isinstance(folding, Folding)])
    if wrong is not None:
        raise ValueError(f"the plan does not belong to {graph.name}: {wrong}")
    units = dict(listed)
    of_stage = {name: names for names in units for name in names}
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


def _strange(nodes: Mapping[str, object], given: Sequence[str], own: Sequence[str]) -> str | None:
    """What is wrong with the stages that a plan lists, of which some have units of their own, in a few words."""
    times = Counter(given)
    unknown = next((name for name in given if name not in nodes), None)
    missing = next((name for name in nodes if name not in times), None)
    if unknown is not None:
        return (
            f"stage {unknown} is not in the model"
            if missing is None
            else (f"it has no stage {missing}, but {unknown}, which is not in the model")
        )
    twice = next((name for name in given if times[name] > 1), None)
    if twice is not None:
        return f"stage {twice} stands in it {times[twice]} times"
    if missing is not None:
        return f"it has no stage {missing}"
    chosen = set(own)
    inverted = next((a for a, b in zip(own, (n for n in nodes if n in chosen), strict=True) if a != b), None)
    return None if inverted is None else f"stage {inverted} is out of order"


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
        _check_single_ports(graph, plan, specs)
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


def left_of_link(graph: Graph, specs: Sequence[Spec], input_lanes: int) -> int:
    """Memories of one port that the link, which holds a sample in them, leaves to the stages."""
    memory, edge = specs[0].family.memory, graph.input.edge
    if memory.single_port is None:
        return 0
    words = edge.positions * edge.channels // input_lanes
    return memory.single_port.count - single_ports(memory, input_lanes * edge.format.bits, words)


def _check_single_ports(graph: Graph, plan: Plan, specs: Sequence[Spec]) -> None:
    """Raise ValueError where rings take more memories of one port than the link leaves."""
    taken = [spec for spec in specs if spec.single_ports]
    total, left = sum(spec.single_ports for spec in taken), left_of_link(graph, specs, plan.input_lanes)
    if total > left:
        raise ValueError(f"stage {taken[-1].name}: rings take {total} memories of one port, the link leaves {left}")
