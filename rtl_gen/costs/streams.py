"""Queues, serialisers, forks, what changes the width of words, and the argmax."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from amaranth.utils import bits_for, ceil_log2

from rtl_gen import unfold as unfolding
from rtl_gen.costs.cells import adder, counter, equals, ram, table_luts
from rtl_gen.families import Family, Resources

__all__ = ["argmax", "credited", "fork", "gatherer", "output_queue", "serializer", "splitter", "turned", "unfold"]


@lru_cache(maxsize=4096)
def output_queue(width: int, depth: int, family: Family) -> Resources:
    """A `rtl_gen.output.OutputQueue`."""
    address, level = ceil_log2(max(depth, 2)), bits_for(depth)
    wraps = 0 if depth & (depth - 1) == 0 else 2 * (equals(address) + address)
    banks = -(-depth // family.memory.lut_depth)
    memory = family.memory.queue(depth, width)
    if not family.memory.lut_ram:
        # The word that is just written and read, and whether it is, where the memory is read by the clock.
        return memory + Resources(
            luts=2 * width + 2 * counter(address) + wraps + adder(level) + level + address + QUEUE,
            ffs=2 * width + 3 + 2 * address + level,
        )
    luts = memory.luts + (width * -(-banks // 2) + banks if banks > 1 else 0)
    luts += 2 * counter(address) + wraps + adder(level) + level + QUEUE
    return Resources(luts=luts, ffs=width + 1 + 2 * address + level + 1)


#: Fitted: what moves a word on.
QUEUE = 9


def serializer(width: int, values: int, lanes: int) -> Resources:
    """A `rtl_gen.output.Serializer` of values of `width` bits."""
    words = values // lanes
    if words == 1:
        return Resources()
    left = bits_for(words)
    return Resources(luts=values * width + 2 * left, ffs=values * width + left)


def fork(readers: int) -> Resources:
    """A `rtl_gen.fork.Fork`."""
    return Resources(luts=6 * readers + 1, ffs=readers)


def splitter(width: int, parts: int) -> Resources:
    """A `rtl_gen.stream.Splitter` to `parts` words of `width` bits."""
    left = bits_for(parts)
    return Resources(luts=2 * width * (parts - 1) + 3 * left + 6, ffs=width * parts + left + 2)


def gatherer(width: int, parts: int) -> Resources:
    """A `rtl_gen.stream.Gatherer` of `parts` words of `width` bits."""
    part = ceil_log2(parts)
    return Resources(luts=4 + 4 * part, ffs=width * (2 * parts - 1) + part + 2)


def credited(words: int) -> Resources:
    """What a `rtl_gen.credited.CreditedUnit` counts, beside its queue of so many words."""
    count = bits_for(words)
    return Resources(luts=adder(count) + equals(count + 1) + 4, ffs=count + 2)


def turned(words: Sequence[int]) -> Resources:
    """What a `rtl_gen.credited.CreditedUnit` takes turns by, of so many words each."""
    if len(words) == 1:
        return Resources()
    left = bits_for(max(words) - 1)
    luts = counter(left) + equals(left) + 2 * left + len(words) + 4
    return Resources(luts=luts, ffs=left + 1 + len(words))


def argmax(logit: int, value: int, classes: int) -> Resources:
    """A `rtl_gen.argmax.Argmax` of logits of so many bits, whose output has `value` bits."""
    index = ceil_log2(max(classes, 2))
    luts = adder(logit + 1) + 2 * value + counter(index) + 2 * equals(index) + 2 * index + 6
    return Resources(luts=luts, ffs=3 * index + logit + value + 8)


def unfold(shape: unfolding.UnfoldShape) -> Resources:
    """A `rtl_gen.unfold.Unfold`."""
    index, word = bits_for(shape.steps - 1), ceil_log2(shape.inner)
    earlier, late = shape.axis.kernel - 1, shape.latency
    ffs = index + word + 9 + earlier + late * (earlier + 1)
    completes = tuple(int(shape.completes(place)) for place in range(shape.steps))
    luts = counter(index) + index + equals(index) + counter(word) + equals(word) + adder(5) + 8
    luts += table_luts(completes) + earlier * shape.width + shape.width
    cost = Resources(luts=luts, ffs=ffs) + output_queue(shape.axis.kernel * shape.width, unfolding.QUEUE, shape.family)
    if not shape.read_latency:
        return cost + Resources(ffs=(earlier * shape.inner + 1) * shape.width)
    return cost + Resources(ffs=late * (shape.width + word + 1)) + ram(shape.inner, shape.history, shape.family)
