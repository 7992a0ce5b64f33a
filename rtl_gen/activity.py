"""Who works and who waits for whom while inferences follow each other: the event model, watched in steady state.

In every cycle a stage makes a step, or waits for a word to come, or for room where its results go. What is between two
stages (forks, FIFOs, changes of width) hands a wait on, so that it is told of the stage at the other end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtl_gen.cycles import Inferences, Model
from rtl_gen.kinds import Spec
from rtl_gen.prediction import Prediction
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["NOBODY", "Activity", "SteadyActivity", "UnitActivity", "steady_activity"]

#: Stands for the stage that is waited for where nobody is.
NOBODY = -2
#: Inferences more than that which is looked at, after which every unit has got past it.
MOST_BEHIND = 64
#: Words on all links after which no more is waited for; buffers of networks with as many are mostly full by then.
MOST_WORDS = 1 << 24

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class UnitActivity:
    """Of a stage, of the input (`SOURCE`) or of the argmax (behind the last stage), by number: cycles in each stretch.

    Attributes
    ----------
    stage : int
    works, starved, stalled : int64 array, [stretches]
        In which it makes a step, waits for a word to come, and for its results to be taken.
    starved_by, stalled_by : int64 array, [stretches]
        The stage that it waits for most, or `NOBODY`; of a stage whose window is unfolded in front of it, itself.
    since, until : int
        The cycle of the last word of the inference before at its output, and of that of the inference that is looked
        at: between them its steps are for the latter.
    """

    stage: int
    works: Counts
    starved: Counts
    stalled: Counts
    starved_by: Counts
    stalled_by: Counts
    since: int
    until: int


@dataclass(frozen=True)
class Activity:
    """Of all units, in stretches of `length` cycles from the cycle `begin` on.

    Attributes
    ----------
    first, last : int
        The first input word and the last output word of the inference that is looked at.
    units : tuple of UnitActivity
        The input, every stage in order, the argmax.
    """

    begin: int
    length: int
    first: int
    last: int
    units: tuple[UnitActivity, ...]

    @property
    def stretches(self) -> int:
        return len(self.units[0].works)


@dataclass(frozen=True)
class SteadyActivity:
    """Of a network in which everything repeats.

    Attributes
    ----------
    inference : Activity
        One of them, from its first input word to its last output word.
    period : Activity
        As many as make a period, up to the end of that one, as a single stretch: exactly the cycles that the
        prediction's mean interval is a mean of.
    settled : bool
        Whether everything does repeat; else buffers still fill after as many inferences as were tried.
    """

    inference: Activity
    period: Activity
    settled: bool


class _Watched(Model):
    """A model that knows what stands at both ends of its links."""

    def __init__(self, specs: Sequence[Spec], in_lanes: int, topology: Topology, *, classes: int):
        self.in_lanes, self.classes = in_lanes, classes
        #: Link -> what puts words on it: a stage, or the link that they come from.
        self.makers: dict[int, int] = {}
        self.origins: dict[int, int] = {}
        #: Link -> what takes its words: a stage, a fork with its links, or the link that they go on by.
        self.takers: dict[int, int] = {}
        self.forks: dict[int, tuple[int, Sequence[int]]] = {}
        self.onward: dict[int, int] = {}
        #: The unit of each stage that makes its steps, and what it reads.
        self.unit_of: list[int] = []
        self.flows_of: list[Sequence[int]] = []
        super().__init__(specs, in_lanes, topology, classes=classes)
        self.makers[self.links[0]] = SOURCE
        # The last one: words of several values are split before it.
        feed = [link for link, reader in self._readers.items() if reader == self._name(len(specs))][-1]
        self.takers[feed] = len(specs)
        self.unit_of.append(self.units.count_units() - 2)  # behind it there is the sink
        self.flows_of.append([feed])

    def _output(self, words: int) -> int:
        if self.links:
            return super()._output(words)
        self.words.append(words)
        self.links.append(self.units.add_link(1))  # every word of the input
        return self.links[-1]

    def add_fork(self, stage: int, flow: int, lanes: int, readers: Sequence[Reader]) -> Sequence[int]:
        apart = super().add_fork(stage, flow, lanes, readers)
        self.forks[flow] = self.units.count_units() - 1, apart
        for link in apart:
            self.origins[link] = flow
        return apart

    def add_fifo(self, reader: Reader, flow: int, lanes: int, depth: int | None) -> int:
        return self._passed(flow, super().add_fifo(reader, flow, lanes, depth))

    def add_splitter(self, reader: Reader, flow: int, lanes: int, wanted: int) -> int:
        return self._passed(flow, super().add_splitter(reader, flow, lanes, wanted))

    def add_gatherer(self, reader: Reader, flow: int, lanes: int, wanted: int) -> int:
        return self._passed(flow, super().add_gatherer(reader, flow, lanes, wanted))

    def _passed(self, flow: int, behind: int) -> int:
        self.origins[behind], self.onward[flow] = flow, behind
        return behind

    def add_node(self, number: int, spec: Spec, flows: Sequence[int], lanes: int) -> int:
        before = self.units.count_units()
        output = super().add_node(number, spec, flows, lanes)
        self.unit_of.append(self.units.count_units() - 1)
        # In front of the unit with the steps its window may be unfolded; then it waits for that.
        unfolding = self.units.count_units() - before - 1
        inner = range(output + 1, output + 1 + unfolding)
        self.flows_of.append(inner if unfolding else flows)
        self.takers.update(dict.fromkeys(flows, number))
        self.makers.update(dict.fromkeys(inner, number))
        self.makers[output] = number
        return output

    def again(self) -> _Watched:
        """The same network, of no run yet."""
        return _Watched(self.specs, self.in_lanes, self.topology, classes=self.classes)

    def ends(self, link: int) -> Counts:
        """The cycle of the last word of each inference on a link."""
        records = self.records(link)
        return records[self.words[0] - 1 :: self.words[0]] if link == self.links[0] else records

    def settle(self, prediction: Prediction) -> tuple[int, bool]:
        """Run until everything repeats as the output does: the number of the last inference, and whether it does.

        What runs ahead of the slowest stage does so until the buffers behind it are full, when the output has long
        been periodic.
        """
        period, total = len(prediction.intervals), sum(prediction.intervals)
        first, inferences = len(prediction.ends) - 1, Inferences(self)
        states: list[Counts] = []
        for number in range(first, first + period + max(MOST_WORDS // sum(self.words), MOST_BEHIND)):
            self.run(number + 1)
            states = [*states[-period:], inferences.state()]
            if len(states) > period and (states[-1] - states[0] == total).all():
                return number, True
        return number, False

    def waits(self, unit: int, link: int, stretches: int) -> Counts:
        """Cycles in each stretch in which a unit waits for a link."""
        cycles = np.zeros(stretches, dtype=np.int64)
        self.units.copy_waits(unit, link, cycles)
        return cycles

    def works(self, unit: int, stretches: int) -> Counts:
        """Cycles in each stretch in which a unit makes a step."""
        cycles = np.zeros(stretches, dtype=np.int64)
        self.units.copy_works(unit, cycles)
        return cycles

    def maker(self, link: int) -> int:
        """The stage from which words on a link come."""
        while link not in self.makers:
            link = self.origins[link]
        return self.makers[link]

    def taker(self, link: int, stretches: int) -> Counts:
        """The stage that takes the words of a link last, in each stretch: of a fork's readers the slowest."""
        while link in self.onward:
            link = self.onward[link]
        if link in self.takers:
            return np.full(stretches, self.takers[link])
        unit, apart = self.forks[link]
        slowest = np.array([self.waits(unit, one, stretches) for one in apart]).argmax(axis=0)
        return np.choose(slowest, [self.taker(one, stretches) for one in apart])


