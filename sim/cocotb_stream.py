"""Driver and monitors of a ready/valid stream in cocotb; the rules that it obeys are watched by `rules.v`.

Everything is written at the clock's falling edge and sampled once that has settled: the values that the next rising
edge sees, in every simulator. Cycles are counted in falling edges. All is done by one coroutine, `run_streams`: what a
cycle costs is the waiting for the simulator, and reads, more than what is done between.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly
from numpy.typing import NDArray

from sim.stalls import StallWalk

__all__ = ["Deliver", "StreamDriver", "StreamMonitor", "TapMonitor", "run_streams"]

Deliver = Callable[[NDArray[np.uint32], NDArray[np.uint64]], None]


class _Collector:
    """Gathers words and cycles and delivers them as arrays, `size` at a time."""

    def __init__(self, bits: int, size: int, deliver: Deliver):
        self._bytes = 4 * -(-bits // 32)
        self._size = size
        self._deliver = deliver
        self._words: list[bytes] = []
        self._cycles: list[int] = []

    def add(self, word: int, cycle: int) -> None:
        self._words.append(word.to_bytes(self._bytes, "little"))
        self._cycles.append(cycle)
        if len(self._words) == self._size:
            self.flush()

    def flush(self) -> None:
        if self._words:
            words = np.frombuffer(b"".join(self._words), "<u4").reshape(len(self._words), -1)
            self._deliver(words, np.array(self._cycles, dtype=np.uint64))
            self._words, self._cycles = [], []


class StreamDriver:
    """Sends words into a stream; holds back as its walk says, never takes an offered word back.

    Parameters
    ----------
    payload, valid, ready : handles
    walk : StallWalk
    seed : int
        Of what stands on the payload while valid is 0.
    """

    def __init__(self, payload: Any, valid: Any, ready: Any, walk: StallWalk, seed: int = 0):
        self._payload, self._valid, self._ready = payload, valid, ready
        self._walk = walk
        self._garbage = random.Random(seed)
        self._queue: deque[int] = deque()
        self._offered = False
        self.accepted: list[int] = []  # the cycle of every transfer

    def send(self, words: Iterable[int]) -> None:
        self._queue.extend(words)

    def drive(self) -> None:
        """At the falling edge: the next word, or none."""
        if not self._offered:
            offered = self._offered = bool(self._queue) and not self._walk.step()
            self._payload.value = self._queue[0] if offered else self._garbage.getrandbits(len(self._payload))
            self._valid.value = int(offered)

    def sample(self, cycle: int) -> None:
        """Once it has settled: whether the word was taken."""
        if self._offered and self._ready.value:
            self.accepted.append(cycle)
            self._queue.popleft()
            self._offered = False


class StreamMonitor:
    """Takes words from a stream, refusing as its walk says.

    Parameters
    ----------
    payload, valid, ready : handles
    walk : StallWalk
    deliver : callable
        Given uint32 [words, limbs] and their cycles.
    size : int
        Words delivered at a time.
    """

    def __init__(self, payload: Any, valid: Any, ready: Any, walk: StallWalk, deliver: Deliver, size: int):
        self._payload, self._valid, self._ready = payload, valid, ready
        self._walk = walk
        self._is_ready = False
        self._collector = _Collector(len(payload), size, deliver)

    def flush(self) -> None:
        self._collector.flush()

    def drive(self) -> None:
        """At the falling edge: whether a word would be taken."""
        self._is_ready = not self._walk.step()
        self._ready.value = int(self._is_ready)

    def sample(self, cycle: int) -> None:
        """Once it has settled: the word that is taken."""
        if self._is_ready and self._valid.value:
            self._collector.add(int(self._payload.value), cycle)


class TapMonitor:
    """Watches stages' outputs, each a payload with a strobe and without a ready.

    Parameters
    ----------
    strobes : handle, optional
        Bit `index` is that of tap `index`; None where there are no taps.
    taps : sequence of (payload, deliver, size)
        A handle, and what StreamMonitor takes.
    """

    def __init__(self, strobes: Any, taps: Sequence[tuple[Any, Deliver, int]]):
        self._strobes = strobes
        self._taps = [(payload, _Collector(len(payload), size, deliver)) for payload, deliver, size in taps]

    def flush(self) -> None:
        for _, collector in self._taps:
            collector.flush()

    def sample(self, cycle: int) -> None:
        """Once it has settled: the words that stages make."""
        strobes = int(self._strobes.value) if self._taps else 0
        while strobes:
            payload, collector = self._taps[(strobes & -strobes).bit_length() - 1]
            collector.add(int(payload.value), cycle)
            strobes &= strobes - 1


async def run_streams(clk: Any, driver: StreamDriver, output: StreamMonitor, taps: TapMonitor) -> None:
    """Drive and watch a design's streams, cycle by cycle, until it is cancelled."""
    edge, settled = FallingEdge(clk), ReadOnly()
    for cycle in itertools.count():
        await edge
        driver.drive()
        output.drive()
        await settled
        driver.sample(cycle)
        output.sample(cycle)
        taps.sample(cycle)
