"""The event model: the cycle of every transfer in a chain of stages, predicted without simulating any data.

Each unit of the datapath has one recurrence over the cycles of its events (a word accepted, a result issued, a word
freed), with the constants of the hardware; they stand in `cycles.cpp`. A unit runs until it needs an event that has
not been computed yet; the units take turns until every output of the wanted inferences is known. Source and sink never
stall. Of each link only the words that some unit looks back to are kept. Here units and links are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
from numpy.ctypeslib import ndpointer
from numpy.typing import NDArray

from rtl_gen.compiled import load_library
from rtl_gen.folding import StageSpec

__all__ = ["Prediction", "predict", "schedule"]

#: A schedule is not taken to be periodic before this many inferences.
LEAST_INFERENCES = 4
#: Inferences after which a schedule that still changes is reported as such.
MOST_INFERENCES = 12
#: Turns of all units between two reports of progress: some hundredths of a second.
ROUNDS = 10_000

_Cycles = NDArray[np.int64]
_TABLE = ndpointer(np.int64, ndim=1, flags="C_CONTIGUOUS")
#: Arguments after the model, and result, of the functions of cycles.cpp.
_FUNCTIONS: dict[str, tuple[list[Any], Any]] = {
    "delete_model": ([], None),
    "add_link": ([c_int64], c_int64),
    "add_source": ([c_int64] * 2, None),
    "add_sink": ([c_int64], None),
    "add_splitter": ([c_int64] * 3, None),
    "add_argmax": ([c_int64] * 3, None),
    "add_stage": ([c_int64] * 10 + [_TABLE] * 3, None),
    "add_row_pool": ([c_int64] * 9 + [_TABLE], None),
    "run": ([c_int64] * 3, c_int64),
    "count_taken": ([c_int64], c_int64),
    "count_offered": ([c_int64], c_int64),
    "count_records": ([c_int64], c_int64),
    "copy_records": ([c_int64, _TABLE], None),
}


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
        Cycle of the last output word of each inference computed; the first input word's is 0.
    """

    interval: int
    latency: int
    outputs: tuple[int, ...]


@cache
def _library() -> Any:
    library = load_library(Path(__file__).with_name("cycles.cpp"))
    library.new_model.restype = c_void_p
    for name, (arguments, result) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = [c_void_p, *arguments], result
    return library


class _Model:
    """Units and links; `add_stage(...)` and so on are the functions of cycles.cpp."""

    def __init__(self) -> None:
        self._pointer = _library().new_model()
        finalize(self, _library().delete_model, self._pointer)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(_library(), name)
        return lambda *arguments: function(self._pointer, *arguments)

    def records(self, link: int) -> _Cycles:
        """Cycles of the recorded transfers of a link."""
        cycles = np.empty(self.count_records(link), dtype=np.int64)
        self.copy_records(link, cycles)
        return cycles

    def go_on(self, link: int, records: int, rounds: int) -> bool:
        """Run for so many rounds, or until a link has so many records; whether anything can still move."""
        state = self.run(link, records, rounds)
        if state < 0:
            raise RuntimeError("a unit of the event model looks further back than it keeps")
        return bool(state)


@dataclass(frozen=True)
class _Chain:
    """A model of a chain.

    Attributes
    ----------
    links : list of int
        The input's, each stage's output's, and last the chain's output.
    words : list of int
        Of an inference, on each of `links`.
    readers : dict
        Link -> what reads it, for messages; in the order of the chain.
    """

    model: _Model
    links: list[int]
    words: list[int]
    readers: dict[int, str]

    def progress(self, inferences: int) -> float:
        """Inferences that have passed, each link counted up to so many and alike."""
        passed = [self.model.count_taken(i) / n for i, n in zip(self.links, self.words, strict=True)]
        return sum(min(p, inferences) for p in passed) / len(passed)

    def refusing(self) -> str:
        """The last unit that does not take a word offered to it: what follows it has nothing left to do."""
        stuck = [r for i, r in self.readers.items() if self.model.count_taken(i) < self.model.count_offered(i)]
        return stuck[-1] if stuck else "the input"


