"""Fronts of residual networks against every combination of choices, and their plans from graph to simulation."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec, Node, Pool, Reshape
from qtt_hw.window import Window
from rtl_gen.cycles import predict
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, Device, Resources, device
from rtl_gen.fifo import fifo_resources
from rtl_gen.host_link import buffer_resources, buffered_words
from rtl_gen.kinds import kind_of
from rtl_gen.plan.derive import design_brams
from rtl_gen.plan.front import Items, Join, Slot, fronts, solve
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.plan import load_plan, save_plan
from rtl_gen.plan.problem import Problem, along
from rtl_gen.plan.search import plan
from rtl_gen.plan.totals import Budget
from rtl_gen.topology import SOURCE, Topology, compatible
from sim.cosim import cosim

FORMAT = Format(6, True, 2)
SAME = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
HALF = Window((1, 3, 3), (1, 2, 2), ((0, 0), (1, 1), (1, 1)))


class Network:
    """A residual network written down by hand."""

    def __init__(self, shape: tuple[int, int, int, int]):
        self.edges, self.nodes = {INPUT: Edge(shape, FORMAT)}, list[Node]()
        self.rng = np.random.default_rng(3)

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        self.edges[node.name] = node.output(*(self.edges[name] for name in node.inputs))
        return node.name

    def conv(self, name: str, source: str, channels: int, window: Window = SAME, layer: str | None = None) -> str:
        weight = self.rng.integers(-7, 8, (channels, *window.kernel, self.edges[source].channels))
        narrow = Format(4, True, 3, narrow=True)
        return self.add(Contraction(name, (source,), layer or name, window, weight, narrow, Requantizer(FORMAT, 4)))

    def sum(self, name: str, a: str, b: str) -> str:
        return self.add(Add.aligned(name, (a, b), name, self.edges[a].format, self.edges[b].format, FORMAT))

    def graph(self, source: str) -> Graph:
        edge = self.edges[source]
        flat = self.add(Reshape("flat", (source,), "flat", (1, 1, 1, edge.positions * edge.channels)))
        self.conv("head", flat, 3, Window())
        return Graph("residual", InputSpec(self.edges[INPUT], self.edges[INPUT].shape), tuple(self.nodes))


def identity() -> Graph:
    net = Network((1, 3, 3, 2))
    start = net.conv("start", INPUT, 4, Window())
    return net.graph(net.sum("sum", net.conv("one", start, 4), start))


def projection() -> Graph:
    net = Network((1, 5, 5, 2))
    inner = net.conv("one", INPUT, 3, HALF)
    return net.graph(net.sum("sum", inner, net.conv("short", INPUT, 3, Window(stride=(1, 2, 2)))))


def nested() -> Graph:
    net = Network((1, 3, 3, 3))
    one = net.add(Pool("one", (INPUT,), "one", "max", SAME))
    inner = net.sum("inner", one, INPUT)
    return net.graph(net.sum("outer", net.conv("two", inner, 3, Window()), INPUT))


def sixes() -> Graph:
    """A stream whose readers' widths can disagree: words of two values and words of three."""
    net = Network((1, 1, 2, 2))
    start = net.conv("start", INPUT, 6, Window())
    inner = net.add(Pool("inner", (start,), "inner", "max", Window()))
    return net.graph(net.sum("sum", inner, start))


GRAPHS = {"sixes": sixes, "identity": identity, "projection": projection, "nested": nested}


def parts(items: Items) -> list[Slot | Join]:
    """Slots and blocks, those within branches too."""
    found: list[Slot | Join] = []
    for item in items:
        if isinstance(item, Join):
            found += parts(item.branches[0]) + parts(item.branches[1])
        found.append(item)
    return found


def every_total(problem: Problem, cycles: int) -> set[tuple[int, int, int]]:
    """Resources of all combinations of choices in which every reader can take its stream's words.

    Nothing of the nesting is used here but who reads what.
    """
    graph, found = problem.graph, set()
    topology = Topology.of(graph)
    by_name = {part.name: part for part in parts(problem.items)}
    options = []
    for name in _stages(graph):
        part = by_name[name]
        if isinstance(part, Join):
            ways = list(part.choices.choices.items())
        else:
            (stage,) = part.paths[""]
            # every width that some reader could want, one reader's wish at a time
            wishes = [frozenset({lanes}) for lanes in range(1, stage.made + 1)]
            ways = [(width, choice) for width in stage.widths for wish in wishes for choice in stage.of(width, wish)]
        options.append({(width, c.folding.lanes, c.resources) for width, c in ways if c.cycles <= cycles})
    for taken in itertools.product(*options):
        widths = [width for width, _, _ in taken]
        reads = ((source, widths[number]) for number, sources in enumerate(topology.reads) for source in sources)
        joins = {number for number, sources in enumerate(topology.reads) if len(sources) > 1}
        # Words are not split before a sum, which would cost cycles.
        whole = all(
            source == SOURCE or widths[number] % taken[source][1] == 0
            for number in joins
            for source in topology.reads[number]
        )
        if whole and all(source == SOURCE or compatible(taken[source][1], width) for source, width in reads):
            if _input_fits(graph, topology, widths):
                total = sum((resources for _, _, resources in taken), Resources())
                found.add((total.dsps, total.brams, total.luts))
    return found


