"""What an engine takes at least, whatever the order of its jobs: the planner cannot order those of all engines.

All fields of a word belong to its job but one, `depth`. Those of a stage's jobs are collected once; a segment's are put
together of them, with the addresses at which its rings and weights begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, reduce
from itertools import pairwise
from operator import or_
from typing import TYPE_CHECKING

import numpy as np

from qtt_hw.fixedpoint import IntArray
from rtl_gen.engine.code import Code, Field, Fields, issue_code
from rtl_gen.engine.jobs import Work
from rtl_gen.engine.layout import Layout, Ring
from rtl_gen.engine.schedule import OUTSIDE, Program, Read

if TYPE_CHECKING:
    from rtl_gen.engine.spec import EngineSpec

__all__ = ["fields_of"]

ZERO = Field(0, 0, 0)


def fields_of(spec: EngineSpec) -> tuple[Fields, Fields]:
    """The fields of the issuer's and of the writer's program, with no more bits than they have."""
    works, layout, last = spec.works, spec.layout, len(spec.works) - 1
    alone = sum(reads[0].source == OUTSIDE for reads in spec.reads) + spec.segment.adds_outside == 1
    found = []
    for number, (work, weights, reads) in enumerate(zip(works, layout.weights[:-1], spec.reads, strict=True)):
        ring, outside = layout.ring(reads[0].source), reads[0].source == OUTSIDE
        fields = _of_stage(work, ring.rows, spec.position_words if number == last else 0)
        found.append(
            {
                **fields,
                **({} if outside and alone else {"needs": ZERO}),
                "depth": Field.of([spec.most_under_way]),
                "outside": Field.of([int(outside)]),
                "signed": Field.of([int(spec.edges[number].format.signed)]),
                "address": _moved(_read_at(work, ring.rows), ring.base),
                "end": Field.of([ring.end]),
                "weights": _moved(_weighed_at(work), weights),
            }
        )
    count = sum(len(work.jobs) for work in works)
    written = [_written(spec, number, alone) for number in range(last + 1)]
    return Fields(count, _joined(found)), Fields(count, _joined(written))


def _joined(fields: list[dict[str, Field]]) -> Mapping[str, Field]:
    return {name: reduce(or_, (one[name] for one in fields)) for name in fields[0]}


def _moved(addresses: IntArray, base: int) -> Field:
    """Of addresses that are all so much greater."""
    found = addresses + base
    any_, all_ = np.bitwise_or.reduce(found), np.bitwise_and.reduce(found)
    return Field(int(found.max()), int(any_), int(all_))


def _alone(work: Work, rows: int, out_words: int) -> Code:
    """The issuer's program of a stage that is an engine by itself."""
    jobs = work.jobs
    program = Program(jobs, (0,) * len(jobs), (0,) * len(jobs), ((Read(OUTSIDE, rows),),), (0,) * len(jobs), 0)
    return issue_code([work], program, Layout.of([work], [rows], 1, 1), signs=[False], out_words=out_words, most=0)


@lru_cache(maxsize=8192)
def _of_stage(work: Work, rows: int, out_words: int) -> Mapping[str, Field]:
    """The issuer's fields of a stage, as if it were alone."""
    return _alone(work, rows, out_words).fields.fields


@lru_cache(maxsize=8192)
def _read_at(work: Work, rows: int) -> IntArray:
    """Addresses of the first words that a stage's jobs read, in a ring of so many rows."""
    return np.array([word["address"] for word in _alone(work, rows, 0).words], dtype=np.int64)


@lru_cache(maxsize=8192)
def _weighed_at(work: Work) -> IntArray:
    """Addresses of the first weights of a stage's jobs, beyond those of the stages before."""
    return np.array([word["weights"] for word in _alone(work, work.rows, 0).words], dtype=np.int64)


@lru_cache(maxsize=8192)
def _made_at(work: Work, rows: int, words: int) -> IntArray:
    """Addresses of the first words that a stage's jobs make, of a position `words`, in a ring of so many rows."""
    ring = Ring(0, rows, work.geometry.out_shape[2], words)
    return np.array([ring.address(job.first) for job in work.jobs], dtype=np.int64)


def _written(spec: EngineSpec, number: int, alone: bool) -> dict[str, Field]:
    """The writer's fields of a stage; `alone` where one stage reads the stream, which then frees its words."""
    work, layout = spec.works[number], spec.layout
    added = next((read for read in spec.reads[number] if read.summand), None)
    one = {
        "out": int(number == len(spec.works) - 1),
        "row": layout.rows[number],
        "adds": int(added is not None),
        "adds_outside": int(added is not None and added.source == OUTSIDE),
        "stage": number,
        **spec.written[number].fields(),
    }
    frees = alone and spec.reads[number][0].source == OUTSIDE
    return {
        "frees": _released(work, layout.ring(OUTSIDE).row_words) if frees else ZERO,
        "address": ZERO if one["out"] else _within(layout.ring(number), work),
        "summand": ZERO if added is None else _within(layout.ring(added.source), work),
        **{name: Field.of([value]) for name, value in one.items()},
    }


def _within(ring: Ring, work: Work) -> Field:
    """Of addresses in a ring, by the jobs of the stage that makes its positions."""
    return _moved(_made_at(work, ring.rows, ring.words), ring.base)


@lru_cache(maxsize=8192)
def _released(work: Work, row_words: int) -> Field:
    """What a stage's jobs free of the stream's ring where it alone reads that."""
    kept = [0, *(job.keeps for job in work.jobs)]
    return Field.of((after - before) * row_words for before, after in pairwise(kept))
