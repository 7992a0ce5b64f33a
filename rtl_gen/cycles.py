"""The event model: the cycle of every transfer in a network of stages, predicted without simulating any data.

Each unit of the datapath has one recurrence over the cycles of its events (a word accepted, a result issued, a word
freed), with the constants of the hardware; they stand in `cycles.cpp`. A unit runs until it needs an event that has
not been computed yet; the units take turns until every output of the wanted inferences is known. Source and sink never
stall. Of each link only the words that some unit looks back to are kept. Here units and links are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from qtt_hw.progress import Progress, silent
from rtl_gen.compiled import Table, load_library
from rtl_gen.fifo import fifo_latency
from rtl_gen.kinds import Spec
from rtl_gen.network import Network, edge_at
from rtl_gen.period import find_period
from rtl_gen.prediction import Prediction
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["Inferences", "Model", "predict", "predict_by", "schedule"]

#: Stands for the depth of a FIFO that has no end: it goes through a block RAM.
UNLIMITED = 1 << 40
#: Turns of all units between two reports of progress: some hundredths of a second.
ROUNDS = 10_000

_Cycles = NDArray[np.int64]
_TABLE = Table(np.dtype(np.int64))
#: Arguments after the model, and result, of the functions of cycles.cpp.
_FUNCTIONS: dict[str, tuple[list[Any], Any]] = {
    "delete_model": ([], None),
    "add_link": ([c_int64], c_int64),
    "add_source": ([c_int64], None),
    "offer": ([c_int64], None),
    "add_sink": ([c_int64], None),
    "add_splitter": ([c_int64] * 3, None),
    "add_gatherer": ([c_int64] * 3, None),
    "add_fork": ([c_int64] * 2 + [_TABLE], None),
    "add_fifo": ([c_int64] * 4, c_int64),
    "add_credited": ([c_int64] * 4 + [_TABLE, c_int64, _TABLE], None),
    "add_argmax": ([c_int64] * 3, None),
    "add_stage": ([c_int64] * 11 + [_TABLE] * 3, None),
    "add_engine": ([c_int64] * 13 + [_TABLE] * 6, None),
    "add_row_pool": ([c_int64] * 9 + [_TABLE], None),
    "add_unfold": ([c_int64] * 7 + [_TABLE], None),
    "deepen_fifo": ([c_int64] * 2, None),
    "is_full": ([c_int64], c_int64),
    "most_held": ([c_int64], c_int64),
    "tell_state": ([], c_int64),
    "copy_state": ([_TABLE], None),
    "replace_state": ([_TABLE], None),
    "keep_held": ([], None),
    "restore_held": ([], None),
    "run": ([c_int64], c_int64),
    "count_units": ([], c_int64),
    "watch": ([c_int64] * 3, None),
    "copy_works": ([c_int64, _TABLE], None),
    "copy_waits": ([c_int64, c_int64, _TABLE], None),
    "count_taken": ([c_int64], c_int64),
    "first_taken": ([c_int64], c_int64),
    "count_offered": ([c_int64], c_int64),
    "count_records": ([c_int64], c_int64),
    "copy_records": ([c_int64, _TABLE], None),
}


@cache
def _library() -> Any:
    library = load_library(Path(__file__).with_name("cycles.cpp"))
    library.new_model.restype = c_void_p
    for name, (arguments, result) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = [c_void_p, *arguments], result
    return library


class _Units:
    """Units and links; `add_stage(...)` and so on are the functions of cycles.cpp."""

    def __init__(self) -> None:
        self._pointer = _library().new_model()
        finalize(self, _library().delete_model, self._pointer)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(_library(), name)
        return lambda *arguments: function(self._pointer, *arguments)


class Model(Network[int]):
    """Source, stages, forks, FIFOs, argmax and sink of a network, joined by links.

    Parameters
    ----------
    specs : sequence of Spec
    in_lanes : int
        Values in an input word.
    topology : Topology
    every_word : bool
        Every transfer is recorded, not only the last one of each inference.
    classes : int or None
        Logits per inference before the argmax word; None leaves the argmax unit out.

    Attributes
    ----------
    links : list of int
        The input's, each stage's output's, and last the network's output; without an argmax that is the last stage's.
    words : list of int
        Of an inference, on each of `links`.
    fifos : dict of Reader to int
        Numbers of cycles.cpp.
    """

    def __init__(
        self,
        specs: Sequence[Spec],
        in_lanes: int,
        topology: Topology,
        *,
        every_word: bool = False,
        classes: int | None,
    ):
        super().__init__(specs, topology)
        self.units = _Units()
        self.links: list[int] = []
        self.words: list[int] = []
        self.fifos: dict[Reader, int] = {}
        self._every_word = every_word
        #: Link -> what reads it, for messages; in the order of the network.
        self._readers: dict[int, str] = {}

        edge = edge_at(specs, topology.readers[SOURCE][0])
        source = self._output(edge.positions * edge.channels // in_lanes)
        self.units.add_source(source)
        self.join(source, in_lanes)
        if classes is not None:
            feed, _ = self.narrowed(Reader(len(specs), 0), 1)
            self._readers[feed] = self._name(len(specs))
            self.units.add_argmax(feed, self._output(classes + 1), classes)
        self.units.add_sink(self.links[-1])

    def _output(self, words: int) -> int:
        """The output link of a stage, with so many words an inference."""
        self.words.append(words)
        self.links.append(self.units.add_link(1 if self._every_word else words))
        return self.links[-1]

    def _name(self, stage: int) -> str:
        return f"stage {self.specs[stage].name}" if stage < len(self.specs) else "the argmax"

    def add_fork(self, stage: int, flow: int, lanes: int, readers: Sequence[Reader]) -> Sequence[int]:
        apart = [self.units.add_link(0) for _ in readers]
        self.units.add_fork(flow, len(readers), np.array(apart, dtype=np.int64))
        self._readers[flow] = ", ".join(dict.fromkeys(self._name(reader.stage) for reader in readers))
        return apart

    def add_fifo(self, reader: Reader, flow: int, lanes: int, depth: int | None) -> int:
        behind = self.units.add_link(0)
        latency = fifo_latency(UNLIMITED if depth is None else depth, self.specs[0].family)
        self.fifos[reader] = self.units.add_fifo(flow, behind, -1 if depth is None else depth, latency)
        self._readers[flow] = f"the FIFO before {self._name(reader.stage)}"
        return behind

    def add_splitter(self, reader: Reader, flow: int, lanes: int, wanted: int) -> int:
        narrow = self.units.add_link(0)
        self.units.add_splitter(flow, narrow, lanes // wanted)
        self._readers[flow] = self._name(reader.stage)
        return narrow

    def add_gatherer(self, reader: Reader, flow: int, lanes: int, wanted: int) -> int:
        wide = self.units.add_link(0)
        self.units.add_gatherer(flow, wide, wanted // lanes)
        self._readers[flow] = self._name(reader.stage)
        return wide

    def add_node(self, number: int, spec: Spec, flows: Sequence[int], lanes: int) -> int:
        for flow in flows:
            self._readers[flow] = self._name(number)
        output = self._output(spec.out_words)
        spec.recurrence(self.units, flows, output, lanes)
        return output

    def records(self, link: int) -> _Cycles:
        """Cycles of the recorded transfers of a link."""
        cycles = np.empty(self.units.count_records(link), dtype=np.int64)
        self.units.copy_records(link, cycles)
        return cycles

    def go_on(self) -> bool:
        """Run for `ROUNDS`; whether anything can still move."""
        state = self.units.run(ROUNDS)
        if state < 0:
            raise RuntimeError("a unit of the event model looks further back than it keeps")
        return bool(state)

    def offer(self, inferences: int) -> None:
        """The source has the words of so many inferences in all."""
        self.units.offer(self.words[0] * inferences)

    def run(self, inferences: int) -> bool:
        """Let the words of so many inferences go as far as they can; whether all have come out."""
        self.offer(inferences)
        while self.go_on():
            pass
        return self.inferences() == inferences

    def inferences(self) -> int:
        """How many inferences have come out; where every word is recorded, how many words."""
        return int(self.units.count_records(self.links[-1]))

    def passed(self, inferences: int) -> float:
        """Inferences that have passed, each link counted up to so many and alike."""
        passed = [self.units.count_taken(i) / n for i, n in zip(self.links, self.words, strict=True)]
        return sum(min(p, inferences) for p in passed) / len(passed)

    def refusing(self) -> str:
        """The last unit that does not take a word offered to it: what follows it has nothing left to do."""
        stuck = [r for i, r in self._readers.items() if self.units.count_taken(i) < self.units.count_offered(i)]
        return stuck[-1] if stuck else "the input"


def schedule(
    specs: Sequence[Spec], in_lanes: int, inferences: int, *, classes: int | None, topology: Topology | None = None
) -> list[_Cycles]:
    """Cycle of every transfer: the input's, each stage's output's, and last the network's output, for some inferences.

    Parameters
    ----------
    specs : sequence of Spec
    in_lanes : int
        Values in an input word.
    inferences : int
    classes : int or None
        Logits per inference before the argmax word; None leaves the argmax unit out.
    topology : Topology, optional
        Without one the stages are a chain.

    Returns
    -------
    list of int64 array, [words]
        From the first transfer at the input on. Shorter than the inferences' words where the network deadlocks.
    """
    topology = topology or Topology.chain(len(specs))
    model = Model(specs, in_lanes, topology, every_word=True, classes=classes)
    model.run(inferences)
    start = max(model.units.first_taken(model.links[0]), 0)
    return [model.records(link) - start for link in model.links]


def predict(
    specs: Sequence[Spec],
    in_lanes: int,
    *,
    classes: int,
    topology: Topology | None = None,
    progress: Progress = silent,
) -> Prediction:
    """The end of every inference of a network that ends in an argmax over `classes` logits.

    Memory is bounded by the rings, queues and FIFOs, not by the words of an inference.

    Parameters
    ----------
    specs : sequence of Spec
    in_lanes : int
        Values in an input word.
    classes : int
    topology : Topology, optional
        Without one the stages are a chain.
    progress : Progress
        Told every few hundredths of a second how many inferences have passed, on average over the network; how many
        there will be is not known, four or five are enough for most.

    Raises
    ------
    ValueError
        When the network deadlocks, or its intervals do not repeat (`rtl_gen.period.NotPeriodic`).
    """
    topology = topology or Topology.chain(len(specs))
    return predict_by(Model(specs, in_lanes, topology, classes=classes), progress)


def predict_by(model: Model, progress: Progress = silent) -> Prediction:
    """`predict` by a model of no run yet."""
    return find_period(Inferences(model, progress))


class Inferences:
    """A model that goes on by one inference at a time; what its FIFOs hold counts only until another state is tried.

    An inference's words are offered when all before have come out and nothing moves any more. That changes no cycle:
    what becomes of an inference does not depend on those after it.
    """

    def __init__(self, model: Model, progress: Progress = silent):
        self.model, self.progress, self.offered = model, progress, 0
        self._tries = False

    def step(self) -> int:
        model, self.offered = self.model, self.offered + 1
        model.offer(self.offered)
        while model.go_on():
            passed = model.passed(self.offered)
            self.progress("prediction of cycles", passed, text=f"{passed:.1f} inferences")
        if model.inferences() < self.offered:
            raise ValueError(f"the schedule stops at {model.refusing()}: its buffers are too small")
        return int(model.records(model.links[-1])[-1]) - int(model.units.first_taken(model.links[0]))

    def state(self) -> _Cycles:
        cycles = np.empty(self.model.units.tell_state(), dtype=np.int64)
        self.model.units.copy_state(cycles)
        return cycles

    def attempt(self, state: _Cycles) -> None:
        if not self._tries:
            self.model.units.keep_held()
        self._tries = True
        self.model.units.replace_state(state)

    def resume(self, state: _Cycles) -> None:
        self.model.units.replace_state(state)
        self.model.units.restore_held()
        self._tries = False
