"""The queue in which bytes of the host wait while a design pauses its input: its depth, and what a plan keeps free.

The host sends at the line's pace and is not told of pauses, so that whatever comes in one finds room.
"""

from __future__ import annotations

from typing import Final

from rtl_gen.families import Family, Resources
from rtl_gen.fifo import fifo_resources
from rtl_gen.prediction import Prediction

__all__ = ["BITS_OF_BYTE", "LARGEST", "PLANNED_BAUD", "bytes_of_pause", "queue_bits", "queue_bytes", "queue_resources"]

#: Bits of a byte on the line: start, eight of data, stop.
BITS_OF_BYTE: Final = 10
#: Most bytes of a queue; where a pause takes more, the line must be slower.
LARGEST: Final = 16384
#: The line that plans keep room for, which is not known yet.
PLANNED_BAUD: Final = 1_000_000


def bytes_of_pause(predicted: Prediction, divisor: int) -> int:
    """Bytes that come while the design may pause, for one interval, on a line with so many clock cycles a bit."""
    return (predicted.longest + predicted.latency) // (BITS_OF_BYTE * divisor) + 2


def queue_bytes(needed: int) -> int:
    """The depth of a queue of bytes: a power of two."""
    return int(1 << max(4, (needed - 1).bit_length()))


def queue_bits(word: int) -> int:
    """What is kept of each byte for words of so many bits: of a narrow word no more than the word."""
    return min(word, 8)


def queue_resources(predicted: Prediction, word: int, clock_mhz: float, family: Family) -> Resources:
    """Block RAMs of the queue beyond those in the family's overhead, for words of so many bits.

    They are for the line that plans keep room for.
    """
    divisor = max(round(clock_mhz * 1e6 / PLANNED_BAUD), 1)
    depth = min(queue_bytes(bytes_of_pause(predicted, divisor)), LARGEST)
    return Resources(brams=max(fifo_resources(depth, queue_bits(word), family).brams - family.overhead.brams, 0))
