"""What stages share that make a word of what they take in one cycle: `rtl_gen.credited.CreditedUnit`s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from qtt_hw.graph import Edge
from rtl_gen.families import Family
from rtl_gen.kinds.choices import Choice, JoinChoices, Lanes, StageChoices, Widths, divisors
from rtl_gen.kinds.spec import SPARE_WORDS, Folding, Spec

__all__ = ["CreditedChoices", "CreditedSpec", "Turn", "join_choices"]


class Turn(NamedTuple):
    """So many words, one a cycle, each made of a word of some of the streams.

    Attributes
    ----------
    words : int
    takes : tuple of int
        Numbers of the streams.
    puts : bool
        Whether anything is put out; else what is taken is left out.
    """

    words: int
    takes: tuple[int, ...]
    puts: bool = True


class CreditedSpec(Spec):
    """A stage of whose folding only `lanes` and `queue` are free: `simd` and `pe` equal `lanes`; there is no ring."""

    #: In messages.
    kind: ClassVar[str]

    @staticmethod
    def of_lanes(lanes: int) -> Folding:
        """The folding of so many lanes, with a queue that its latency does not fill."""
        return Folding(simd=lanes, pe=lanes, lanes=lanes, ring=0, queue=16)

    def check(self) -> None:
        folding, lanes = self.folding, self.folding.lanes
        if lanes < 1 or self.out.channels % lanes:
            raise self.refuse(f"lanes {lanes} does not divide {self.out.channels}")
        if (folding.simd, folding.pe, folding.carry, folding.ring) != (lanes, lanes, 1, 0):
            raise self.refuse(f"a {self.kind} has simd and pe {lanes} like its lanes, carry 1 and ring 0")
        if folding.queue < 1:
            raise self.refuse(f"a queue of {folding.queue} words cannot hold one result")

    def deepest(self) -> dict[str, int]:
        return {"queue": 2 * (self.latency + 3) + SPARE_WORDS}

    @property
    def in_width(self) -> int:
        return self.folding.lanes

    @property
    def in_words(self) -> int:
        return self.cycles

    @property
    def cycles(self) -> int:
        return self.out_words

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What is taken, in turns that begin anew; an inference ends with the last one."""
        return (Turn(1, tuple(range(len(self.inputs)))),)

    def recurrence(self, units: Any, inputs: Sequence[int], output: int, in_lanes: int) -> None:
        links, turns = np.array(inputs, dtype=np.int64), self.turns
        rows = [(turn.words, turn.puts, *(k in turn.takes for k in range(len(inputs)))) for turn in turns]
        table = np.array(rows, dtype=np.int64).ravel()
        units.add_credited(output, self.folding.queue, self.latency, len(links), links, len(turns), table)


class CreditedChoices(StageChoices):
    """As many lanes as a word has values, where the readers take such words."""

    #: Of the kind.
    made_of: ClassVar[type[CreditedSpec]]

    def word_widths(self) -> list[int]:
        return divisors(self.x.channels)

    def serial_cycles(self) -> int:
        return self.x.positions * self.x.channels

    def shapes(self, width: int) -> Widths:
        return Widths(width, 1, [width], 1)

    def spec(self, folding: Folding) -> CreditedSpec:
        return self.made_of(self.node, (self.x,), folding, self.family)

    def _choices(self, width: int, behind: Lanes) -> Iterator[Choice]:
        if width in behind:
            folding = CreditedSpec.of_lanes(width)
            spec = self.spec(folding)
            yield Choice(folding, spec.cycles, spec.resources())


def join_choices(
    made_of: type[CreditedSpec], node: Any, inputs: Sequence[Edge], streams: Sequence[int], family: Family, common: int
) -> JoinChoices:
    """The foldings of a join of its kind: every number of lanes that divides `common`, which divides all channels."""
    edge, found = node.output(*inputs), {}
    for lanes in divisors(common):
        folding = CreditedSpec.of_lanes(lanes)
        spec = made_of(node, inputs, folding, family)
        found[lanes] = Choice(folding, spec.cycles, spec.resources())
    return JoinChoices(found, streams, edge.channels, edge.positions * edge.channels)
