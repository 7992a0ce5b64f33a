"""An output queue does the same in every cycle, whether its memory is read without a clock or by it."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from rtl_gen.families import ECP5, ICE40
from rtl_gen.output import OutputQueue


@pytest.mark.parametrize("taken", [0.9, 0.5, 0.2])
@pytest.mark.parametrize(("depth", "width"), [(1, 9), (2, 3), (3, 9), (16, 1), (16, 9), (17, 9), (40, 5)])
def test_both_queues_agree(depth: int, width: int, taken: float) -> None:
    m, chance = Module(), random.Random(depth * width)
    m.submodules.first = first = OutputQueue(width, depth, ECP5)
    m.submodules.second = second = OutputQueue(width, depth, ICE40)
    pushed: list[int] = []
    came: list[int] = []

    async def run(ctx) -> None:
        held = 0
        for _ in range(600):
            push = held < depth and chance.random() < 0.6
            word, ready = chance.getrandbits(width), chance.random() < taken
            for queue in (first, second):
                ctx.set(queue.push, push)
                ctx.set(queue.word, word)
                ctx.set(queue.o.ready, ready)
            assert ctx.get(first.o.valid) == ctx.get(second.o.valid)
            assert ctx.get(first.freed) == ctx.get(second.freed)
            if ctx.get(first.o.valid):
                assert ctx.get(first.o.payload) == ctx.get(second.o.payload)
                if ready:
                    came.append(ctx.get(first.o.payload))
            held += push - ctx.get(first.freed)
            if push:
                pushed.append(word)
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert came == pushed[: len(came)] and len(came) > 50


def test_where_a_queue_is_without_lut_ram() -> None:
    memory = ICE40.memory
    assert memory.queue(16, 2).brams == 0 and memory.queue(16, 2).ffs == 32
    assert memory.queue(16, 8).brams == 1 and memory.queue(32, 20).brams == 2
    assert ECP5.memory.queue(32, 20).brams == 0
