"""What the host's link takes of a device, as plans count it and boards build it: above all the buffer of the input.

A buffer that holds a whole sample feeds the accelerator without a pause, so that the cycles which the board counts are
the predicted ones. Where that takes too much block RAM, the buffer is small and the accelerator waits for the line.
"""

from __future__ import annotations

from typing import Final

from rtl_gen.families import Device, MemoryPrimitive, Resources, family_of

__all__ = ["SHARE", "buffered_words", "link_resources"]

#: Of a device's block RAMs at most one in so many holds the input.
SHARE: Final = 8
#: Words of a buffer smaller than a sample, of which as many more are taken as need no further block RAM.
SMALL: Final = 256
#: Bits of the widest memory: the payload of a frame.
COLUMN: Final = 256


def _blocks(memory: MemoryPrimitive, depth: int, bits: int) -> int:
    columns = [min(COLUMN, bits - first) for first in range(0, bits, COLUMN)]
    return sum(memory.blocks(depth, column) for column in columns)


def buffered_words(bits: int, words: int, target: Device) -> int:
    """Input words that the link holds: a whole sample of so many, or a power of two below."""
    memory = family_of(target).memory
    if target.brams is None or words <= SMALL or _blocks(memory, words, bits) <= max(target.brams // SHARE, 1):
        return words
    depth, least = SMALL, _blocks(memory, SMALL, bits)
    while 2 * depth < words and _blocks(memory, 2 * depth, bits) <= least:
        depth *= 2
    return depth


def link_resources(bits: int, words: int, target: Device) -> Resources:
    """What the link takes beyond the family's overhead, for samples of so many words of so many bits."""
    depth = buffered_words(bits, words, target)
    return Resources(brams=_blocks(family_of(target).memory, depth, bits))
