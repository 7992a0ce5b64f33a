"""Bounds told by bits, against comparisons, on every value."""

from __future__ import annotations

import pytest
from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.sim import Simulator

from rtl_gen.engine.ranges import exceeds, falls_below

BITS = 7


@pytest.mark.parametrize(
    ("least", "most"), [(-8, 7), (0, 15), (-5, 11), (3, 9), (-64, 63), (0, 127), (-128, 255), (-1, 0), (-33, 31)]
)
def test_bounds_are_told_as_by_comparisons(least: int, most: int) -> None:
    m = Module()
    value, beyond = Signal(signed(BITS)), Signal(2)
    m.d.comb += beyond.eq(Cat(falls_below(value, least), exceeds(value, most)))

    async def bench(ctx):
        for number in range(-(1 << (BITS - 1)), 1 << (BITS - 1)):
            ctx.set(value, number)
            await ctx.delay(1e-9)
            assert ctx.get(beyond) == (number < least) + 2 * (number > most)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
