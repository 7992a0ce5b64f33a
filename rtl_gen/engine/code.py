"""An engine's program as words of its two ROMs: what a job reads and computes, and what becomes of its results.

All that a job needs is in its words, resolved: addresses, strides, numbers of steps. The hardware knows no stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_, or_
from typing import NamedTuple

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from rtl_gen.engine.jobs import Job, Work
from rtl_gen.engine.layout import Layout, Ring
from rtl_gen.engine.schedule import OUTSIDE, Program, Read

__all__ = ["Code", "Field", "Fields", "Written", "issue_code", "unread_words", "write_code"]


class Field(NamedTuple):
    """The values of a field in all words: the greatest, the bits that are set in any, and those that are in all."""

    most: int
    any: int
    all: int

    @classmethod
    def of(cls, values: Iterable[int]) -> Field:
        found = set(values)
        return cls(max(found), reduce(or_, found), reduce(and_, found))

    @classmethod
    def below(cls, most: int) -> Field:
        """Of which no more is known than the greatest."""
        return cls(most, (1 << bits_for(most)) - 1 if most else 0, 0)

    def __or__(self, other: Field) -> Field:  # type: ignore[override]
        """Of the words of both."""
        return Field(max(self.most, other.most), self.any | other.any, self.all & other.all)

    @property
    def varying_bits(self) -> int:
        return (self.any ^ self.all).bit_count()


@dataclass(frozen=True)
class Fields:
    """What the hardware of a program depends on.

    Attributes
    ----------
    count : int
        Words.
    fields : mapping of str to Field
    """

    count: int
    fields: Mapping[str, Field]

    def most(self, name: str) -> int:
        """The greatest value of a field."""
        return self.fields[name].most

    def register_bits(self, name: str) -> int:
        """Bits of a field that are registers: none where it is always the same."""
        field = self.fields[name]
        return bits_for(field.most) if field.varying_bits else 0

    @property
    def varying_bits(self) -> int:
        """Bits of a word that are not the same in all words: the others are no memory."""
        return sum(field.varying_bits for field in self.fields.values())


@dataclass(frozen=True)
class Code:
    """Words of a program, all with the same fields, of which those that are 0 everywhere have no bits.

    Attributes
    ----------
    words : tuple of mapping of str to int
    """

    words: tuple[Mapping[str, int], ...]

    @cached_property
    def layout(self) -> data.StructLayout:
        bits = {name: bits_for(most) if (most := self.most(name)) else 0 for name in self.words[0]}
        return data.StructLayout({name: unsigned(size) for name, size in bits.items()})

    def most(self, name: str) -> int:
        """The greatest value of a field."""
        return self.fields.most(name)

    @cached_property
    def fields(self) -> Fields:
        names = self.words[0]
        return Fields(len(self.words), {name: Field.of(word[name] for word in self.words) for name in names})

    def integers(self) -> list[int]:
        """The words as the ROM holds them."""
        layout, found = self.layout, []
        for word in self.words:
            value = 0
            for name, field in layout:
                value |= word[name] << field.offset
            found.append(value)
        return found


def issue_code(
    works: Sequence[Work], program: Program, layout: Layout, *, signs: Sequence[bool], out_words: int, most: int
) -> Code:
    """What the issuer is told of each job.

    | field | |
    |---|---|
    | `needs` | words of the stream that it waits for |
    | `depth` | jobs before it that may be in the pipeline; as many as can be where it waits for none |
    | `credit` | output words that it makes |
    | `outside`, `signed` | it reads the stream's ring; its inputs have a sign |
    | `address`, `end`, `size` | of its first input word; its ring's end and size |
    | `weights` | the first word of its weights |
    | `run`, `outer`, `deep` | steps of the loops over one result, less one; `..._once` where that is none |
    | `outer_stride` and so on | what a step of a loop adds to the address, `..._weights` to that of the weights |
    | `groups`, `results` | results of a position, and of the job, less one |
    | `position_stride` | from one position's first word to the next's |

    Parameters
    ----------
    works : sequence of Work
    program : Program
    layout : Layout
    signs : sequence of bool
        Whether the inputs of each stage have a sign.
    out_words : int
        Of an output position.
    most : int
        Jobs that can be in the pipeline.
    """
    words, needed = [], -unread_words(works, program.reads)
    for number, (job, stage, depth) in enumerate(zip(program.jobs, program.stages, program.depth, strict=True)):
        work, reads = works[stage], program.reads[stage]
        source = reads[0].source
        ring, out = layout.ring(source), stage == len(works) - 1
        ends = [read.end(job) * works[0].words for read in reads if read.source == OUTSIDE]
        needs = max(max(ends, default=0) - needed, 0)
        needed += needs
        words.append(
            {
                "needs": needs,
                "depth": min(depth, most) if depth < number else most,
                "credit": job.positions * out_words if out else 0,
                "outside": int(source == OUTSIDE),
                "signed": int(signs[stage]),
                "address": ring.address(job.start),
                "end": ring.end,
                "size": ring.size,
                "weights": layout.weights[stage] + _first_weights(work, job),
                **_loops(work, ring, job),
            }
        )
    return Code(tuple(words))


def unread_words(works: Sequence[Work], reads: Sequence[Sequence[Read]]) -> int:
    """Words of the stream behind the last that stages read: they come before the next inference's, and are waited for
    with its first, as if those of one before the first had come.
    """
    ends = [
        read.end(work.jobs[-1]) if read.summand else max(job.end for job in work.jobs)
        for work, given in zip(works, reads, strict=True)
        for read in given
        if read.source == OUTSIDE
    ]
    return (works[0].geometry.volume_words - max(ends)) * works[0].words


def _freed(works: Sequence[Work], program: Program, layout: Layout) -> Iterator[int]:
    """Of each job: words of the stream that no job after it reads, beyond those before."""
    kept = {
        (stage, place): 0
        for stage, given in enumerate(program.reads)
        for place, read in enumerate(given)
        if read.source == OUTSIDE
    }
    ring, freed = layout.ring(OUTSIDE), 0
    for job, stage in zip(program.jobs, program.stages, strict=True):
        for place, read in enumerate(program.reads[stage]):
            if read.source == OUTSIDE:
                kept[stage, place] = read.keeps(job, ring.width)
        least = min(kept.values()) * ring.row_words
        yield least - freed
        freed = least


def _first_weights(work: Work, job: Job) -> int:
    """ROM words before those of the first valid tap."""
    _, high, wide = work.node.window.kernel
    d, h, w = job.first_taps
    return ((d * high + h) * wide + w) * work.words


def _loops(work: Work, ring: Ring, job: Job) -> dict[str, int]:
    """Steps and strides: along W with the words, H, D. A kernel along D alone is the outer loop; then none is deep."""
    _, high, wide = work.node.window.kernel
    axes = work.geometry.axes
    d, h, w = job.taps
    line = (h, axes[1].dilation * ring.row_words, wide * work.words)
    plane = (d, axes[0].dilation * axes[1].size * ring.row_words, high * wide * work.words)
    outer, deep = (line, plane) if high > 1 else (plane, (1, 0, 0))
    run, groups = w * work.words, work.groups
    return {
        "run": run - 1,
        "run_once": int(run == 1),
        "outer": outer[0] - 1,
        "outer_once": int(outer[0] == 1),
        "outer_stride": outer[1] if outer[0] > 1 else 0,
        "outer_weights": outer[2] if outer[0] > 1 else 0,
        "deep": deep[0] - 1,
        "deep_once": int(deep[0] == 1),
        "deep_stride": deep[1] if deep[0] > 1 else 0,
        "deep_weights": deep[2] if deep[0] > 1 else 0,
        "result_once": int(job.steps == 1),
        "groups": groups - 1,
        "groups_once": int(groups == 1),
        "group_weights": work.node.window.taps * work.words if groups > 1 else 0,
        "results": job.results - 1,
        "results_once": int(job.results == 1),
        "position_stride": axes[2].stride * work.words if job.positions > 1 else 0,
    }


@dataclass(frozen=True)
class Written:
    """What becomes of a stage's results.

    Attributes
    ----------
    emits, padded : int
        Requantised words of a position that are kept, and how many of them are padding.
    shift, clamp : int
        Numbers of the requantiser's final shift and range.
    sum : int
        The number of what is added to them, and how (`rtl_gen.engine.summation.Sums`).
    signed : bool
        What is added has a sign.
    """

    emits: int
    padded: int
    shift: int
    clamp: int
    sum: int = 0
    signed: bool = False

    def fields(self) -> dict[str, int]:
        """Those that are the same in all of the stage's jobs."""
        return {
            "emits": self.emits - 1,
            "padded": self.padded,
            "shift": self.shift,
            "clamp": self.clamp,
            "sum": self.sum,
            "sum_signed": int(self.signed),
        }


