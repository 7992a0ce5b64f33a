"""Driver and monitors of a ready/valid stream in cocotb; the rules that it obeys are watched by `rules.v`.

Everything is written at the clock's falling edge and sampled once that has settled: the values that the next rising
edge sees, in every simulator. Cycles are counted in falling edges; coroutines started together agree on them.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly
from numpy.typing import NDArray

from sim.stalls import StallWalk

__all__ = ["Deliver", "StreamDriver", "StreamMonitor", "TapMonitor"]

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
    clk, payload, valid, ready : handles
    walk : StallWalk
    seed : int
        Of what stands on the payload while valid is 0.
    """

    def __init__(self, clk: Any, payload: Any, valid: Any, ready: Any, walk: StallWalk, seed: int = 0):
        self._clk, self._payload, self._valid, self._ready = clk, payload, valid, ready
        self._walk = walk
        self._garbage = random.Random(seed)
        self._queue: deque[int] = deque()
        self.accepted: list[int] = []  # the cycle of every transfer

    def send(self, words: Iterable[int]) -> None:
        self._queue.extend(words)

    @property
    def left(self) -> int:
        """Words not yet taken."""
        return len(self._queue)

    async def run(self) -> None:
        cycle, offered = 0, False
        while True:
            await FallingEdge(self._clk)
            if not offered:
                offered = bool(self._queue) and not self._walk.step()
                self._payload.value = self._queue[0] if offered else self._garbage.getrandbits(len(self._payload))
                self._valid.value = int(offered)
            await ReadOnly()
            if offered and self._ready.value:
                self.accepted.append(cycle)
                self._queue.popleft()
                offered = False
            cycle += 1


class StreamMonitor:
    """Takes words from a stream, refusing as its walk says.

    Parameters
    ----------
    clk, payload, valid, ready : handles
    walk : StallWalk
    deliver : callable
        Given uint32 [words, limbs] and their cycles.
    size : int
        Words delivered at a time.
    """

    def __init__(self, clk: Any, payload: Any, valid: Any, ready: Any, walk: StallWalk, deliver: Deliver, size: int):
        self._clk, self._payload, self._valid, self._ready = clk, payload, valid, ready
        self._walk = walk
        self._collector = _Collector(len(payload), size, deliver)

    def flush(self) -> None:
        self._collector.flush()

    async def run(self) -> None:
        cycle = 0
        while True:
            await FallingEdge(self._clk)
            ready = not self._walk.step()
            self._ready.value = int(ready)
            await ReadOnly()
            if ready and self._valid.value:
                self._collector.add(int(self._payload.value), cycle)
            cycle += 1


class TapMonitor:
    """Watches stages' outputs, each a strobe and a payload without a ready; one coroutine for all of them.

    Parameters
    ----------
    clk : handle
    taps : sequence of (strobe, payload, deliver, size)
        Handles, and what StreamMonitor takes.
    """

    def __init__(self, clk: Any, taps: Sequence[tuple[Any, Any, Deliver, int]]):
        self._clk = clk
        self._taps = [
            (strobe, payload, _Collector(len(payload), size, deliver)) for strobe, payload, deliver, size in taps
        ]

    def flush(self) -> None:
        for _, _, collector in self._taps:
            collector.flush()

    async def run(self) -> None:
        cycle = 0
        while True:
            await FallingEdge(self._clk)
            await ReadOnly()
            for strobe, payload, collector in self._taps:
                if strobe.value:
                    collector.add(int(payload.value), cycle)
            cycle += 1
