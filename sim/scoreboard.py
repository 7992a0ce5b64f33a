"""The scoreboard: owns the golden model, compares every word that a simulation puts out, keeps the first difference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from qtt_hw.graph import Graph, golden
from rtl_gen.manifest import Manifest, Tap
from rtl_gen.words import pack, unpack

__all__ = ["FirstDifference", "Scoreboard"]

#: Bytes of golden activations computed at a time.
GOLDEN_BYTES = 1 << 28

Words = NDArray[np.uint32]


class FirstDifference(BaseModel):
    """Where simulation and golden model part: the earliest sample, in it the earliest stage, in it the first element.

    `stage` is a stage of the graph, or "argmax" or "last" (the flag that ends a sample) of the output; "the output's
    argmax" where a stage has that name. `expected` is None for a word that should not exist, `got` and `cycle` are None
    for one that never came.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    sample: int
    index: tuple[int, int, int, int]
    expected: int | None
    got: int | None
    cycle: int | None

    def __str__(self) -> str:
        place = f"stage {self.stage}, sample {self.sample}, index {list(self.index)} (D, H, W, C)"
        if self.got is None:
            return f"{place}: expected {self.expected}, nothing came"
        wanted = "nothing" if self.expected is None else str(self.expected)
        return f"{place}, cycle {self.cycle}: expected {wanted}, got {self.got}"


@dataclass
class _Stream:
    """A stream's place in the stage order, its words a sample, and how many words it has given."""

    order: int
    words: int
    tap: Tap | None = None
    seen: int = 0
    done: dict[int, int] = field(default_factory=dict)


