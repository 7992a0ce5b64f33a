"""Stages that make a word of one of each stream that they read: taken in the same cycle, against a credit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.output import OutputQueue
from rtl_gen.reduce import shape_of

if TYPE_CHECKING:
    from rtl_gen.kinds.spec import Spec

__all__ = ["CreditedUnit"]


def _all(conditions: Sequence[Value]) -> Value:
    return reduce(and_, conditions)


class CreditedUnit(wiring.Component):
    """A stage as a stream component whose every output word is of one word of each input.

    Timing: a word of each input is taken in the same cycle, two cycles after the credit that their result needs is
    freed, or later. Behind this point nothing waits, and no `ready` passes through.

    Parameters
    ----------
    spec : Spec

    Members
    -------
    i0, i1, ... : In(stream)
        `spec.in_width` values of the inputs' formats, the lowest channel in the low bits.
    o : Out(stream)
        As many values of the output format.
    """

    def __init__(self, spec: Spec):
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
        """(word, valid) of the output, `spec.latency` cycles after `fires` says that words are taken."""

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
        m.submodules.queue = queue = OutputQueue(spec.folding.lanes * spec.out.format.bits, words)
        wiring.connect(m, queue.o, wiring.flipped(self.o))

        # Counted are the credits beyond one, so that the sign says whether there is one.
        spare, freed = Signal(range(-1, words), init=words - 1), Signal()
        credit = ~spare[-1]
        fires = Signal()
        ports = self._ports
        m.d.comb += [
            *(port.ready.eq(_all([*(p.valid for p in ports if p is not port), credit])) for port in ports),
            fires.eq(_all([*(port.valid for port in ports), credit])),
        ]
        m.d.sync += [freed.eq(queue.freed), spare.eq((spare + freed - fires)[: len(spare)].as_signed())]

        word, valid = self.results(m, fires)
        m.d.comb += [queue.word.eq(word), queue.push.eq(valid)]
        return m
