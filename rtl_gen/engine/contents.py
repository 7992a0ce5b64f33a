"""What an engine's ROMs hold: weights, and the requantiser's rows; what pads words and results is 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qtt_hw.codebook import Codebook
from rtl_gen.packing import packed_weights
from rtl_gen.words import joined

if TYPE_CHECKING:
    from rtl_gen.engine.spec import EngineSpec

__all__ = ["requantizer_rows", "weight_words"]


def requantizer_rows(spec: EngineSpec) -> list[list[tuple[int, int]]]:
    """m and b of the requantiser's lanes, a row for each of their words, stage by stage."""
    lanes, rows = spec.folding.lanes, []
    for work, m, b in zip(spec.works, spec.numbers.scaling.factors, spec.numbers.scaling.offsets, strict=True):
        padding = work.groups * spec.folding.pe - len(m)
        pairs = [*zip(m, b, strict=True), *[(0, 0)] * padding]
        rows += [pairs[start : start + lanes] for start in range(0, len(pairs), lanes)]
    return rows


def weight_words(spec: EngineSpec) -> list[int]:
    """ROM contents: of each stage word (result, kd, kh, kw, input word) has pe x simd weights, inputs fastest.

    Of a codebook they are codes; those of lanes that do not exist are 0, which a codebook may lack: what they multiply
    is 0 then.
    """
    folding, words = spec.folding, list[int]()
    for work in spec.works:
        node, taps, fmt = work.node, work.node.window.taps, work.node.weight_format
        padded = np.zeros((work.groups * folding.pe, taps, work.words * folding.simd), dtype=np.int64)
        stored = fmt.encode(node.weight) if isinstance(fmt, Codebook) else node.weight
        padded[: node.out_size, :, : node.in_size] = stored.reshape(node.out_size, taps, node.in_size)
        shaped = padded.reshape(work.groups, folding.pe, taps, work.words, folding.simd)
        if folding.multiplier == "packed":
            shaped = packed_weights(shaped)
        rows = shaped.transpose(0, 2, 3, 1, 4).reshape(-1, folding.pe * folding.simd)
        words += [joined(lanes, spec.numbers.weight_format.bits) for lanes in rows]
    return words
