"""Ring, walker, gate and sequencer: their registers by the constants of a walk, their LUTs by what these take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from amaranth.utils import bits_for, ceil_log2

from rtl_gen.costs.cells import adder, chosen, columns, counter, equals, lookup, trailing_zeros
from rtl_gen.families import Resources
from rtl_gen.geometry import Geometry
from rtl_gen.loop_nest import LoopShape
from rtl_gen.walker import WalkerShape

__all__ = ["gate", "ring_writer", "sequencer", "walker"]


def ring_writer(width: int, collect: int, ring: int, pointer: int) -> Resources:
    """A `rtl_gen.ring.RingWriter` of words of `width` bits, each of `collect` input words."""
    address, part = bits_for(max(ring - 1, 1)), ceil_log2(collect)
    ffs = width + part + 3 * pointer + 3 + 2 + address
    # Comparisons of the pointers by carry cells, an increment, an address that wraps.
    luts = 3 * _equal(pointer) + counter(pointer) + counter(address) + address + equals(address) + 2 * part + RING
    return Resources(luts=luts, ffs=ffs)


#: Fitted: what accepts words.
RING = 2


def _equal(bits: int) -> int:
    """LUTs that compare two values: two bits of each a LUT, and their conjunction; made twice where it is deep."""
    pairs = -(-bits // 2)
    return pairs + 1 + (4 if pairs > 4 else 0)


@dataclass(frozen=True)
class _Descriptor:
    """Bits of a descriptor that are registers; all that are always 1 are one."""

    base: int
    tables: int

    @property
    def bits(self) -> int:
        """Without `need` and `limit`."""
        return self.base + self.tables + 1


@lru_cache(maxsize=4096)
def _axis_tables(geometry: Geometry, axis: int, run: int, stride: int, rows: bool) -> tuple[tuple[int, ...], ...]:
    """The second tables of an axis: part of the tap, steps less one, whether there is one, class."""
    window = geometry.axes[axis]
    counts = [window.count(o) for o in range(window.out_size)]
    steps = [n * (run if axis == 2 else 1) for n in counts]
    tables = [
        tuple(window.first_tap(o) * stride for o in range(window.out_size)),
        tuple(n - 1 for n in steps),
        tuple(int(n == 1) for n in steps),
    ]
    if rows:
        classes = sorted(set(counts), reverse=True)
        tables.append(tuple(classes.index(n) for n in counts))
    return tuple(tables)


@lru_cache(maxsize=4096)
def _late(shape_key: tuple[Geometry, int, tuple[int, int, int], bool]) -> tuple[int, int, tuple[bool, ...]]:
    """(LUTs, flip-flops, whether an axis' vary) of a walk's second tables."""
    geometry, run, strides, rows = shape_key
    luts = ffs = 0
    varies = []
    for axis in range(3):
        more, bits = lookup(_axis_tables(geometry, axis, run, strides[axis], rows))
        luts, ffs = luts + more, ffs + bits
        varies.append(bits > 0)
    return luts, ffs, tuple(varies)


@lru_cache(maxsize=4096)
def _early(geometry: Geometry, ring: int, pointer: int) -> tuple[int, tuple[set[int], ...], tuple[bool, ...], bool]:
    """(LUTs, each axis' columns, whether an axis' table of `need`, and of `keep`, varies, whether both are one along H
    and W) of the first tables.
    """
    luts = 0
    mask, found, flags, alike = (1 << pointer) - 1, [], [], True
    for axis, (window, stride) in enumerate(zip(geometry.axes, geometry.strides, strict=True)):
        outputs = range(window.out_size)
        words, more = (geometry.words, ring) if axis == 0 else (0, 0)
        need = tuple(window.last(o) * stride + words & mask for o in outputs)
        keep = tuple(window.oldest(o) * stride + more & mask for o in outputs)
        hold = tuple(int(geometry.holds(axis, o)) for o in outputs)
        luts += lookup((need, keep, hold))[0]
        found.append(columns(need) | columns(keep) | columns(hold))
        flags += [len(set(need)) > 1, len(set(keep)) > 1]
        alike &= axis == 0 or (need == keep and not any(hold))
    return luts, tuple(found), tuple(flags), alike


@lru_cache(maxsize=4096)
def _moves(geometry: Geometry, ring: int) -> tuple[int, int, tuple[bool, ...]]:
    """(LUTs, flip-flops, whether an axis' vary) of what a position's first word moves on by."""
    luts = ffs = 0
    bits = bits_for(2 * ring) + 1
    moves: list[list[int]] = []
    for axis, stride in zip(geometry.axes, geometry.strides, strict=True):
        first = [axis.first(o) * stride for o in range(axis.out_size)]
        if not moves:  # and on to the next volume
            first.append(geometry.volume_words + first[0])
        moves.append([(after - before) % ring for before, after in zip(first, first[1:], strict=False)])
    several = any(a.out_size > 1 for a in geometry.axes)
    # Bits that are alike with and without a ring's words less are one register.
    taken: set[int] = set()
    for minus in (0, ring):
        rows = [[(n - minus) % (1 << bits) for n in row] for row in moves]
        taken |= columns([n for row in rows for n in row])
        luts += sum(len(columns(row)) for row in rows if len(row) > 2)
    return luts + (len(taken) if several else 0), ffs + len(taken), tuple(len(set(row)) > 1 for row in moves)


@lru_cache(maxsize=4096)
def walker(shape: WalkerShape, rows: bool) -> Resources:
    """A `rtl_gen.walker.Walker`; `rows` says whether the row of an average is read."""
    geometry, pointer, ring = shape.geometry, shape.pointer_bits, shape.ring
    sizes = [a.out_size for a in geometry.axes]
    moving = sum(n > 1 for n in sizes)
    early_luts, early_columns, flags, alike = _early(geometry, ring, pointer)
    late_luts, late_ffs, late = _late((geometry, shape.run, shape.tap_strides, rows))
    move_luts, move_ffs, moves = _moves(geometry, ring)
    need_bits, limit_bits = _counted(shape)
    volume = max(pointer - trailing_zeros(geometry.volume_words), 0)
    # The outermost axis is counted where anything depends on it.
    outer = bool(volume or early_columns[0] or late[0] or moves[0])
    positions = [ceil_log2(n) for n, counted in zip(sizes, (outer, True, True), strict=True) if n > 1 and counted]
    # A column that is a bit of the position is the register that delays the position.
    delayed = [columns(range(n)) if a or b else set() for n, a, b in zip(sizes, late, moves, strict=True)]
    early_ffs = sum(len(found | bits) for found, bits in zip(early_columns, delayed, strict=True))
    base = bits_for(max(ring, 2) - 1)

    inner_need, inner_keep = flags[2] or flags[4], flags[3] or flags[5]
    top_need, top_keep = volume or flags[0], volume or flags[1]
    terms = [bool(inner_need), bool(top_need), bool(inner_keep), bool(top_keep)]
    ffs = 3 + sum(n + 1 for n in positions) + len(positions) + early_ffs + late_ffs
    h, w = geometry.strides[1:]
    # Of the terms of a volume's words: one below the planes, one of planes and volumes.
    below = bits_for(max(geometry.axes[1].size * h, 1))
    low_need = max(min(below, pointer) - trailing_zeros(w), 0)
    low_limit = 0 if alike else low_need
    tops = min(trailing_zeros(geometry.volume_words), trailing_zeros(geometry.strides[0]) if flags[0] else 1 << 10)
    high = max(pointer - tops, 0)
    ffs += low_need * terms[0] + high * terms[1] + low_limit * terms[2] + high * terms[3]
    ffs += volume + move_ffs + (3 + (moving > 1)) * base + 2
    descriptor = _descriptor(shape, rows)
    ffs += descriptor.bits + need_bits * (terms[0] or terms[1]) + limit_bits * (terms[2] or terms[3])

    luts = sum(counter(n) + equals(n) + 1 for n in positions) + early_luts + late_luts + move_luts
    # Terms whose bits do not overlap are joined, not added.
    row = max(bits_for(max(geometry.axes[2].size * w - 1, 1)) - trailing_zeros(h), 0)
    luts += adder(min(row and low_need - trailing_zeros(h) + trailing_zeros(w), low_need)) * (flags[2] and flags[4])
    luts += adder(row and low_limit) * (flags[3] and flags[5]) + (low_limit if flags[3] or flags[5] else 0) // 2
    plane = max(trailing_zeros(geometry.strides[0]), 0)
    overlap = bool(volume) and bits_for(max(geometry.axes[0].size * geometry.strides[0] - 1, 1)) > trailing_zeros(
        geometry.volume_words
    )
    luts += adder(high) * overlap * (flags[0] + flags[1])
    if below > plane:
        luts += adder(high) * (bool(inner_need and top_need) + bool(inner_keep and top_keep))
    luts += counter(volume)
    wide = bits_for(2 * ring) + 1
    whole = min(trailing_zeros(geometry.words), base)
    luts += 2 * adder(wide - whole) + base - whole + chosen(base, min(moving, 3)) + WALKER
    return Resources(luts=luts, ffs=ffs)


#: Fitted: enables and flags.
WALKER = 6


def _counted(shape: WalkerShape) -> tuple[int, int]:
    """Bits of `need` and of `limit` that are not always the same: both count a position's words."""
    words, pointer = trailing_zeros(shape.geometry.words), shape.pointer_bits
    return max(pointer - words, 0), max(pointer - min(words, trailing_zeros(shape.ring)), 0)


@lru_cache(maxsize=4096)
def _descriptor(shape: WalkerShape, rows: bool) -> _Descriptor:
    _, tables, _ = _late((shape.geometry, shape.run, shape.tap_strides, rows))
    once = 0
    if shape.merged:
        single = [
            {a.count(o) * (shape.run if i == 2 else 1) == 1 for o in range(a.out_size)}
            for i, a in enumerate(shape.geometry.axes)
        ]
        once = int(all(True in s for s in single) and sum(len(s) > 1 for s in single) > 1)
    return _Descriptor(bits_for(max(shape.ring - 1, 1)), tables + once)


@lru_cache(maxsize=4096)
def gate(shape: WalkerShape, rows: bool) -> Resources:
    """A `rtl_gen.gate.Gate` without its walker."""
    descriptor = _descriptor(shape, rows)
    bits, pointer = descriptor.bits, shape.pointer_bits
    need, limit = _counted(shape)
    ffs = 3 * bits + 3 * need + 2 * limit + pointer + 6
    luts = 4 * adder(need) + bits + need + limit + GATE
    return Resources(luts=luts, ffs=ffs)


#: Fitted: what holds and moves positions.
GATE = 12


@lru_cache(maxsize=4096)
def sequencer(shape: LoopShape, read_latency: int, rows: bool, address_latency: int) -> Resources:
    """A `rtl_gen.sequencer.Sequencer` without gate and walker."""
    walk = shape.walk
    ring = walk.ring
    descriptor = _descriptor(walk, rows)
    late = address_latency + read_latency - 1
    address, wide = bits_for(max(ring - 1, 1)), bits_for(2 * ring)
    rom = bits_for(max(shape.rom_depth - 1, 1)) if shape.rom_depth else 0
    spare = ceil_log2(max(shape.credits - shape.result_words, shape.result_words) + 1) + 1

    limit = _counted(walk)[1]
    ffs = descriptor.bits + limit  # the position at work
    ffs += 7 + 4 + 2 * limit + 1 + spare + 3 * late
    if rows:
        ffs += (late + 1) * bits_for(len(walk.row_counts))
    levels_ffs, levels_luts, offsets = _levels(shape)
    groups_ffs, groups_luts, shifts = _groups(shape)
    ffs += levels_ffs + groups_ffs
    far = max(wide - min([*offsets[-2:], *shifts, 64]), 0)
    ffs += wide + far + wide + address + 4 * rom

    luts = levels_luts + groups_luts + descriptor.tables // 2 + SEQUENCER
    luts += 2 * adder(spare) + 2 * spare
    inner = sum(offset < wide for offset in offsets[:-2])
    luts += adder(wide) * inner + adder(far) * (sum(o < wide for o in offsets[-2:]) - 1 + len(shifts))
    luts += adder(wide) + adder(wide + 1) + address
    luts += 3 * adder(rom) if rom else 0
    return Resources(luts=luts, ffs=ffs)


#: Fitted: what starts, ends and issues steps.
SEQUENCER = 12


def _levels(shape: LoopShape) -> tuple[int, int, list[int]]:
    """(flip-flops, LUTs, constant low bits of what each adds to the ring's address) of the loops within a result."""
    walk = shape.walk
    plane_words, line_words, words = walk.geometry.strides
    taps = [a.kernel for a in walk.geometry.axes]
    tap_d, tap_h, tap_w = walk.tap_strides
    most = bits_for(tap_d * taps[0]) if shape.rom_depth else 0
    inner = (shape.inner_stride, 1) if walk.merged else (words, tap_w)
    found = [
        (taps[2] * walk.run, *inner, tap_w),
        (taps[1], line_words, tap_h, tap_h),
        (taps[0], plane_words, tap_d, tap_d),
    ]
    if not walk.merged:
        found = [(walk.inner, shape.inner_stride, 1, 1), *found]
    ffs = luts = 0
    offsets = []
    d, h, w = walk.geometry.axes
    for (steps, stride, rom_stride, start), axis in zip(
        found, [w, h, d] if walk.merged else [None, w, h, d], strict=True
    ):
        rest = bits_for(steps if steps > 1 else 1)
        value = max(bits_for(walk.ring) - trailing_zeros(stride), 0)
        rom = max(most - min(trailing_zeros(rom_stride), trailing_zeros(start)), 0)
        ffs += rest + 1 + value + rom
        offsets.append(trailing_zeros(stride) if steps > 1 else 64)
        varies = start and any(axis.first_tap(o) for o in range(axis.out_size)) if axis is not None else False
        luts += adder(value) + adder(rom) + (2 * rom if varies else 0)
        luts += counter(rest) + 2 * rest if steps > 1 else 1
    return ffs, luts, offsets


def _groups(shape: LoopShape) -> tuple[int, int, list[int]]:
    """(flip-flops, LUTs, constant low bits of what each adds to the ring's address) of the loops over results."""
    levels, results = shape.groups, shape.results
    flat = ceil_log2(max(results, 2))
    ffs, luts = flat + 1, counter(flat) + equals(flat)
    shifts = []
    for index, level in enumerate(levels):
        for stride in (level.stride, level.rom_stride):
            if stride:
                bits = bits_for(stride * level.count) - trailing_zeros(stride)
                ffs, luts = ffs + bits, luts + adder(bits)
        if level.stride and not shape.order:
            shifts.append(trailing_zeros(level.stride))
        if index < len(levels) - 1:
            bits = ceil_log2(level.count)
            ffs, luts = ffs + bits + 1, luts + counter(bits) + equals(bits) + 2
    if shape.order:
        shifts.append(0)
    return ffs, luts, shifts
