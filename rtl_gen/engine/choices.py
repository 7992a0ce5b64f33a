"""The folding of an engine of given lanes: what its shape leaves open, chosen by simple rules."""

from __future__ import annotations

from collections.abc import Sequence

from qtt_hw.graph import Contraction, Edge
from rtl_gen.engine.folding import EngineFolding
from rtl_gen.engine.jobs import work_of
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import Family

__all__ = ["STREAM_ROWS", "engine_folding", "engine_of"]

#: Rows of the ring that the stream fills, where the map has as many: the stream comes evenly, and the first stage reads
#: it in bursts, whenever nothing behind it can go on.
STREAM_ROWS = 16


def engine_folding(
    nodes: Sequence[Contraction],
    inputs: Sequence[Edge],
    simd: int,
    pe: int,
    family: Family,
    *,
    behind: frozenset[int] | None = None,
    stream_rows: int = STREAM_ROWS,
) -> EngineFolding:
    """A chain of stages on simd x pe lanes, with the fewest requantiser lanes and the least rings between stages.

    The queue holds the results of the last stage's longest job: while other stages' jobs are done, they leave.

    Parameters
    ----------
    nodes : sequence of Contraction
        Each reads the one before.
    inputs : sequence of Edge
        What each reads.
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
    last = len(nodes) - 1
    works = [
        work_of(node, x, simd, pe, fills=number < last)
        for number, (node, x) in enumerate(zip(nodes, inputs, strict=True))
    ]
    first, steps = works[0], min(work.least_steps for work in works)
    wanted = min(max(stream_rows, first.least_rows), first.rows)
    rows = next(n for n in range(wanted, first.rows + 1) if first.rows % n == 0)
    made = nodes[-1].output(inputs[-1]).channels
    lanes = [n for n in range(1, pe + 1) if pe % n == 0 and simd % n == 0 and made % n == 0]
    enough = next((n for n in lanes if pe // n <= steps and (behind is None or n in behind)), None)
    if enough is None:
        raise ValueError(
            f"stage {nodes[-1].name}: no number of requantiser lanes divides {simd} x {pe} lanes and {made} outputs "
            f"and takes a result in {steps} steps"
        )
    queue = works[-1].most_positions * made // enough
    return EngineFolding(
        simd=simd,
        pe=pe,
        lanes=enough,
        rows=(rows, *(work.least_rows for work in works[1:])),
        queue=-(-queue // family.memory.lut_depth) * family.memory.lut_depth,
        multiplier="dsp",
    )


def engine_of(
    nodes: Sequence[Contraction], inputs: Sequence[Edge], simd: int, pe: int, family: Family
) -> EngineSpec:
    """The engine of `engine_folding`, with two products a multiplier where they fit."""
    folding = engine_folding(nodes, inputs, simd, pe, family)
    spec = EngineSpec(nodes, inputs, folding, family)
    if pe % 2 or spec.packing is None:
        return spec
    return EngineSpec(nodes, inputs, folding.model_copy(update={"multiplier": "packed"}), family)
