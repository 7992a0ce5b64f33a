"""Drives one stream component in Amaranth's simulator: words in, words out, random stalls on both sides."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

__all__ = ["Transfers", "transfer"]

#: Cycles after reset before the first word is offered: until then units fill their own pipelines.
SETTLE = 16


@dataclass(frozen=True)
class Transfers:
    """What went through a component.

    Attributes
    ----------
    words : tuple of int
        Output words, unsigned.
    accepted, produced : tuple of int
        Cycle of each transfer at the input and at the output, counted from the first input.
    """

    words: tuple[int, ...]
    accepted: tuple[int, ...]
    produced: tuple[int, ...]


def transfer(
    dut: wiring.Component,
    words: Sequence[int],
    count: int,
    *,
    stalls: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
    patience: int = 20_000,
) -> Transfers:
    """Put words into `dut.i` and take `count` words from `dut.o`.

    Parameters
    ----------
    dut : component with streams i and o
    words : sequence of int
        Input payloads.
    count : int
        Output words to wait for; one more is waited for a little and must not come.
    stalls : (source, sink)
        Probability of a pause in each cycle.
    seed : int
        Of the stalls.
    patience : int
        Cycles without any transfer after which the component is taken to hang.

    Raises
    ------
    AssertionError
        When the component hangs, offers a word too many, or changes a word that has not been taken.
    """
    chance = random.Random(seed)
    received: list[int] = []
    accepted: list[int] = []
    produced: list[int] = []
    source_payload, sink_payload = Value.cast(dut.i.payload), Value.cast(dut.o.payload)

    async def run(ctx) -> None:  # noqa: ANN001 - Amaranth's context has no public type
        await ctx.tick().repeat(SETTLE)
        sent, cycle, quiet = 0, 0, 0
        offering = False
        waiting: int | None = None
        while len(received) < count or quiet < 64:
            if not offering and sent < len(words) and chance.random() >= stalls[0]:
                offering = True
                ctx.set(source_payload, words[sent])
            ctx.set(dut.i.valid, offering)
            ctx.set(dut.o.ready, chance.random() >= stalls[1])
            _, _, taken_in, valid, ready, payload = await ctx.tick().sample(
                dut.i.ready, dut.o.valid, dut.o.ready, sink_payload
            )
            quiet += 1
            if valid and waiting is not None:
                assert payload == waiting, f"output word {len(received)} changed while it waited"
            waiting = payload if valid and not ready else None
            if offering and taken_in:
                sent, offering, quiet = sent + 1, False, 0
                accepted.append(cycle)
            if valid and ready:
                assert len(received) < count, f"more than {count} output words"
                received.append(payload)
                produced.append(cycle)
                quiet = 0
            assert quiet < patience, f"hangs after {sent} words in and {len(received)} out"
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    start = accepted[0] if accepted else 0
    return Transfers(tuple(received), tuple(c - start for c in accepted), tuple(c - start for c in produced))