def _input_fits(graph: Graph, topology: Topology, widths: list[int]) -> bool:
    readers = [widths[reader.stage] for reader in topology.readers[SOURCE]]
    channels = graph.input.edge.channels
    return any(all(compatible(n, w) for w in readers) for n in range(1, channels + 1) if channels % n == 0)


def least(points: set[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
    """Those that no other one beats."""
    return {p for p in points if not any(o != p and all(a <= b for a, b in zip(o, p, strict=True)) for o in points)}


@pytest.mark.parametrize(("name", "cycles"), [(name, cycles) for name in GRAPHS for cycles in (9, 150, 500)])
def test_the_front_is_the_front_of_all_combinations(name: str, cycles: int) -> None:
    problem = Problem.of(GRAPHS[name](), {}, ECP5)
    totals = every_total(problem, cycles)
    if not totals:
        assert solve(problem.items, cycles, Budget(None, None, None, (1.0, 1.0, 1.0))) is None
        return
    found = fronts(problem.items, cycles, Budget(10**3, 10**3, 10**6, (0.0, 0.0, 1.0)))
    points = {p for f in found.values() for p in zip(f.dsps.tolist(), f.brams.tolist(), f.rest.tolist(), strict=True)}
    assert least(points) == least(totals)
    # and the choices that are traced back cost what the front says
    prices = (1 / 156, 1 / 208, 1 / 83640)
    for dsps in sorted({d for d, _, _ in totals})[:3]:
        budget = Budget(dsps, 10**3, 10**6, prices)
        solution = solve(problem.items, cycles, budget)
        within = [Resources(*t) for t in totals if t[0] <= dsps]
        assert solution is not None
        assert budget.price(solution.resources) == pytest.approx(min(map(budget.price, within)), rel=1e-12)
        specs = stage_specs(problem.graph, [(n, problem.foldings(solution)[n]) for n in _stages(problem.graph)], ECP5)
        assert all(spec.cycles <= cycles for spec in specs)


def _stages(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes if not isinstance(node, Reshape)]


@pytest.mark.parametrize("name", GRAPHS)
def test_a_plan_s_fifos_and_cycles_are_the_event_model_s(name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]()
    found = plan(graph, device("ecp5-12f"))
    save_plan(found, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == found
    specs = stage_specs(graph, [(s.stage, s.folding) for s in found.stages], ECP5)
    topology = Topology.of(graph, found.fifo_depths)
    expected = predict(specs, found.input_lanes, classes=3, topology=topology)
    assert found.predicted == expected
    assert [fifo.stage for fifo in found.fifos] == [n.name for n in graph.nodes if isinstance(n, Add)]
    assert all(1 <= fifo.least <= fifo.depth for fifo in found.fifos)
    costs = [fifo_resources(fifo.depth, fifo.width, ECP5) for fifo in found.fifos]
    assert [(c.brams, c.luts) for c in costs] == [(fifo.brams, fifo.luts) for fifo in found.fifos]
    target, edge = device("ecp5-12f"), graph.input.edge
    bits, words = found.input_lanes * edge.format.bits, edge.positions * edge.channels // found.input_lanes
    used = design_brams(found) + ECP5.overhead.brams
    depth = buffered_words(bits, words, ECP5.memory, target.brams, used)
    board = ECP5.overhead + buffer_resources(bits, words, depth, ECP5.memory)
    luts = sum(s.luts for s in found.stages) + sum(f.luts for f in found.fifos)
    assert found.luts == luts + found.link_luts + board.luts
    assert found.link_luts > 0  # of the fork at least
    assert found.brams == design_brams(found) + board.brams


def test_fifos_that_do_not_fit_beside_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Device("toy", dsps=20, brams=40, luts=40000)
    monkeypatch.setattr("rtl_gen.plan.search.fifo_resources", lambda depth, width, family: Resources(brams=40))
    full = r"does not fit toy \(brams 10\d % of the usable 40\); .* brams in .*; it fits ecp5-25f"
    with pytest.raises(ValueError, match=full):
        plan(identity(), toy, fps=1000)
    # What they are expected to take is kept free; where they take ever more, it is said.
    costs = (Resources(luts=n) for n in (10, *range(900, 1700, 100)))
    for module in ("search", "derive"):
        monkeypatch.setattr(f"rtl_gen.plan.{module}.fifo_resources", lambda depth, width, family: next(costs))
    message = r"what stands between and before its stages takes 0 block RAMs and 16\d\d LUTs, which do not fit toy"
    with pytest.raises(ValueError, match=message):
        plan(identity(), replace(toy, luts=5600))


def test_a_layer_of_a_block_goes_another_way() -> None:
    """The readers of a layer's end read the end of what stands in its place."""
    net = Network((1, 3, 3, 2))
    one = net.conv("one", INPUT, 2, layer="layer")
    graph = net.graph(net.sum("sum", one, INPUT))
    inner = Network((1, 3, 3, 2))
    inner.conv("layer.end", inner.conv("layer.start", INPUT, 4, layer="layer"), 2, Window(), layer="layer")
    paths = {"layer": {"whole": (graph.nodes[0],), "apart": tuple(inner.nodes)}}
    changed = along(graph, paths, {"layer": "apart"})
    assert [(node.name, node.inputs) for node in changed.nodes][:3] == [
        ("layer.start", (INPUT,)),
        ("layer.end", ("layer.start",)),
        ("sum", ("layer.end", INPUT)),
    ]
    assert changed.output == graph.output
    found = plan(graph, device("ecp5-25f"), alternatives=paths)
    assert set(found.chosen_paths) == {"layer"}
    assert {path.path for path in found.paths} == {"whole", "apart"}


def test_from_the_graph_to_the_simulation(tmp_path: Path) -> None:
    """Two strided and plain blocks, through Verilog: every stage equal, the cycles as planned, with stalls too."""
    net = Network((1, 8, 8, 3))
    start = net.conv("start", INPUT, 4)
    first = net.sum("first", net.conv("b", net.conv("a", start, 4), 4), start)
    second = net.sum("second", net.conv("c", first, 6, HALF), net.conv("d", first, 6, Window(stride=(1, 2, 2))))
    graph = net.graph(second)
    found = plan(graph, device("ecp5-25f"), fps=60_000)  # a small design, soon compiled
    manifest = emit(graph, tmp_path / "build", found, taps=True)
    assert [tap.stage for tap in manifest.taps] == _stages(graph)
    x = np.random.default_rng(7).integers(FORMAT.minimum, FORMAT.maximum + 1, (12, 1, 8, 8, 3))
    result = cosim(tmp_path / "build", x)
    assert result.equal and result.cycles_equal is True
    assert cosim(tmp_path / "build", x, stalls=("mostly", "bursty"), seed=1).equal


@pytest.mark.parametrize("name", GRAPHS)
def test_a_frame_rate_is_reached_by_the_predicted_cycles(name: str) -> None:
    """Stages wait for each other, so that the slowest of them alone does not say how fast a plan is."""
    graph = GRAPHS[name]()
    fastest = plan(graph, device("ecp5-25f"))
    for share in (0.3, 0.55, 0.8):
        wanted = share * fastest.frames_per_second
        assert plan(graph, device("ecp5-25f"), fps=wanted).frames_per_second >= wanted


def test_a_sum_reads_no_words_that_it_would_have_to_split() -> None:
    (sums,) = [node for node in identity().nodes if isinstance(node, Add)]
    edge = identity().edges[sums.inputs[0]]
    choices = kind_of(sums).choices(sums, (edge, edge), (edge.channels, edge.channels), ECP5)
    for lanes in choices.choices:
        assert all(lanes % width == 0 for widths in choices.reads(lanes) for width in widths)


def test_emit_refuses_other_fifos(tmp_path: Path) -> None:
    found = plan(identity(), device("ecp5-25f"))
    (fifo,) = found.fifos
    for depth in (fifo.least - 1, fifo.depth - 1, fifo.depth + 1):
        other = found.model_copy(update={"fifos": (fifo.model_copy(update={"depth": depth}),)})
        with pytest.raises(
            ValueError, match=rf"fifos\.sum\.depth: the plan says {depth}, of the model it is {fifo.depth}"
        ):
            emit(identity(), tmp_path / "build", other)
    with pytest.raises(ValueError, match=r"fifos: the plan says \[\], of the model it is \['sum'\]"):
        emit(identity(), tmp_path / "build", found.model_copy(update={"fifos": ()}))
    other = fifo.model_copy(update={"stage": found.stages[0].stage, "input": 0})
    with pytest.raises(ValueError, match=f"the plan: stage {other.stage}: reads one stream, a FIFO stands at a sum"):
        emit(identity(), tmp_path / "build", found.model_copy(update={"fifos": (other,)}))
    assert not (tmp_path / "build").exists()
    save_plan(found.model_copy(update={"fifos": (fifo.model_copy(update={"depth": 0}),)}), tmp_path / "p.json")
    with pytest.raises(ValueError, match=r"p.json: fifos.0.depth: Input should be greater than or equal to 1"):
        load_plan(tmp_path / "p.json")
