"""How deep the FIFOs on the short branches of each join must be: not to hang, and to lose no cycle.

A sum takes a word of all its inputs at once, a concatenation one after the other's. The words of a branch that is ahead
wait in a FIFO while another fills its windows. Too shallow a FIFO stops the stream that the branches read before that
has happened: the network hangs. One that is a little deeper runs, but holds the stream up now and then.

Both depths are found with the event model. Whether a network hangs does not depend on when words move, only on how many
each place holds, so one run finds the least depth: whenever nothing moves any more the FIFO gets one word deeper.
More depth of the same kind of memory never makes a transfer later, so the least depth at full rate is found by
bisection, between the first depth and what the FIFO ever holds when it has no end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qtt_hw.progress import Progress, silent
from rtl_gen.cycles import Inferences, Model, predict_by
from rtl_gen.kinds import Spec
from rtl_gen.period import NotPeriodic
from rtl_gen.topology import Reader, Topology

__all__ = ["FifoDepth", "fifo_depths", "short_inputs", "shown_interval"]

#: Inferences without a deadlock after which there is none: with the second a network meets what it meets ever after.
INFERENCES = 3
#: Intervals that are alike, after which others are not waited for, and intervals within which that is to happen.
ALIKE, MOST_GAPS = 3, 11

Depths = Mapping[Reader, int | None]


@dataclass(frozen=True)
class FifoDepth:
    """The depths of the FIFO at an input of a join, in words of the stream that it delays.

    Attributes
    ----------
    reader : Reader
    least : int
        Without a deadlock; those before at their least, those behind without end.
    full : int
        With as few cycles an inference as at any depth (`shown_interval`); those before at their full rate, those
        behind without end.
    """

    reader: Reader
    least: int
    full: int


@dataclass(frozen=True)
class _Network:
    """What does not change in a search."""

    specs: Sequence[Spec]
    in_lanes: int
    topology: Topology
    classes: int

    def model(self, depths: Depths) -> Model:
        return Model(self.specs, self.in_lanes, self.topology.with_fifos(depths), classes=self.classes)

    @property
    def joins(self) -> list[list[Reader]]:
        """The inputs of each stage that has several."""
        return [
            [Reader(number, k) for k in range(len(spec.inputs))]
            for number, spec in enumerate(self.specs)
            if len(spec.inputs) > 1
        ]


def short_inputs(specs: Sequence[Spec], in_lanes: int, topology: Topology, classes: int) -> list[Reader]:
    """The inputs of joins whose words wait for others': all of each but one, where fewest values gather.

    Of inputs alike it is the first that has no FIFO. Where the network hangs without one there, it is another, and
    where it does so without any of them, none.
    """
    network = _Network(specs, in_lanes, topology, classes)
    endless: Depths = {reader: None for join in network.joins for reader in join}
    model = network.model(endless)
    model.run(INFERENCES)
    held = {reader: model.units.most_held(fifo) * model.lanes[reader] for reader, fifo in model.fifos.items()}
    joins = [sorted(join, key=held.__getitem__) for join in network.joins]

    def runs(without: Sequence[Reader]) -> bool:
        return network.model({reader: None for reader in endless if reader not in without}).run(INFERENCES)

    without = [join[0] for join in joins]
    if not runs(without):
        without = [reader for join in joins for reader in [next((one for one in join if runs([one])), None)] if reader]
    return [reader for reader in endless if reader not in without]


def _least(network: _Network, depths: Depths, reader: Reader) -> int:
    """The least depth of one FIFO at which the network does not hang."""
    model, depth = network.model({**depths, reader: 1}), 1
    fifo = model.fifos[reader]
    while not model.run(INFERENCES):
        if not model.units.is_full(fifo):
            raise ValueError(f"the schedule stops at {model.refusing()}: its buffers are too small")
        depth += 1
        model.units.deepen_fifo(fifo, depth)
    return depth


@dataclass(frozen=True)
class _Run:
    """The mean interval by which depths are judged (`shown_interval`), and the most words that each FIFO held."""

    interval: Fraction
    held: Mapping[Reader, int]


def _predicted(network: _Network, depths: Depths) -> _Run:
    model = network.model(depths)
    gaps = _first_gaps(model)
    if len(set(gaps[-ALIKE:])) == 1:
        interval = Fraction(gaps[-1])
    else:
        try:
            interval = predict_by(network.model(depths)).mean
        except NotPeriodic as error:
            interval = error.mean
    return _Run(interval, {reader: model.units.most_held(fifo) for reader, fifo in model.fifos.items()})


def _first_gaps(model: Model) -> list[int]:
    """The intervals of the first inferences, up to the first that are alike."""
    inferences = Inferences(model)
    ends = [inferences.step() for _ in range(ALIKE)]
    gaps = np.diff(ends).tolist()
    while len(gaps) < MOST_GAPS:
        ends.append(inferences.step())
        gaps.append(ends[-1] - ends[-2])
        if len(set(gaps[-ALIKE:])) == 1:
            break
    return gaps


def shown_interval(
    specs: Sequence[Spec], in_lanes: int, topology: Topology, *, classes: int, fifos: Mapping[Reader, int | None]
) -> Fraction:
    """The mean interval that depths are judged by: of the first three alike, where there are none the predicted one.

    A buffer that fills over many inferences can let later ones come a little faster; no depth is spent on that.
    """
    return _predicted(_Network(specs, in_lanes, topology, classes), fifos).interval


def _full(
    network: _Network, depths: Depths, reader: Reader, least: int, endless: _Run, hint: int | None
) -> tuple[int, _Run]:
    """The least depth of one FIFO, not below `least`, at which the network takes as few cycles as at any; its run.

    `endless` is the run with this FIFO without end; the search begins at the `hint`.
    """
    runs: dict[int, _Run] = {}

    def run(depth: int) -> _Run:
        if depth not in runs:
            runs[depth] = _predicted(network, {**depths, reader: depth})
        return runs[depth]

    # A FIFO in block RAM delays words longer than one in LUTs: within each kind more depth is never slower.
    deep = network.specs[0].family.memory.block_depth
    low, high, best = least, deep - 1, endless.interval
    if low <= high and run(high).interval <= best:
        best = run(high).interval
    else:
        low = max(low, deep)
        high = max(low, endless.held[reader])
        while high > low and run(high).interval > best:  # what it holds may grow from inference to inference
            high *= 2
    if hint is not None and low <= hint <= high:
        if run(hint).interval > best:
            low = min(hint + 1, high)
        else:
            high = hint
            if low < hint and run(hint - 1).interval > best:
                low = hint
    step = 0
    while low < high:  # the depth is mostly close to the least one
        middle = min(low + step, (low + high) // 2)
        if run(middle).interval <= best:
            high = middle
        else:
            low, step = middle + 1, 2 * step + 1
    return low, run(low)


def fifo_depths(
    specs: Sequence[Spec],
    in_lanes: int,
    topology: Topology,
    *,
    classes: int,
    hints: Depths | None = None,
    progress: Progress = silent,
) -> list[FifoDepth]:
    """The depths of the FIFOs of every join, in the order of the stages and their inputs.

    Parameters
    ----------
    specs : sequence of Spec
    in_lanes : int
        Values in an input word.
    topology : Topology
        Its own FIFOs do not count.
    classes : int
    hints : mapping of Reader to int, optional
        Depths at full rate as they may be: where they are, that is found sooner.
    progress : Progress
        Told how many of how many FIFOs are done.

    Raises
    ------
    ValueError
        When the network hangs for another reason, naming the stage.
    """
    network = _Network(specs, in_lanes, topology, classes)
    readers = short_inputs(specs, in_lanes, topology, classes)
    leasts: dict[Reader, int | None] = dict.fromkeys(readers)
    fulls: dict[Reader, int | None] = dict.fromkeys(readers)
    last = _predicted(network, fulls)
    depths = []
    for done, reader in enumerate(readers):
        leasts[reader] = least = _least(network, leasts, reader)
        fulls[reader], last = full, _ = _full(network, fulls, reader, least, last, (hints or {}).get(reader))
        depths.append(FifoDepth(reader, least, full))
        progress("depths of FIFOs", done + 1, len(readers))
    return depths
