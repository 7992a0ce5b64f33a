"""The folding of an engine of given lanes: what its shape leaves open, chosen by simple rules."""

from __future__ import annotations

from functools import lru_cache

from rtl_gen.engine.folding import EngineFolding
from rtl_gen.engine.rings import least_rows
from rtl_gen.engine.segment import Segment
from rtl_gen.engine.spec import EngineSpec, works_of
from rtl_gen.families import Family

__all__ = ["STREAM_ROWS", "engine_folding", "engine_of", "ring_rows"]

#: Rows of the ring that the stream fills, where the map has as many: the stream comes evenly, and the first stage reads
#: it in bursts, whenever nothing behind it can go on.
STREAM_ROWS = 16


@lru_cache(maxsize=1024)
def ring_rows(segment: Segment) -> tuple[int, ...]:
    """The least rows of a segment's rings, whatever its lanes."""
    works = works_of(segment, 1, 1)
    return least_rows(works, segment.reads([1] * len(works)))


def engine_folding(
    segment: Segment,
    simd: int,
    pe: int,
    family: Family,
    *,
    behind: frozenset[int] | None = None,
    stream_rows: int = STREAM_ROWS,
) -> EngineFolding:
    """Stages on simd x pe lanes, with the fewest requantiser lanes and the least rings between stages.

    The queue holds the results of the last stage's longest job: while other stages' jobs are done, they leave.

    Parameters
    ----------
    segment : Segment
    simd, pe : int
    family : Family
    behind : frozenset of int, optional
        Widths that the words of its output may have; any without it.
    stream_rows : int
        Rows of the stream's ring; of the divisors of all rows the next that is at least as large is taken.

    Raises
    ------
    ValueError
        Naming a stage that an engine cannot do, or the lanes that do not fit.
    """
    works, rows = works_of(segment, simd, pe), ring_rows(segment)
    first, steps = works[0], min(work.least_steps for work in works)
    wanted = min(max(stream_rows, rows[0]), first.rows)
    of_stream = next(n for n in range(wanted, first.rows + 1) if first.rows % n == 0)
    made = segment.made.channels
    lanes = [n for n in range(1, pe + 1) if pe % n == 0 and simd % n == 0 and made % n == 0]
    enough = next((n for n in lanes if pe // n <= steps and (behind is None or n in behind)), None)
    if enough is None:
        raise ValueError(
            f"stage {segment.last.name}: no number of requantiser lanes divides {simd} x {pe} lanes and {made} outputs "
            f"and takes a result in {steps} steps"
        )
    queue = works[-1].most_positions * made // enough
    return EngineFolding(
        simd=simd,
        pe=pe,
        lanes=enough,
        rows=(of_stream, *rows[1:]),
        queue=-(-queue // family.memory.lut_depth) * family.memory.lut_depth,
        multiplier="dsp",
    )


def engine_of(segment: Segment, simd: int, pe: int, family: Family) -> EngineSpec:
    """The engine of `engine_folding`, with two products a multiplier where they fit."""
    folding = engine_folding(segment, simd, pe, family)
    spec = EngineSpec(segment, folding, family)
    if pe % 2 or spec.numbers.packing is None:
        return spec
    return EngineSpec(segment, folding.model_copy(update={"multiplier": "packed"}), family)
