"""Stall patterns: two-state random walks that say when a source holds back and when a sink refuses."""

from __future__ import annotations

import random
from dataclasses import dataclass

from qtt_hw.near import unknown

__all__ = ["PATTERNS", "Stalls", "pattern", "patterns_of_seed"]


@dataclass(frozen=True)
class Stalls:
    """Going stops with probability `stop` a cycle, a stall ends with probability `go` a cycle; both in 1/256."""

    name: str
    stop: int
    go: int

    def walk(self, seed: int) -> StallWalk:
        return StallWalk(self, seed)


class StallWalk:
    """One run of a pattern: `step()` is true in the cycles that stall."""

    def __init__(self, stalls: Stalls, seed: int):
        self._stalls = stalls
        self._random = random.Random(seed)
        self._stalled = False

    def step(self) -> bool:
        threshold = self._stalls.go if self._stalled else self._stalls.stop
        if self._random.randrange(256) < threshold:
            self._stalled = not self._stalled
        return self._stalled


PATTERNS = {
    item.name: item
    for item in (
        Stalls("none", 0, 256),
        Stalls("sparse", 16, 256),
        Stalls("bursty", 8, 16),
        Stalls("mostly", 224, 32),
    )
}


def pattern(name: str) -> Stalls:
    """The pattern of that name; raises ValueError that lists the known ones."""
    if name not in PATTERNS:
        raise unknown("stall pattern", name, PATTERNS)
    return PATTERNS[name]


def patterns_of_seed(seed: int) -> tuple[Stalls, Stalls]:
    """Patterns for source and sink, at least one of which stalls; consecutive seeds take all pairs in turn."""
    pairs = [(a, b) for a in PATTERNS.values() for b in PATTERNS.values() if a.stop or b.stop]
    return pairs[(7 * seed) % len(pairs)]
