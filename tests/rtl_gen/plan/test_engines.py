"""Engines in the search: the best of every cut, shape and kind of lane, and plans of committed networks with them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec
from qtt_hw.graph.file import load
from qtt_hw.window import Window
from rtl_gen.families import ECP5, Resources, device
from rtl_gen.kinds.choices import Choice, Lanes, StageChoices, readable
from rtl_gen.plan.engines import _RESULTS, EngineChoice, EngineChoices, Engines
from rtl_gen.plan.explain import explained
from rtl_gen.plan.front import fronts, solve
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.problem import Problem
from rtl_gen.plan.search import plan
from rtl_gen.plan.totals import Budget

BYTES = Format(8, True, 4)


#: A window, one along an axis, a pointwise one, and one over the whole map.
LAYERS = (
    (8, Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))),
    (8, Window((1, 1, 3), padding=((0, 0), (0, 0), (1, 1)))),
    (4, Window()),
    (4, Window((1, 6, 6))),
)


def graph_of(layers: Sequence[tuple[int, Window]]) -> Graph:
    rng = np.random.default_rng(5)
    first = x = Edge((1, 6, 6, 8), BYTES)
    source, nodes = INPUT, []
    for number, (made, window) in enumerate(layers):
        weight = as_integers(rng.integers(-7, 8, (made, *window.kernel, x.channels)))
        fmt = Format(4, True, 3, narrow=True)
        nodes.append(Contraction(f"s{number}", (source,), f"s{number}", window, weight, fmt, Requantizer(BYTES, 4)))
        x, source = nodes[-1].output(x), f"s{number}"
    return Graph("net", InputSpec(first, first.shape), tuple(nodes))


def stages_of(problem: Problem) -> list[StageChoices]:
    return [next(iter(slot.paths.values()))[0] for slot in problem.slots]


def cuts(count: int) -> Iterator[list[range]]:
    """Every way to cut so many stages into runs."""
    for places in itertools.product([False, True], repeat=count - 1):
        bounds = [0, *(k + 1 for k, cut in enumerate(places) if cut), count]
        yield [range(a, b) for a, b in itertools.pairwise(bounds)]


def exact_engines(engines: Engines, stages: list[StageChoices], width: int, behind: Lanes, cycles: int) -> list[Choice]:
    """Of each kind of lane the fewest results that keep up, all known exactly."""
    choices = engines.of(tuple(stage.node.name for stage in stages))
    found: dict[str, Choice] = {}
    for pe in _RESULTS:
        for draft in choices._of_shape(width, pe, behind):
            choice = choices.exact(draft)
            if choice is not None and choice.cycles <= cycles:
                found.setdefault(draft.multiplier, choice)
    return list(found.values())


def every_network(problem: Problem, cycles: int) -> Iterator[Resources]:
    """What all combinations of cuts, widths and choices take."""
    stages, engines = stages_of(problem), Engines(problem.graph, ECP5)
    for runs in cuts(len(stages)):
        parts = [[stages[k] for k in run] for run in runs]
        widths = [
            part[0].widths if len(part) == 1 else engines.of(tuple(stage.node.name for stage in part)).widths
            for part in parts
        ]
        for chosen in itertools.product(*widths):
            options: list[list[Choice]] = []
            for part, width, reader in zip(parts, chosen, (*chosen[1:], 1), strict=True):
                behind = readable(part[-1].made, reader)
                alone = len(part) == 1
                found = part[0].of(width, behind) if alone else exact_engines(engines, part, width, behind, cycles)
                options.append([choice for choice in found if choice.cycles <= cycles])
            for taken in itertools.product(*options):
                yield sum((choice.resources for choice in taken), Resources())


@pytest.mark.parametrize(
    ("cycles", "layers"),
    [
        (12_000, LAYERS[1:]),
        (1_500, LAYERS[1:]),
        *(pytest.param(n, LAYERS, marks=pytest.mark.long) for n in (12_000, 3_000, 1_500)),
    ],
)
def test_the_best_of_all_cuts_and_shapes_is_found(cycles: int, layers: Sequence[tuple[int, Window]]) -> None:
    problem = Problem.of(graph_of(layers), {}, ECP5, engines=True)
    everything = list(every_network(problem, cycles))
    with_engines = 0
    for budget in (
        Budget(156, 208, 80_000, (1 / 156, 1 / 208, 1 / 83640)),
        Budget(None, None, None, (0.0, 0.0, 1.0)),
        Budget(4, 208, 80_000, (1 / 156, 1 / 208, 1 / 83640)),
        Budget(28, 6, 8_000, (1 / 28, 1 / 6, 1 / 8000)),
    ):
        fits = [
            budget.price(r)
            for r in everything
            if (budget.dsps is None or r.dsps <= budget.dsps)
            and (budget.brams is None or r.brams <= budget.brams)
            and (budget.luts is None or r.luts <= budget.luts)
        ]
        found = problem.solve(cycles, budget)
        if not fits:
            assert found is None
            continue
        assert found is not None
        assert budget.price(found.resources) == pytest.approx(min(fits), rel=1e-12)
        with_engines += any(isinstance(choice, EngineChoice) for choice in found.choices)
    assert with_engines, "no engine was better than stages of their own"


def test_without_engines_the_search_is_as_it_was() -> None:
    graph = graph_of(LAYERS)
    problem = Problem.of(graph, {}, ECP5)
    assert problem.engines is None
    budget = Budget(156, 208, 80_000, (1 / 156, 1 / 208, 1 / 83640))
    one, other = solve(problem.items, 3_000, budget), Problem.of(graph, {}, ECP5, engines=True).solve(3_000, budget)
    assert one is not None and other is not None
    assert budget.price(other.resources) <= budget.price(one.resources)
    assert fronts(problem.items, 3_000, budget)


def test_the_modelnet10_network_at_a_rate_shares_one_array() -> None:
    graph = load(Path("models/voxtt-modelnet10.qtt"))
    target = device("ecp5-85f")
    found = plan(graph, target, fps=1000.0, engines=True)
    assert [len(engine.stages) for engine in found.engines] == [20] and len(found.stages) == 1
    assert found.cycles <= 100_000 and found.luts < 4500
    problem = Problem.of(graph, {}, ECP5, engines=True)
    explanation = explained(problem, target, found, with_neighbours=False)
    assert [about.stage for about in explanation.stages] == [spec.name for spec in hardware_of(graph, found)[0]]
    assert explanation.occupancy is not None and explanation.occupancy > 0.92
    assert set(found.units) == {about.stage for about in explanation.stages}


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "fps", "luts"), [("resnet20-cifar10", 707.3, 30_000), ("resnet32-ttlc-cifar10", 1333.3, 25_000)]
)
def test_residual_networks_share_arrays_block_by_block(model: str, fps: float, luts: int) -> None:
    found = plan(load(Path(f"models/{model}.qtt")), device("ecp5-85f"), fps=fps, engines=True)
    inside = [name for engine in found.engines for name in engine.stages]
    assert sum(name.endswith("add") for name in inside) >= 8
    assert found.frames_per_second >= fps and found.luts < luts
    assert not sum(fifo.brams for fifo in found.fifos) > 2  # what is added waits in rings


def residual_graph() -> Graph:
    """A contraction, a block that adds what it reads, and a contraction."""
    rng = np.random.default_rng(5)
    edge, fmt = Edge((1, 6, 6, 8), BYTES), Format(4, True, 3, narrow=True)
    same = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))

    def conv(name: str, source: str, window: Window) -> Contraction:
        weight = as_integers(rng.integers(-7, 8, (8, *window.kernel, 8)))
        return Contraction(name, (source,), name, window, weight, fmt, Requantizer(BYTES, 4))

    total = Add.aligned("sum", ("c", "a"), "sum", BYTES, BYTES, BYTES)
    nodes = conv("a", INPUT, same), conv("b", "a", same), conv("c", "b", same), total, conv("d", "sum", Window())
    return Graph("net", InputSpec(edge, edge.shape), nodes)


#: Every set of runs that do not overlap.
CUTS = [[], ["abc+"], ["abc+d"], ["bc+"], ["bc+d"], ["bc"]]


class Allowed(Engines):
    """Engines of some runs alone."""

    def __init__(self, graph: Graph, cuts: Sequence[str]):
        super().__init__(graph, ECP5)
        self.allowed = [tuple("sum" if one == "+" else one for one in cut) for cut in cuts]

    def runs(self, items: Sequence[Sequence[str]]) -> Iterator[tuple[int, EngineChoices]]:
        return ((count, found) for count, found in super().runs(items) if found.names in self.allowed)


@pytest.mark.parametrize("cycles", [2_000, 6_000])
def test_the_best_of_all_cuts_through_a_block_is_found(cycles: int) -> None:
    graph = residual_graph()
    budget = Budget(None, None, None, (0.0, 0.0, 1.0))
    prices = {}
    for cut in CUTS:
        problem = replace(Problem.of(graph, {}, ECP5), engines=Allowed(graph, cut))
        found = problem.solve(cycles, budget)
        assert found is not None
        prices["".join(cut)] = budget.price(found.resources)
    best = Problem.of(graph, {}, ECP5, engines=True).solve(cycles, budget)
    assert best is not None
    assert budget.price(best.resources) == pytest.approx(min(prices.values()), rel=1e-12)
    assert min(prices, key=lambda cut: prices[cut]).count("+"), prices


def test_layers_that_are_equal_are_told_apart() -> None:
    """They share their choices of foldings, whose node is the first one's."""
    graph = graph_of([*LAYERS[:2], LAYERS[0], *LAYERS[2:]])
    first, second, third, *rest = graph.nodes
    assert isinstance(first, Contraction) and isinstance(third, Contraction)
    graph = replace(graph, nodes=(first, second, replace(third, weight=first.weight), *rest))
    problem = Problem.of(graph, {}, ECP5, engines=True)
    assert problem.slots[0].paths[""][0] is problem.slots[2].paths[""][0]
    found, alone = (plan(graph, device("ecp5-85f"), fps=10_000.0, engines=engines) for engines in (True, False))
    assert found.engines and found.luts < alone.luts
