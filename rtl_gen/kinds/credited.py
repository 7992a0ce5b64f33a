"""What stages share that make a word of one of each stream they read: `rtl_gen.credited.CreditedUnit`s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from rtl_gen.kinds.spec import SPARE_WORDS, Folding, Spec

__all__ = ["CreditedSpec"]


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
        return self.out_words

    @property
    def cycles(self) -> int:
        return self.out_words

    def recurrence(self, units: Any, inputs: Sequence[int], output: int, in_lanes: int) -> None:
        links = np.array(inputs, dtype=np.int64)
        units.add_credited(output, self.folding.queue, self.latency, len(links), links)