def steady_activity(
    specs: Sequence[Spec],
    in_lanes: int,
    *,
    classes: int,
    topology: Topology,
    prediction: Prediction,
    stretches: int = 200,
) -> SteadyActivity:
    """What every unit does once everything repeats.

    Parameters
    ----------
    specs : sequence of Spec
    in_lanes : int
        Values in an input word.
    classes : int
    topology : Topology
        With the FIFOs that are built.
    prediction : Prediction
        Of the network: from some inference on its intervals repeat.
    stretches : int
        Of the inference that is followed: at least one, of so many cycles each that the last ends behind it.
    """
    model, period = _Watched(specs, in_lanes, topology, classes=classes), sum(prediction.intervals)
    number, settled = model.settle(prediction)
    begin = int(model.records(model.links[0])[number * model.words[0]])
    end = int(model.ends(model.links[-1])[number]) + 1
    return SteadyActivity(
        inference=_watched(model.again(), number, begin, -(-(end - begin) // stretches), stretches),
        period=_watched(model.again(), number, end - period, period, 1),
        settled=settled,
    )


def _watched(model: _Watched, number: int, begin: int, length: int, stretches: int) -> Activity:
    """A model of no run yet, run until every unit has got past the stretches; `number` is the inference looked at."""
    model.units.watch(begin, length, stretches)
    for more in range(1, MOST_BEHIND):
        model.run(number + more)
        if all(model.ends(link)[-1] > begin + length * stretches for link in model.links):
            break
    marks = [(ends[number - 1], ends[number]) for ends in map(model.ends, model.links)]
    taken = model.records(model.links[0])
    units = [_input(model, taken, begin, length, stretches, marks[0])]
    units += [_unit(model, stage, stretches, marks[stage + 1]) for stage in range(len(model.specs) + 1)]
    return Activity(begin, length, int(taken[number * model.words[0]]), int(marks[-1][1]), tuple(units))


def _input(
    model: _Watched, taken: Counts, begin: int, length: int, stretches: int, marks: tuple[int, int]
) -> UnitActivity:
    """Of the input, whose words are always there: it works when one is taken."""
    edges = begin + length * np.arange(stretches + 1)
    works = np.histogram(taken[taken < edges[-1]], edges)[0].astype(np.int64)
    nothing, stalled = np.zeros(stretches, dtype=np.int64), length - works
    nobody = np.full(stretches, NOBODY)
    by = np.where(stalled > 0, model.taker(model.links[0], stretches), NOBODY)
    return UnitActivity(SOURCE, works, nothing, stalled, nobody, by, int(marks[0]), int(marks[1]))


def _unit(model: _Watched, stage: int, stretches: int, marks: tuple[int, int]) -> UnitActivity:
    unit, output = model.unit_of[stage], model.links[stage + 1]
    flows = model.flows_of[stage]
    waits = np.array([model.waits(unit, flow, stretches) for flow in flows])
    starved, stalled = waits.sum(axis=0), model.waits(unit, output, stretches)
    makers = np.array([model.maker(flow) for flow in flows])
    starved_by = np.where(starved > 0, makers[waits.argmax(axis=0)], NOBODY)
    last = stage == len(model.specs)
    stalled_by = np.full(stretches, NOBODY)
    if not last:
        stalled_by = np.where(stalled > 0, model.taker(output, stretches), NOBODY)
    works = model.works(unit, stretches)
    return UnitActivity(stage, works, starved, stalled, starved_by, stalled_by, int(marks[0]), int(marks[1]))
