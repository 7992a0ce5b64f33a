"""The Pareto fronts against every combination of choices, on chains small enough to try them all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Contraction, Edge, Node, Pool
from qtt_hw.window import Window
from rtl_gen.families import ECP5, Resources
from rtl_gen.kinds import kind_of
from rtl_gen.kinds.choices import Choice, StageChoices, readable
from rtl_gen.plan.front import Slot, fronts, solve
from rtl_gen.plan.totals import Budget

RNG = np.random.default_rng(3)
X = Edge((3, 3, 3, 8), Format(8, True, 3))


def core(name: str, out: int, taken: int, lead: int = 1, trail: int = 1, kernel: int = 1) -> Contraction:
    pad = kernel // 2
    window = Window((kernel,) * 3, padding=((pad, pad),) * 3)
    weight = RNG.integers(-7, 8, (out, *(kernel,) * 3, taken))
    fmt = Format(4, True, 3, narrow=True)
    return Contraction(
        name, (INPUT,), name, window, weight, fmt, Requantizer(Format(8, True, 3), 4), lead=lead, trail=trail
    )


def _choices(node: Node, x: Edge) -> StageChoices:
    found: StageChoices = kind_of(node).choices(node, (x,), (x.channels,), ECP5)
    return found


def chain(*nodes: Node) -> tuple[StageChoices, ...]:
    found, x = [], X
    for node in nodes:
        found.append(_choices(node, x))
        x = node.output(x)
    return tuple(found)


def slots() -> list[Slot]:
    """A layer with two paths, a pool, and a layer with one."""
    layer = {
        "0 1": chain(core("a0", 2, 1, trail=8, kernel=3), core("a1", 4, 16)),
        "0-1": chain(core("a", 4, 8, kernel=3)),
    }
    pool = Pool("p", (INPUT,), "p", "max", Window((3, 3, 3)))
    y = Edge((3, 3, 3, 4), Format(8, True, 3))
    z = pool.output(y)
    head = core("h", 2, 4)
    return [Slot("a", layer), Slot("p", {"": (_choices(pool, y),)}), Slot("h", {"": (_choices(head, z),)})]


def every_chain(problem: list[Slot], cycles: int) -> list[tuple[tuple[str, ...], Resources]]:
    """All combinations of paths and choices whose widths agree."""
    found = []
    for texts in itertools.product(*(slot.paths for slot in problem)):
        stages = [stage for slot, text in zip(problem, texts, strict=True) for stage in slot.paths[text]]
        for widths in itertools.product(*(stage.widths for stage in stages)):
            options: list[list[Choice]] = [
                [c for c in stage.of(width, readable(stage.made, behind)) if c.cycles <= cycles]
                for stage, width, behind in zip(stages, widths, (*widths[1:], 1), strict=True)
            ]
            for taken in itertools.product(*options):
                found.append((texts, sum((c.resources for c in taken), Resources())))
    return found


def least(points: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Those that no other one beats."""

    def beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    return {point for point in points if not any(beats(other, point) for other in points)}


@pytest.fixture(scope="module")
def problem() -> list[Slot]:
    return slots()


@pytest.mark.parametrize("cycles", [2000, 900, 500])
def test_the_cheapest_that_fits_is_that_of_all_combinations(problem: list[Slot], cycles: int) -> None:
    everything = every_chain(problem, cycles)
    assert everything
    totals = np.array([(r.dsps, r.brams, r.luts) for _, r in everything])
    tried = set()
    for dsps, brams, luts in itertools.product(*(np.quantile(totals[:, i], (0.0, 0.1, 0.5, 1.0)) for i in range(3))):
        budget = Budget(int(dsps), int(brams), int(luts), (1 / 156, 1 / 208, 1 / 83640))
        fits = [r for _, r in everything if r.dsps <= int(dsps) and r.brams <= int(brams) and r.luts <= int(luts)]
        found = solve(problem, cycles, budget)
        if not fits:
            assert found is None and not fronts(problem, cycles, budget)
            continue
        assert found is not None
        assert min(budget.price(r) for r in fits) == pytest.approx(budget.price(found.resources), rel=1e-12)
        assert found.resources in fits
        tried.add(tuple(found.paths.items()))
    assert tried, "no budget was met"


@pytest.mark.parametrize("cycles", [2000, 500])
def test_the_front_is_the_front_of_all_combinations(problem: list[Slot], cycles: int) -> None:
    totals = {(r.dsps, r.brams, r.luts) for _, r in every_chain(problem, cycles)}
    found = fronts(problem, cycles, Budget(10**3, 10**3, 10**6, (0.0, 0.0, 1.0)))
    points = {p for f in found.values() for p in zip(f.dsps.tolist(), f.brams.tolist(), f.rest.tolist(), strict=True)}
    assert least(points) == least(totals)


def test_without_a_budget_only_the_price_counts(problem: list[Slot]) -> None:
    budget = Budget(None, None, None, (2.0, 3.0, 0.01))
    found = solve(problem, 600, budget)
    assert found is not None
    best = min(budget.price(r) for _, r in every_chain(problem, 600))
    assert budget.price(found.resources) == pytest.approx(best, rel=1e-12)


def test_a_solution_keeps_to_the_cycles_and_its_widths_agree(problem: list[Slot]) -> None:
    found = solve(problem, 500, Budget(156, 208, 80000, (1 / 156, 1 / 208, 1 / 83640)))
    assert found is not None
    chosen = found.choices
    assert all(choice.cycles <= 500 for choice in chosen)
    for one, other in itertools.pairwise(chosen):
        width = other.folding.simd * other.folding.carry
        assert width % one.folding.lanes == 0 or one.folding.lanes % width == 0


def test_too_few_cycles_have_no_chain(problem: list[Slot]) -> None:
    assert solve(problem, 1, Budget(None, None, None, (1.0, 1.0, 1.0))) is None
