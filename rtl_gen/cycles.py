"""The event model: the cycle of every transfer in a chain of stages, predicted without simulating any data.

Each unit of the datapath has one recurrence over the cycles of its events (a word accepted, a result issued, a word
freed), with the constants of the hardware. A unit runs until it needs an event that has not been computed yet; the
units take turns until every output of the wanted inferences is known. Source and sink never stall.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtl_gen.folding import StageSpec

__all__ = ["Prediction", "predict", "schedule"]

#: Inferences after which a schedule that still changes is reported as such.
MOST_INFERENCES = 12


@dataclass(frozen=True)
class Prediction:
    """Cycles of a chain of stages.

    Attributes
    ----------
    interval : int
        From the last output word of one inference to that of the next, once periodic.
    latency : int
        From the first input word of the first inference to its last output word.
    outputs : tuple of int
        Cycle of the last output word of each inference computed.
    """

    interval: int
    latency: int
    outputs: tuple[int, ...]


class _Link:
    """Words between two units: `base[j]` is the first cycle in which word j can be offered, `taken[j]` its transfer."""

    def __init__(self) -> None:
        self.base: list[int] = []
        self.taken: list[int] = []


class _Source:
    def __init__(self, out: _Link, words: int):
        out.base = [0] * words

    def advance(self) -> bool:
        return False


class _Stage:
    """Recurrences of `rtl_gen.stage.Stage`."""

    def __init__(self, spec: StageSpec, in_lanes: int, i: _Link, o: _Link, inferences: int):
        self.i, self.o = i, o
        self.collect = spec.in_width // in_lanes
        self.ring, self.latency = spec.folding.ring, spec.latency
        self.depth, self.words = spec.folding.queue, spec.result_words
        self.groups, self.steps = spec.groups, spec.steps
        geometry = spec.geometry
        self.needs, self.releases, self.volume = geometry.needs, geometry.releases, geometry.volume_words
        self.positions = len(self.needs)
        self.inferences = inferences
        self.finished: list[int] = []  # cycle in which a position's last step is issued
        self.released = 0  # positions whose release the input side has looked at
        self.position = 0
        self.group = 0
        self.take = -1
        self.start = 0
        self.results = 0
        self.freed: list[int] = []  # cycle in which an output word leaves the queue's memory

    def _accept(self) -> bool:
        """taken[j] = max(base[j], taken[j-1] + 1, release of its slot + 3)."""
        base, taken, collect, ring = self.i.base, self.i.taken, self.collect, self.ring
        releases, volume, count = self.releases, self.volume, self.positions
        finished = self.finished
        j = len(taken)
        before = j
        cycle = taken[-1] if taken else -1
        ready = 0
        while j < len(base):
            wanted = j // collect - ring + 1
            if wanted > 0:
                at = self.released
                while (at // count) * volume + releases[at % count] < wanted:
                    at += 1
                self.released = at
                if at >= len(finished):
                    break
                ready = finished[at] + 3
            cycle = max(base[j], cycle + 1, ready)
            taken.append(cycle)
            j += 1
        return j > before

    def _issue(self) -> bool:
        """Positions in order; a result's last step waits for credit; its words are pushed `latency` later."""
        taken, finished, base = self.i.taken, self.finished, self.o.base
        words, depth, latency, collect = self.words, self.depth, self.latency, self.collect
        arrived, moved = len(taken), False
        total = self.positions * self.inferences
        while self.position < total:
            volume, index = divmod(self.position, self.positions)
            if self.group == 0:
                last = (volume * self.volume + self.needs[index]) * collect - 1
                if last >= arrived:
                    break
                loaded = max(taken[last] + 1, self.take)
                self.take = max(loaded + 1, finished[-1] if finished else -1)
                self.start = self.take + 1
                self.group = 1  # groups issued so far, plus one: the position has been taken
            steps = self.steps[index]
            while self.group <= self.groups:
                cycle = self.start + steps - 1
                awaited = (self.results + 1) * words - depth - 1
                if awaited >= 0:
                    if awaited >= len(self.freed) and not self._free(awaited):
                        return moved
                    cycle = max(cycle, self.freed[awaited] + 1)
                base.extend(range(cycle + latency + 2, cycle + latency + 2 + words))
                self.results += 1
                self.group += 1
                self.start = cycle + 1
                moved = True
            finished.append(self.start - 1)
            self.position += 1
            self.group = 0
        return moved

    def _free(self, word: int) -> bool:
        """freed[j] = max(push + 1, taken[j-1]): the output register is empty or being taken."""
        base, taken, freed = self.o.base, self.o.taken, self.freed
        while len(freed) <= word:
            j = len(freed)
            if j > len(taken) or j >= len(base):
                return False
            freed.append(max(base[j] - 1, taken[j - 1]) if j else base[j] - 1)
        return True

    def advance(self) -> bool:
        accepted = self._accept()
        return self._issue() or accepted


