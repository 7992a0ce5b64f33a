"""What the planner chooses engines among: runs of plain contractions and whole blocks, on arrays of stated shapes.

For words of `simd` inputs an engine has the fewest parallel results that keep up, each kind of lane, the fewest
requantiser lanes, and the least rings between its stages. What it takes is known exactly once its jobs are in order,
which takes time; before that, at least how much (`rtl_gen.engine.bound`). The search therefore works with the least
that engines can take, makes those that it has chosen exact, and searches again until it chooses none but exact ones:
what is then the best, is so among all engines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtt_hw.graph import Graph, Node
from rtl_gen.engine.choices import engine_folding, ring_rows
from rtl_gen.engine.folding import EngineFolding
from rtl_gen.engine.jobs import plain
from rtl_gen.engine.numbers import numbers_of
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.spec import EngineSpec, works_of
from rtl_gen.families import Family
from rtl_gen.kinds.choices import Choice, Lanes, divisors, readable
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.nest import stream_of

__all__ = ["MOST_LANES", "EngineChoice", "EngineChoices", "Engines"]

#: Parallel inputs, and parallel results, of the widest array.
MOST_LANES = 32
#: Parallel results that an array can have; channels that do not fill them are padded.
_RESULTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
#: The least parallel inputs: on fewer, a stage of its own is smaller.
LEAST_INPUTS = 4


@dataclass(frozen=True)
class EngineChoice(Choice):
    """An engine of the stages with these names.

    Attributes
    ----------
    stages : tuple of str
    exact : bool
        Otherwise its cycles and what it takes may be more.
    """

    folding: EngineFolding  # type: ignore[assignment]
    stages: tuple[str, ...] = ()
    exact: bool = False


class EngineChoices:
    """The engines that some stages can be.

    Parameters
    ----------
    segment : Segment
    stream : int
        Channels of the stream that it reads.
    family : Family
    """

    def __init__(self, segment: Segment, stream: int, family: Family):
        self.segment, self.stream, self.family = segment, stream, family
        self.names = segment.names
        powers = (n for n in divisors(segment.edges[0].channels) if n & (n - 1) == 0)
        #: Widths that a word can have.
        self.widths = [n for n in powers if LEAST_INPUTS <= n <= MOST_LANES]
        self._work: dict[tuple[int, int], int] = {}
        self._drafts: dict[tuple[int, int, Lanes], list[EngineFolding]] = {}
        self._known: dict[EngineFolding, EngineChoice | None] = {}

    @property
    def made(self) -> int:
        """Channels of its output."""
        return int(self.segment.made.channels)

    def reads(self, width: int) -> Lanes:
        """The widths that the stream which it reads may have."""
        return readable(self.stream, width)

    def spec(self, folding: EngineFolding) -> EngineSpec:
        """The hardware of a folding."""
        return EngineSpec(self.segment, folding, self.family)

    def of(self, width: int, behind: Lanes, cycles: int) -> list[EngineChoice]:
        """The engines whose words have `width` values, when readers can take words of the widths `behind`.

        Of each kind of lane the one with the fewest parallel results that takes at most so many cycles.
        """
        found: dict[str, EngineChoice] = {}
        for pe in _RESULTS:
            if self._steps(width, pe) > cycles:
                continue
            drafts = self._of_shape(width, pe, behind)
            for draft in drafts:
                choice = self._choice(draft)
                if choice is not None and choice.cycles <= cycles:
                    found.setdefault(draft.multiplier, choice)
            if drafts and all(draft.multiplier in found for draft in drafts):
                break
        return list(found.values())

    def costs(self, width: int, behind: Lanes, cycles: int) -> NDArray[np.int64]:
        """What is known that the choices of `of` cost: int64 [choices, (cycles, dsps, brams, luts)]."""
        found = self.of(width, behind, cycles)
        rows = [(c.cycles, c.resources.dsps, c.resources.brams, c.resources.luts) for c in found]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def others(self, present: EngineFolding, behind: Lanes, widths: Iterable[int], cycles: int) -> list[EngineChoice]:
        """Exact engines of at most so many cycles: those of the search, and `present` with a smaller first ring."""
        found = [choice for width in widths for choice in self.of(width, behind, cycles)]
        least = ring_rows(self.segment)[0]
        rows = [n for n in divisors(self.spec(present).works[0].rows) if least <= n < present.rows[0]]
        drafts = [present.model_copy(update={"rows": (n, *present.rows[1:])}) for n in rows]
        foldings = [*(choice.folding for choice in found), *drafts]
        exact = [self.exact(folding) for folding in dict.fromkeys(foldings) if folding != present]
        return [choice for choice in exact if choice is not None and choice.cycles <= cycles]

    def slower(self, present: EngineFolding) -> list[EngineChoice]:
        """Exact engines with half as many lanes or fewer, whatever their words."""
        every = readable(self.made, 1)
        most = present.simd * present.pe // 2
        shapes = ((simd, pe) for simd in self.widths for pe in _RESULTS if simd * pe <= most)
        drafts = (draft for simd, pe in shapes for draft in self._of_shape(simd, pe, every))
        found = (self.exact(draft) for draft in drafts if draft.multiplier == present.multiplier)
        return [choice for choice in found if choice is not None]

    def exact(self, folding: EngineFolding) -> EngineChoice | None:
        """A choice with what it takes; None where its jobs have no order."""
        known = self._known.get(folding)
        if known is None or not known.exact:
            try:
                spec = self.spec(folding)
                known = EngineChoice(folding, spec.cycles, spec.resources(), self.names, exact=True)
            except ValueError:
                known = None
            self._known[folding] = known
        return known

    def _choice(self, folding: EngineFolding) -> EngineChoice | None:
        if folding not in self._known:
            steps = self._steps(folding.simd, folding.pe)
            self._known[folding] = EngineChoice(folding, steps, self.spec(folding).least_resources, self.names)
        return self._known[folding]

    def _steps(self, simd: int, pe: int) -> int:
        """Of an inference on an array: the least cycles that it can take."""
        key = simd, pe
        if key not in self._work:
            self._work[key] = sum(work.cycles for work in works_of(self.segment, simd, pe))
        return self._work[key]

    def _of_shape(self, simd: int, pe: int, behind: Lanes) -> list[EngineFolding]:
        """The foldings of an array, by kind of lane; none where it cannot be built."""
        key = simd, pe, behind
        if key not in self._drafts:
            try:
                draft = engine_folding(self.segment, simd, pe, self.family, behind=behind)
                spec = self.spec(draft)
            except ValueError:
                self._drafts[key] = []
            else:
                numbers = spec.numbers
                packs = pe % 2 == 0 and numbers.packing is not None
                kinds: list[LaneKind] = ["shift"] if numbers.coded else ["dsp", "logic"]
                if packs:
                    kinds.append("packed")
                if numbers.share_blocks:
                    kinds.append("dual")
                self._drafts[key] = [draft.model_copy(update={"multiplier": kind}) for kind in kinds]
        return self._drafts[key]


class Engines:
    """The engines of a network's runs of stages.

    Parameters
    ----------
    graph : Graph
    family : Family
    """

    def __init__(self, graph: Graph, family: Family):
        self.graph, self.family = graph, family
        self._known: dict[tuple[str, ...], EngineChoices] = {}

    def runs(self, items: Sequence[Sequence[str]]) -> Iterator[tuple[int, EngineChoices]]:
        """Of layers and blocks, each by the names of its stages: how many from the first on can be an engine, and its
        choices.
        """
        names: tuple[str, ...] = ()
        for count, item in enumerate(items, start=1):
            names = self._ordered((*names, *item))
            try:
                found = self.of(names)
            except ValueError:
                return
            if len(names) > 1:  # one alone is smaller as a stage
                yield count, found

    def of(self, names: tuple[str, ...]) -> EngineChoices:
        """The choices of an engine of some stages; raises ValueError where they can be none."""
        if names not in self._known:
            segment = Segment.of(self.graph, names)
            for stage in segment.stages:
                plain(stage.node)
            numbers_of(segment, self.family)
            stream = stream_of(self.graph, self._nodes[names[0]].inputs[0])
            self._known[names] = EngineChoices(segment, stream, self.family)
        return self._known[names]

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.graph.nodes}

    def _ordered(self, names: tuple[str, ...]) -> tuple[str, ...]:
        chosen = set(names)
        return tuple(name for name in self._nodes if name in chosen)

    def settle(self, choices: Iterable[Choice]) -> bool:
        """Make engines that were chosen exact; whether all of them were."""
        found = [choice for choice in choices if isinstance(choice, EngineChoice) and not choice.exact]
        for choice in found:
            self._known[choice.stages].exact(choice.folding)
        return not found