def _add_stage(model: _Model, spec: StageSpec, in_lanes: int, i: int, o: int) -> None:
    geometry, folding = spec.geometry, spec.folding
    if spec.accumulates:
        model.add_row_pool(
            *(i, o, spec.in_width // in_lanes, geometry.volume_words, spec.groups),
            *(spec.result_words, folding.queue, spec.latency, len(geometry.needs), geometry.needs),
        )
        return
    tables = geometry.needs, geometry.releases, spec.steps
    model.add_stage(
        *(i, o, spec.in_width // in_lanes, folding.ring, geometry.volume_words, spec.groups),
        *(spec.result_words, folding.queue, spec.latency, len(tables[0]), *tables),
    )


def _chain(specs: Sequence[StageSpec], in_lanes: int, inferences: int | None, classes: int | None) -> _Chain:
    """Source, stages, argmax and sink, with splitters where a stream is too wide.

    With a number of inferences, the source ends after them and every transfer is recorded; without one, it has no end
    and the last transfer of each inference is recorded.
    """
    model = _Model()
    first = specs[0]
    links: list[int] = []
    words: list[int] = []
    readers: dict[int, str] = {}

    def append(count: int) -> int:
        words.append(count)
        links.append(model.add_link(1 if inferences is not None else count))
        return links[-1]

    def split(wide: int, lanes: int, wanted: int, reader: str) -> int:
        """The link that feeds a reader of `wanted` lanes."""
        readers[wide] = reader
        if lanes <= wanted:
            return wide
        narrow = model.add_link(0)
        model.add_splitter(wide, narrow, lanes // wanted)
        readers[narrow] = reader
        return narrow

    append(first.in_words * (first.in_width // in_lanes))
    model.add_source(links[0], -1 if inferences is None else words[0] * inferences)
    lanes = in_lanes
    for spec in specs:
        feed = split(links[-1], lanes, spec.in_width, f"stage {spec.node.name}")
        _add_stage(model, spec, min(lanes, spec.in_width), feed, append(spec.out_words))
        lanes = spec.folding.lanes
    if classes is not None:
        feed = split(links[-1], lanes, 1, "the argmax")
        model.add_argmax(feed, append(classes + 1), classes)
    model.add_sink(links[-1])
    return _Chain(model, links, words, readers)


def schedule(specs: Sequence[StageSpec], in_lanes: int, inferences: int, *, classes: int | None) -> list[_Cycles]:
    """Cycle of every transfer: the input's, each stage's output's, and last the chain's output, for some inferences.

    Parameters
    ----------
    specs : sequence of StageSpec
    in_lanes : int
        Values in an input word.
    inferences : int
    classes : int or None
        Logits per inference before the argmax word; None leaves the argmax unit out.

    Returns
    -------
    list of int64 array, [words]
        Shorter than the inferences' words where the chain deadlocks.
    """
    chain = _chain(specs, in_lanes, inferences, classes)
    endless = np.iinfo(np.int64).max
    while chain.model.go_on(chain.links[-1], endless, ROUNDS):
        pass
    return [chain.model.records(link) for link in chain.links]


def predict(
    specs: Sequence[StageSpec],
    in_lanes: int,
    *,
    classes: int,
    progress: Callable[[float], None] | None = None,
) -> Prediction:
    """Interval and latency of a chain that ends in an argmax over `classes` logits.

    Memory is bounded by the rings and queues, not by the words of an inference.

    Parameters
    ----------
    specs : sequence of StageSpec
    in_lanes : int
        Values in an input word.
    classes : int
    progress : callable of float, optional
        Told every few hundredths of a second how many inferences have passed, on average over the chain;
        `LEAST_INFERENCES` are enough for most, `MOST_INFERENCES` the end.

    Raises
    ------
    ValueError
        When the chain deadlocks, or its schedule has not become periodic within `MOST_INFERENCES`.
    """
    chain = _chain(specs, in_lanes, None, classes)
    model, output = chain.model, chain.links[-1]
    for inferences in range(LEAST_INFERENCES, MOST_INFERENCES + 1):
        while model.count_records(output) < inferences:
            if not model.go_on(output, inferences, ROUNDS):
                raise ValueError(f"the schedule stops at {chain.refusing()}: its buffers are too small")
            if progress is not None:
                progress(chain.progress(inferences))
        outputs = model.records(output)[:inferences]
        gaps = np.diff(outputs)
        if gaps[-1] == gaps[-2]:
            return Prediction(int(gaps[-1]), int(outputs[0]), tuple(outputs.tolist()))
    raise ValueError(f"the schedule is not periodic after {MOST_INFERENCES} inferences: {gaps.tolist()}")
