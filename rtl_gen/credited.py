"""Stages that make a word of one of each of some streams: taken in the same cycle, against a credit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.output import OutputQueue
from rtl_gen.reduce import shape_of

if TYPE_CHECKING:
    from rtl_gen.kinds.credited import CreditedSpec

__all__ = ["CreditedUnit"]


def _all(conditions: Sequence[Value]) -> Value:
    return reduce(and_, conditions)


class CreditedUnit(wiring.Component):
    """A stage as a stream component whose every output word is of one word of each input, or of those of its turn.

    Timing: what makes a word is taken in the same cycle, two cycles after the credit that it needs is freed, or later.
    Behind this point nothing waits, and no `ready` passes through.

    Parameters
    ----------
    spec : CreditedSpec

    Members
    -------
    i0, i1, ... : In(stream)
        `spec.in_width` values of the inputs' formats, the lowest channel in the low bits.
    o : Out(stream)
        As many values of the output format.
    """

    def __init__(self, spec: CreditedSpec):
        self.spec = spec
        lanes = spec.folding.lanes
        super().__init__(
            {
                **{
                    f"i{k}": In(stream.Signature(unsigned(lanes * edge.format.bits)))
                    for k, edge in enumerate(spec.inputs)
                },
                "o": Out(stream.Signature(unsigned(lanes * spec.out.format.bits))),
            }
        )

    @abstractmethod
    def results(self, m: Module, fires: Signal) -> tuple[Value, Value]:
        """(word, valid) of the output, `spec.latency` cycles after `fires` says that words are taken for it."""

    def values(self, m: Module, lane: int) -> list[Signal]:
        """What a lane reads of each input."""
        found = []
        for k, edge in enumerate(self.spec.inputs):
            value = Signal(shape_of(edge.format), name=f"i{k}_{lane}")
            m.d.comb += value.eq(self._ports[k].payload.word_select(lane, edge.format.bits))
            found.append(value)
        return found

    @property
    def _ports(self) -> list[Any]:
        return [getattr(self, f"i{k}") for k in range(len(self.spec.inputs))]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, words = self.spec, self.spec.folding.queue
        m.submodules.queue = queue = OutputQueue(spec.folding.lanes * spec.out.format.bits, words, spec.family)
        wiring.connect(m, queue.o, wiring.flipped(self.o))

        # Counted are the credits beyond one, so that the sign says whether there is one.
        spare, freed = Signal(range(-1, words), init=words - 1), Signal()
        credit = ~spare[-1]
        fires = Signal()
        ports = self._ports
        if len(spec.turns) == 1:
            m.d.comb += [
                *(port.ready.eq(_all([*(p.valid for p in ports if p is not port), credit])) for port in ports),
                fires.eq(_all([*(port.valid for port in ports), credit])),
            ]
            puts = fires
        else:
            takes, put = self._turned(m, fires)
            there = [port.valid | ~taken for port, taken in zip(ports, takes, strict=True)]
            goes = credit | ~put
            for k, port in enumerate(ports):
                m.d.comb += port.ready.eq(_all([takes[k], *(there[:k] + there[k + 1 :]), goes]))
            puts = Signal()
            m.d.comb += [fires.eq(_all([*there, goes])), puts.eq(fires & put)]
        m.d.sync += [freed.eq(queue.freed), spare.eq((spare + freed - puts)[: len(spare)].as_signed())]

        self.platform = platform
        word, valid = self.results(m, puts)
        m.d.comb += [queue.word.eq(word), queue.push.eq(valid)]
        return m

    def _turned(self, m: Module, fires: Signal) -> tuple[list[Value], Value]:
        """Whether a word of each input is taken now, and whether something is put out; all of registers."""
        turns = self.spec.turns
        #: The turn, one-hot; words that are left behind this one, and whether there are none.
        self.turn = turn = Signal(len(turns), init=1)
        left = Signal(range(max(t.words for t in turns)), init=turns[0].words - 1)
        ends = Signal(init=turns[0].words == 1)
        following = [*turns[1:], turns[0]]
        more, alone = Signal.like(left, init=0), Signal()
        for number, then in enumerate(following):
            with m.If(turn[number]):
                m.d.comb += [more.eq(then.words - 1), alone.eq(then.words == 1)]
        with m.If(fires):
            m.d.sync += [left.eq(left - 1), ends.eq(left == 1)]
            with m.If(ends):
                m.d.sync += [turn.eq(turn.rotate_left(1)), left.eq(more), ends.eq(alone)]
        takes = [
            Cat(turn[t] for t, row in enumerate(turns) if k in row.takes).any() for k in range(len(self.spec.inputs))
        ]
        return takes, Cat(turn[t] for t, row in enumerate(turns) if row.puts).any()
