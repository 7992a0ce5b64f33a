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

from rtl_gen.engine.code import Field, Fields, issue_code
from rtl_gen.engine.jobs import Work
from rtl_gen.engine.layout import Layout, Ring
from rtl_gen.engine.schedule import OUTSIDE, Program, Read

if TYPE_CHECKING:
    from rtl_gen.engine.spec import EngineSpec

__all__ = ["fields_of"]

#: Bits of an address that may be the same in all words.
CONSTANT_BITS = 3
ZERO = Field(0, 0, 0)


def fields_of(spec: EngineSpec) -> tuple[Fields, Fields]:
    """The fields of the issuer's and of the writer's program, with no more bits than they have."""
    works, layout, last = spec.works, spec.layout, len(spec.works) - 1
    found = []
    for number, (work, weights, reads) in enumerate(zip(works, layout.weights[:-1], spec.reads, strict=True)):
        ring, outside = layout.ring(reads[0].source), reads[0].source == OUTSIDE
        alone = _alone(work, ring.rows, spec.position_words if number == last else 0)
        found.append(
            {
                **alone,
                **({} if outside else {"needs": ZERO}),
                "depth": Field.of([spec.most_under_way]),
                "outside": Field.of([int(outside)]),
                "signed": Field.of([int(spec.edges[number].format.signed)]),
                "address": _moved(alone["address"], ring.base),
                "end": Field.of([ring.end]),
                "weights": _moved(alone["weights"], weights),
            }
        )
    count = sum(len(work.jobs) for work in works)
    return Fields(count, _joined(found)), Fields(count, _joined([_written(spec, number) for number in range(last + 1)]))


def _joined(fields: list[dict[str, Field]]) -> Mapping[str, Field]:
    return {name: reduce(or_, (one[name] for one in fields)) for name in fields[0]}


def _moved(field: Field, base: int) -> Field:
    """Of values that are all so much greater."""
    if base == 0:
        return field
    return _address(base + field.most) if field.varying_bits else Field.of([base + field.most])


def _address(most: int) -> Field:
    """Of addresses of which no more is known than the greatest."""
    found = Field.below(most)
    return found._replace(any=max(found.any >> CONSTANT_BITS, 1))


@lru_cache(maxsize=8192)
def _alone(work: Work, rows: int, out_words: int) -> Mapping[str, Field]:
    """The issuer's fields of a stage that is an engine by itself."""
    jobs = work.jobs
    program = Program(jobs, (0,) * len(jobs), (0,) * len(jobs), ((Read(OUTSIDE, rows),),), (0,) * len(jobs), 0)
    code = issue_code([work], program, Layout.of([work], [rows], 1, 1), signs=[False], out_words=out_words, most=0)
    return code.fields.fields


def _written(spec: EngineSpec, number: int) -> dict[str, Field]:
    """The writer's fields of a stage."""
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
    frees = _released(work, layout.ring(OUTSIDE).row_words) if spec.reads[number][0].source == OUTSIDE else ZERO
    return {
        "frees": frees,
        "address": ZERO if one["out"] else _within(layout.ring(number), work),
        "summand": ZERO if added is None else _within(layout.ring(added.source), work),
        **{name: Field.of([value]) for name, value in one.items()},
    }


def _within(ring: Ring, work: Work) -> Field:
    """Of addresses in a ring, by the jobs that make it."""
    return _address(ring.end - 1) if len(work.jobs) > 1 else Field.of([ring.base])


@lru_cache(maxsize=8192)
def _released(work: Work, row_words: int) -> Field:
    """What a stage's jobs free of the stream's ring where it alone reads that."""
    kept = [0, *(job.keeps for job in work.jobs)]
    return Field.of((after - before) * row_words for before, after in pairwise(kept))
