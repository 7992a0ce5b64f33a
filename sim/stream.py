"""Drives a stream component in Amaranth's simulator: words in, words out, random stalls on all sides."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

__all__ = ["Received", "Transfers", "exchange", "transfer"]

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


@dataclass(frozen=True)
class Received:
    """Words of one output, unsigned, and the cycles of their transfers, counted from the first input of all."""

    words: tuple[int, ...]
    cycles: tuple[int, ...]


def exchange(
    dut: wiring.Component,
    sources: Sequence[tuple[Any, Sequence[int]]],
    sinks: Sequence[tuple[Any, int]],
    *,
    taps: Sequence[Any] = (),
    stalls: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
    patience: int = 20_000,
    drain: int = 64,
    untaken: int = 0,
) -> tuple[list[tuple[int, ...]], list[Received]]:
    """Put words into any number of inputs and take words from any number of outputs.

    Parameters
    ----------
    dut : component
    sources : sequence of (stream, words)
    sinks : sequence of (stream, number of words)
        One more than the number is waited for a little and must not come.
    taps : sequence of (strobe, payload)
        Only looked at: what stands there with the strobe follows the sinks in what is returned.
    stalls : (sources, sinks)
        Probability of a pause of each of them in each cycle.
    seed : int
        Of the stalls.
    patience : int
        Cycles without any transfer after which the component is taken to hang.
    drain : int
        Cycles without any transfer, once all words are there, after which no more are taken to come.
    untaken : int
        Input words that are left in the end: of a component that is to hang.

    Returns
    -------
    accepted : list of tuple of int
        Cycles of each source's transfers.
    received : list of Received
        Of each sink, then of each tap.

    Raises
    ------
    AssertionError
        When the component hangs, offers a word too many, changes a word that has not been taken or takes it back, or
        does not take all that is sent, but for as many as are to be left.
    """
    chance = random.Random(seed)
    received: list[list[int]] = [[] for _ in (*sinks, *taps)]
    accepted: list[list[int]] = [[] for _ in sources]
    produced: list[list[int]] = [[] for _ in (*sinks, *taps)]
    payloads = [Value.cast(port.payload) for port, _ in sinks]
    observed = [signal for tap in taps for signal in (tap.strobe, tap.payload)]
    signals = [port.ready for port, _ in sources]
    signals += [signal for port, _ in sinks for signal in (port.valid, port.ready)]

    def short() -> bool:
        return any(len(got) < count for got, (_, count) in zip(received, sinks, strict=False))

    async def run(ctx) -> None:  # noqa: ANN001 - Amaranth's context has no public type
        await ctx.tick().repeat(SETTLE)
        cycle, quiet = 0, 0
        sent, offering = [0] * len(sources), [False] * len(sources)
        waiting: list[int | None] = [None] * len(sinks)
        while short() or quiet < drain:
            for k, (port, words) in enumerate(sources):
                if not offering[k] and sent[k] < len(words) and chance.random() >= stalls[0]:
                    offering[k] = True
                    ctx.set(Value.cast(port.payload), words[sent[k]])
                ctx.set(port.valid, offering[k])
            for port, _ in sinks:
                ctx.set(port.ready, chance.random() >= stalls[1])
            _, _, *values = await ctx.tick().sample(*signals, *payloads, *observed)
            quiet += 1
            for k in range(len(sources)):
                if offering[k] and values[k]:
                    sent[k], offering[k], quiet = sent[k] + 1, False, 0
                    accepted[k].append(cycle)
            for k, (_, count) in enumerate(sinks):
                valid, ready = values[len(sources) + 2 * k : len(sources) + 2 * k + 2]
                payload, place = values[len(signals) + k], f"of output {k} " if len(sinks) > 1 else ""
                if waiting[k] is not None:
                    assert valid, f"output word {len(received[k])} {place}was taken back while it waited"
                    assert payload == waiting[k], f"output word {len(received[k])} {place}changed while it waited"
                waiting[k] = payload if valid and not ready else None
                if valid and ready:
                    assert len(received[k]) < count, f"more than {count} output words {place}".rstrip()
                    received[k].append(payload)
                    produced[k].append(cycle)
                    quiet = 0
            for k in range(len(taps)):
                strobe, payload = values[len(signals) + len(payloads) + 2 * k :][:2]
                if strobe:
                    received[len(sinks) + k].append(payload)
                    produced[len(sinks) + k].append(cycle)
                    quiet = 0
            left = sum(len(words) for _, words in sources) - sum(sent)
            assert short() or quiet < drain or left == untaken, f"{left} input words were never taken"
            assert quiet < patience, f"hangs after {sum(sent)} words in and {sum(map(len, received))} out"
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    start = min((cycles[0] for cycles in accepted if cycles), default=0)
    return (
        [tuple(c - start for c in cycles) for cycles in accepted],
        [Received(tuple(w), tuple(c - start for c in p)) for w, p in zip(received, produced, strict=True)],
    )


def transfer(
    dut: wiring.Component,
    words: Sequence[int],
    count: int,
    *,
    stalls: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
    patience: int = 20_000,
    drain: int = 64,
) -> Transfers:
    """Put words into `dut.i`, or a stage's `dut.i0`, and take `count` words from `dut.o`; as `exchange` otherwise."""
    source = dut.i0 if hasattr(dut, "i0") else dut.i
    (accepted,), (found,) = exchange(
        dut, [(source, words)], [(dut.o, count)], stalls=stalls, seed=seed, patience=patience, drain=drain
    )
    return Transfers(found.words, accepted, found.cycles)