class _Splitter:
    """Recurrences of `rtl_gen.stream.Splitter`: one wide word at a time."""

    def __init__(self, parts: int, i: _Link, o: _Link):
        self.parts, self.i, self.o = parts, i, o

    def advance(self) -> bool:
        moved = False
        while len(self.i.taken) < len(self.i.base):
            j = len(self.i.taken)
            if len(self.o.taken) < j * self.parts:
                break
            previous = self.o.taken[j * self.parts - 1] if j else -1
            cycle = max(self.i.base[j], previous + 1)
            self.i.taken.append(cycle)
            self.o.base.extend([cycle + 1] * self.parts)
            moved = True
        return moved


class _Argmax:
    """Recurrences of `rtl_gen.argmax.Argmax`: a logit is offered, taken, then the next is accepted."""

    def __init__(self, classes: int, i: _Link, o: _Link):
        self.classes, self.i, self.o = classes, i, o

    def advance(self) -> bool:
        moved = False
        while len(self.i.taken) < len(self.i.base):
            j = len(self.i.taken)
            done = j + j // self.classes  # words that must have left before logit j is accepted
            if len(self.o.taken) < done:
                break
            previous = self.o.taken[done - 1] if done else -1
            cycle = max(self.i.base[j], previous + 1)
            self.i.taken.append(cycle)
            self.o.base.append(cycle + 1)
            if j % self.classes == self.classes - 1:
                self.o.base.append(cycle + 2)
            moved = True
        return moved


class _Sink:
    def __init__(self, i: _Link):
        self.i = i

    def advance(self) -> bool:
        base, taken = self.i.base, self.i.taken
        before = len(taken)
        for j in range(before, len(base)):
            taken.append(max(base[j], taken[-1] + 1 if taken else 0))
        return len(taken) > before


def schedule(
    specs: Sequence[StageSpec], in_lanes: int, inferences: int, *, classes: int | None
) -> list[list[int]]:
    """Cycle of every transfer: the input's, each stage's output's, and last the chain's output, for some inferences.

    Parameters
    ----------
    specs : sequence of StageSpec
    in_lanes : int
        Values in an input word.
    inferences : int
    classes : int or None
        Logits per inference before the argmax word; None leaves the argmax unit out.
    """
    first = specs[0]
    words = first.in_words * (first.in_width // in_lanes) * inferences
    source = _Link()
    units: list = [_Source(source, words)]
    links, link, lanes = [source], source, in_lanes
    for spec in specs:
        if lanes > spec.in_width:
            narrow = _Link()
            units.append(_Splitter(lanes // spec.in_width, link, narrow))
            link, lanes = narrow, spec.in_width
        out = _Link()
        units.append(_Stage(spec, lanes, link, out, inferences))
        link, lanes = out, spec.folding.lanes
        links.append(out)
    if classes is not None:
        if lanes > 1:
            narrow = _Link()
            units.append(_Splitter(lanes, link, narrow))
            link = narrow
        out = _Link()
        units.append(_Argmax(classes, link, out))
        link = out
        links.append(out)
    units.append(_Sink(link))
    while any([unit.advance() for unit in units]):
        pass
    return [each.taken for each in links]


def predict(
    specs: Sequence[StageSpec],
    in_lanes: int,
    *,
    classes: int,
    progress: Callable[[int], None] | None = None,
) -> Prediction:
    """Interval and latency of a chain that ends in an argmax over `classes` logits.

    Raises
    ------
    ValueError
        When the chain deadlocks, or its schedule has not become periodic within `MOST_INFERENCES`.
    """
    inferences = 4
    while True:
        taken = schedule(specs, in_lanes, inferences, classes=classes)
        words = classes + 1
        if len(taken[-1]) != words * inferences:
            stuck = next((s.node.name for s, t in zip(specs, taken[1:], strict=False) if len(t) % s.out_words), "?")
            raise ValueError(f"the schedule stops at stage {stuck}: its buffers are too small")
        outputs = tuple(taken[-1][words - 1 :: words])
        gaps = [b - a for a, b in zip(outputs, outputs[1:], strict=False)]
        if gaps[-1] == gaps[-2]:
            return Prediction(gaps[-1], outputs[0] - taken[0][0], outputs)
        if inferences >= MOST_INFERENCES:
            raise ValueError(f"the schedule is not periodic after {inferences} inferences: {gaps}")
        inferences += 2