def write_code(works: Sequence[Work], program: Program, layout: Layout, written: Sequence[Written]) -> Code:
    """What the writer is told of each job.

    | field | |
    |---|---|
    | `frees` | words of the stream that nobody reads after it |
    | `out` | its results leave by the output queue |
    | `address` | in the memory of rings, of its first word |
    | `row` | the requantiser's, of a position's first lanes |
    | `emits`, `padded` | requantised words of a position that are kept, less one; those of them that are padding |
    | `shift`, `clamp` | numbers of the requantiser's final shift and range |
    | `sum`, `sum_signed` | how something is added to them; whether that has a sign |
    | `adds`, `adds_outside` | something is added; it stands in the stream's ring |
    | `summand` | the address of its first word |
    | `stage` | by which taps are told apart |

    Parameters
    ----------
    works : sequence of Work
    program : Program
    layout : Layout
    written : sequence of Written
        Of each stage.
    """
    words = []
    freed = _freed(works, program, layout)
    for job, stage, frees in zip(program.jobs, program.stages, freed, strict=True):
        out = stage == len(works) - 1
        added = next((read for read in program.reads[stage] if read.summand), None)
        words.append(
            {
                "frees": frees,
                "out": int(out),
                "address": 0 if out else layout.ring(stage).address(job.first),
                "row": layout.rows[stage],
                "adds": int(added is not None),
                "adds_outside": int(added is not None and added.source == OUTSIDE),
                "summand": 0 if added is None else layout.ring(added.source).address(job.first),
                "stage": stage,
                **written[stage].fields(),
            }
        )
    return Code(tuple(words))
