"""The serialiser: words of a group in order, whatever lies between groups, narrow and wide."""

import numpy as np
import pytest
from amaranth.hdl import Value, signed
from amaranth.sim import Simulator

from rtl_gen.output import FREE_BITS, Serializer

BITS = 20


@pytest.mark.parametrize(("values", "lanes"), [(4, 2), (8, 2), (16, 4), (16, 1)])
def test_words_of_groups_come_in_order(values: int, lanes: int) -> None:
    """Groups come as soon as they may, and later; the last two are wider than `FREE_BITS`."""
    rng = np.random.default_rng(values + lanes)
    groups = rng.integers(-(1 << (BITS - 1)), 1 << (BITS - 1), (20, values))
    pauses = rng.integers(0, 3, 20) * rng.integers(1, 9, 20)
    dut = Serializer(signed(BITS), values=values, lanes=lanes)
    seen: list[int] = []

    async def drive(ctx) -> None:  # type: ignore[no-untyped-def]
        for group, pause in zip(groups, pauses, strict=True):
            for cycle in range(values // lanes + int(pause)):
                ctx.set(dut.i_valid, cycle == 0)
                for lane in range(values):  # what stands there without `i_valid` is never read
                    ctx.set(dut.i[lane], int(group[lane]) if cycle == 0 else int(rng.integers(-99, 99)))
                await ctx.tick()
        ctx.set(dut.i_valid, 0)
        await ctx.tick().repeat(values // lanes + 1)

    async def watch(ctx) -> None:  # type: ignore[no-untyped-def]
        async for *_, valid, word in ctx.tick().sample(dut.o_valid, Value.cast(dut.o)):
            if valid:
                lane_bits = [(word >> (BITS * lane)) & ((1 << BITS) - 1) for lane in range(lanes)]
                seen.extend(bits - (bits >> (BITS - 1) << BITS) for bits in lane_bits)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    assert seen == groups.ravel().tolist()
    assert (values * BITS > FREE_BITS) == (values == 16)