class Scoreboard:
    """Compares the output stream and the taps with the golden model, word by word, in any interleaving of streams.

    Parameters
    ----------
    graph : Graph
    manifest : Manifest
    x : integer array, [N, D, H, W, C]
        Preprocessed samples, in the order in which they are sent.
    first : int
        Number of the first sample in reports.
    """

    def __init__(self, graph: Graph, manifest: Manifest, x: NDArray, *, first: int = 0):
        self._graph = graph
        self._x = x
        self._first = first
        self._value_bits = manifest.output.value_bits
        names = [node.name for node in graph.nodes]
        size = int(np.prod(graph.output.shape))
        if manifest.output.words != size + 1:
            raise ValueError(
                f"the manifest's output has {manifest.output.words} words, {size} logits and argmax need {size + 1}"
            )
        self._streams = [_Stream(len(names), manifest.output.words)]
        for tap in manifest.taps:
            if tap.stage not in names:
                raise ValueError(f"the manifest taps stage {tap.stage!r}, which {manifest.model} does not have")
            edge = graph.edges[tap.stage]
            size, width = edge.positions * edge.channels, tap.words * tap.lanes // edge.positions
            if tap.words * tap.lanes % edge.positions or not 0 <= width - edge.channels < tap.lanes:
                raise ValueError(f"tap {tap.stage}: {tap.words} words of {tap.lanes} lanes for {size} integers")
            self._streams.append(_Stream(names.index(tap.stage), tap.words, tap))
        bytes_a_sample = 8 * sum(edge.positions * edge.channels for edge in graph.edges.values())
        self._batch = int(min(max(GOLDEN_BYTES // bytes_a_sample, 1), 32))
        self._expected: dict[int, list[Words]] = {}
        self._best: tuple[tuple[int, int, int], FirstDifference] | None = None
        self._ends: list[int] = []

    @property
    def difference(self) -> FirstDifference | None:
        return self._best[1] if self._best is not None else None

    @property
    def completed(self) -> int:
        """Samples whose last output word has come."""
        return len(self._ends)

    @property
    def ends(self) -> list[int]:
        """The cycle of each completed sample's last output word."""
        return self._ends

    def output(self, words: Words, cycles: NDArray[np.uint64]) -> None:
        """Further words of the output stream.

        Parameters
        ----------
        words : uint32 array, [words, limbs]
        cycles : uint64 array, [words]
        """
        stream = self._streams[0]
        ends = np.arange(stream.seen, stream.seen + len(words)) % stream.words == stream.words - 1
        self._ends += [int(cycle) for cycle in cycles[ends]]
        self._take(0, words, cycles)

    def tap(self, index: int, words: Words, cycles: NDArray[np.uint64]) -> None:
        """Further words of the manifest's tap of that index; arrays as for `output`."""
        self._take(1 + index, words, cycles)

    def finish(self) -> None:
        """Nothing more comes: what is missing is a difference."""
        for number, stream in enumerate(self._streams):
            if stream.seen < stream.words * len(self._x):
                sample, word = divmod(stream.seen, stream.words)
                self._note(number, sample, word, self._words(sample)[number][word], None, None)

    def _take(self, number: int, words: Words, cycles: NDArray[np.uint64]) -> None:
        stream = self._streams[number]
        start = 0
        while start < len(words):
            sample, word = divmod(stream.seen, stream.words)
            count = min(stream.words - word, len(words) - start)
            given = words[start : start + count]
            if sample >= len(self._x):
                self._note(number, sample, word, None, given[0], int(cycles[start]))
            else:
                wrong = np.any(given != self._words(sample)[number][word : word + count], axis=1)
                if wrong.any():
                    at = int(np.argmax(wrong))
                    expected = self._words(sample)[number][word + at]
                    self._note(number, sample, word + at, expected, given[at], int(cycles[start + at]))
            stream.seen += count
            start += count
        oldest = min(stream.seen // stream.words for stream in self._streams)
        for sample in [sample for sample in self._expected if sample < oldest]:
            del self._expected[sample]

    def _words(self, sample: int) -> list[Words]:
        """Every stream's expected words of one sample."""
        if sample not in self._expected:
            batch = self._x[sample : sample + self._batch]
            results = golden.run(self._graph, batch, intermediates=len(self._streams) > 1, batch=self._batch)
            logits = results[self._graph.nodes[-1].name].reshape(len(batch), -1)
            for offset in range(len(batch)):
                values = np.append(logits[offset], np.argmax(logits[offset])) & ((1 << self._value_bits) - 1)
                values[-1] |= 1 << self._value_bits
                found = [pack(values, 1, self._value_bits + 1)]
                for stream in self._streams[1:]:
                    assert stream.tap is not None
                    made, width = results[stream.tap.stage][offset], self._width(stream.tap)
                    made = np.pad(made, ((0, 0), (0, 0), (0, 0), (0, width - made.shape[-1])))
                    found.append(pack(made, stream.tap.lanes, stream.tap.lane_bits))
                self._expected.setdefault(sample + offset, found)
        return self._expected[sample]

    def _width(self, tap: Tap) -> int:
        """Channels of a tap's words, with those that fill the last one of a position: they are 0."""
        return tap.words * tap.lanes // self._graph.edges[tap.stage].positions

    def _note(
        self, number: int, sample: int, word: int, expected: Words | None, got: Words | None, cycle: int | None
    ) -> None:
        """Keep the difference if it is the first; `expected` and `got` are [limbs]."""
        stream = self._streams[number]
        if stream.tap is None:
            stage, element, wanted, found = self._in_output(word, expected, got)
            shape = self._graph.output.shape
        else:
            stage = stream.tap.stage
            shape = (*self._graph.edges[stage].shape[:3], self._width(stream.tap))
            lanes = [
                None if row is None else unpack(row[None], stream.tap.lanes, stream.tap.lane_bits, stream.tap.signed)[0]
                for row in (expected, got)
            ]
            differs = lanes[0] != lanes[1] if lanes[0] is not None and lanes[1] is not None else np.array([True])
            lane = int(np.argmax(differs))
            element = word * stream.tap.lanes + lane
            wanted, found = (None if row is None else int(row[lane]) for row in lanes)
        key = (sample, stream.order, word)
        if self._best is None or key < self._best[0]:
            d, h, w, c = (int(i) for i in np.unravel_index(element, shape))
            self._best = (
                key,
                FirstDifference(
                    stage=stage,
                    sample=self._first + sample,
                    index=(d, h, w, c),
                    expected=wanted,
                    got=found,
                    cycle=cycle,
                ),
            )

    def _in_output(
        self, word: int, expected: Words | None, got: Words | None
    ) -> tuple[str, int, int | None, int | None]:
        """Stage, element, expected and got of a word of the output stream."""
        bits = self._value_bits
        rows = [None if row is None else int(unpack(row[None], 1, bits + 1, False)[0, 0]) for row in (expected, got)]
        if rows[0] is not None and rows[1] is not None and rows[0] >> bits != rows[1] >> bits:
            classes = self._streams[0].words - 1
            return self._part("last"), min(word, classes - 1), rows[0] >> bits, rows[1] >> bits
        values = [None if row is None else (row & ((1 << bits) - 1)) for row in rows]
        signed = [None if value is None else value - (value >> (bits - 1) << bits) for value in values]
        if word == self._streams[0].words - 1:
            return self._part("argmax"), 0, signed[0], signed[1]
        return self._graph.nodes[-1].name, word, signed[0], signed[1]

    def _part(self, name: str) -> str:
        """What a part of the output that is no logit is called."""
        return f"the output's {name}" if any(node.name == name for node in self._graph.nodes) else name
