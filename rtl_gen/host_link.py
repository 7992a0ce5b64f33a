"""Memories of the link to a host, which plans count and boards build: how much of a sample it holds, and an answer.

A buffer that holds a whole sample feeds the accelerator without a pause, so that the cycles which the board counts are
the predicted ones. It is in memories of one port where the family has them: the sample is written first, then read.
Otherwise it takes what block RAM the design leaves, up to a share of the device; else the buffer is small, and the
accelerator waits for the line.
"""

from __future__ import annotations

from typing import Final

from rtl_gen.families import Family, Resources
from rtl_gen.families.blocks import MemoryPrimitive

__all__ = ["QUEUE", "SHARE", "beside_buffer", "buffer_resources", "buffered_words", "in_single_port", "single_ports"]

#: Of a device's block RAMs at most one in so many holds the input.
SHARE: Final = 8
#: Words of a buffer smaller than a sample, and twice as many as long as that needs no further block RAM.
SMALL: Final = 256
#: Words of the queue between the buffer and the accelerator: more than are on their way through the buffer's memory.
QUEUE: Final = 16
#: Bits of the widest memory: the payload of a frame.
COLUMN: Final = 256


def _columns(bits: int) -> list[int]:
    return [min(COLUMN, bits - first) for first in range(0, bits, COLUMN)]


def _blocks(memory: MemoryPrimitive, depth: int, bits: int) -> int:
    return sum(memory.blocks(depth, column) for column in _columns(bits))


def in_single_port(memory: MemoryPrimitive, bits: int, words: int, depth: int) -> bool:
    """Whether a buffer of so many words is in memories of one port: of a whole sample, where they hold it."""
    primitive = memory.single_port
    return primitive is not None and depth == words and primitive.holds(depth, bits)


def single_ports(memory: MemoryPrimitive, bits: int, words: int) -> int:
    """Memories of one port that hold a sample of so many words."""
    if memory.single_port is None or not in_single_port(memory, bits, words, words):
        return 0
    return memory.single_port.blocks(bits)


def buffered_words(bits: int, words: int, memory: MemoryPrimitive, brams: int | None, used: int) -> int:
    """Input words that the link holds: a whole sample of so many, or a power of two below.

    Parameters
    ----------
    bits, words : int
        Of an input word, and of a sample.
    memory : MemoryPrimitive
    brams, used : int
        Block RAMs of the device, without a bound None, and of the design and whatever else there is.
    """
    if brams is None or not memory.uses_block(words) or in_single_port(memory, bits, words, words):
        return words
    share = min(brams - used, max(brams // SHARE, 1))
    if _blocks(memory, words, bits) <= share:
        return words
    depth = min(SMALL, words)
    least = _blocks(memory, depth, bits)
    if least > share and not memory.uses_block(64):
        return 64
    while 2 * depth < words and _blocks(memory, 2 * depth, bits) <= least:
        depth *= 2
    return depth


def buffer_resources(bits: int, words: int, depth: int, memory: MemoryPrimitive) -> Resources:
    """What a buffer of `depth` of a sample's words takes beyond the family's overhead, in which the link's rest is."""
    if in_single_port(memory, bits, words, depth):
        return Resources()
    blocks = Resources(brams=_blocks(memory, depth, bits))
    if memory.uses_block(depth):
        return blocks
    return sum((memory.shallow(depth, column) for column in _columns(bits)), blocks)


def beside_buffer(in_bits: int, out_bits: int, out_words: int, family: Family) -> Resources:
    """What a board's top level and its link take without the buffer: the family's overhead, and block RAM of the queue
    behind the buffer and of a long answer; where both are in LUTs they are in the overhead.
    """
    memory = family.memory
    return family.overhead + Resources(
        brams=memory.queue(QUEUE, in_bits + 1).brams + memory.blocks(out_words, out_bits)
    )
