"""Lanes, adder trees, accumulators and requantisers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from amaranth.utils import ceil_log2

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, bits_for_range
from rtl_gen.costs.cells import adder, columns, counter, equals, rom
from rtl_gen.families import Family, Resources
from rtl_gen.multiplier import LaneKind, pieces
from rtl_gen.multiplier import latency_of as product_latency
from rtl_gen.packing import packing_of
from rtl_gen.requantizer import latency_of, multipliers_of, scale_of, stored_bits
from rtl_gen.shifter import integer_bits, shift_levels

__all__ = ["mac_array", "pool_reducer", "requantizer"]


@dataclass(frozen=True)
class _Sum:
    """A registered value: bits of its shape, and those at its low end that are always 0."""

    bits: int
    zeros: int = 0

    @property
    def ffs(self) -> int:
        return self.bits - self.zeros


def _tree(lanes: list[_Sum], levels: int) -> tuple[list[_Sum], int, int]:
    """(sums, LUTs, flip-flops) of additions in pairs, a level a cycle."""
    luts = ffs = 0
    for _ in range(levels):
        sums = []
        for index in range(0, len(lanes), 2):
            pair = lanes[index : index + 2]
            if len(pair) == 2:
                total = _Sum(max(p.bits for p in pair) + 1, min(p.zeros for p in pair))
                luts += adder(total.bits - max(p.zeros for p in pair))
            else:
                total = pair[0]
            ffs += total.ffs
            sums.append(total)
        lanes = sums
    return lanes, luts, ffs


@lru_cache(maxsize=4096)
def logic_product(narrow: int, narrow_signed: bool, wide: int, wide_signed: bool) -> tuple[int, int]:
    """(LUTs, flip-flops) of a product in LUTs, without the registers of its operands; `rtl_gen.multiplier`."""
    if narrow == 1:
        return 1, wide  # the bit resets the register
    terms = [_Sum(wide + i, i) for i in range(narrow)]
    luts = ffs = level = 0
    while len(terms) > 1:
        level += 1
        sums = []
        for index in range(0, len(terms), 2):
            pair = terms[index : index + 2]
            if len(pair) == 2:
                total = _Sum(max(p.bits for p in pair) + 1, min(p.zeros for p in pair))
                if len(terms) <= 2:
                    total = _Sum(min(total.bits, narrow + wide + 1), total.zeros)
                width = total.bits - pair[1].zeros
                luts += adder(width)
                if level == 1:
                    luts += 1  # the lowest bit; the copies are made in the carry cells
            else:
                total = pair[0]
                if level == 1:
                    luts += wide
            ffs += total.ffs
            sums.append(total)
        terms = sums
    return luts, ffs


@lru_cache(maxsize=4096)
def _shift_lane(x: Format, book: Codebook) -> tuple[int, int, int]:
    """(LUTs, flip-flops, flip-flops of the code's, which lanes of the same weight share) of a lane that shifts."""
    levels = shift_levels(book)
    places = list(accumulate(levels))
    # A selection for each bit of the index, and for a zero; it is negated in the carry cells behind.
    luts = (sum(3 * bits - 2 for bits in levels if bits) + int(book.zero)) * x.bits + SHIFT
    ffs = sum(x.bits + (1 << place) - 1 for place in places)
    return luts, ffs, len(places) + sum(places[-1] - place for place in places)


#: Fitted: bits at both ends of a shifted value.
SHIFT = 4


@lru_cache(maxsize=8192)
def mac_array(
    x: Format,
    weight: Format | Codebook,
    simd: int,
    pe: int,
    carry: int,
    accumulator: int,
    kind: LaneKind,
    family: Family,
) -> Resources:
    """A `rtl_gen.reduce.MacArray`, but for its multipliers."""
    results, products = pe * carry, pe * carry * simd
    bits = integer_bits(weight) if isinstance(weight, Codebook) else weight.bits
    latency = product_latency(kind, family, min(x.bits, bits)) + ceil_log2(simd) + 1
    luts, ffs = ARRAY, 3 * (latency - 1) + 1
    if isinstance(weight, Codebook) and kind != "shift":
        index = ceil_log2(weight.magnitudes + int(weight.zero))
        luts += pe * simd * (3 * weight.magnitudes * index // 4)
    levels = ceil_log2(simd)
    if kind == "packed":
        packing = packing_of(x, weight, family.multiplier.bits)
        assert packing is not None
        product = x.bits + family.multiplier.bits + 1
        first = min(packing.levels, levels)
        sums, more, held = _tree([_Sum(product)] * simd, first)
        pairs = results // 2
        luts, ffs = luts + pairs * more, ffs + pairs * (simd * product + held)
        high = sums[0].bits - packing.place + 1
        luts, ffs = luts + pairs * len(sums) * adder(high), ffs + pairs * len(sums) * (packing.place + high)
        for part in (packing.place, high):
            _, more, held = _tree([_Sum(part)] * len(sums), levels - first)
            luts, ffs = luts + pairs * more, ffs + pairs * held
        luts += results * adder(accumulator)
        return Resources(luts=luts, ffs=ffs + results * 2 * accumulator)
    if kind == "shift":
        assert isinstance(weight, Codebook)
        lane_luts, lane_ffs, shared = _shift_lane(x, weight)
        lane = _Sum(x.bits + weight.magnitudes)
        ffs += pe * simd * shared
    elif kind == "logic":
        narrow_is_x = x.bits <= bits
        narrow, wide = (x.bits, bits) if narrow_is_x else (bits, x.bits)
        signed = (x.signed, True) if narrow_is_x else (True, x.signed)
        lane_luts, lane_ffs = logic_product(narrow, signed[0], wide, signed[1])
        lane = _Sum(wide if narrow == 1 else x.bits + bits + 1)
        if narrow > 1:
            ffs += simd * carry * x.bits + pe * simd * bits
    elif kind == "dual":
        lane = _Sum(x.bits + bits)
        lane_luts, lane_ffs = 0, lane.bits
    else:
        lane, count = _Sum(x.bits + bits + 1), pieces(bits, family)
        lane_luts = (count - 1) * adder(lane.bits)
        lane_ffs = lane.bits if count == 1 else sum(x.bits + family.multiplier.bits for _ in range(count))
    _, tree_luts, tree_ffs = _tree([lane] * simd, levels)
    luts += products * lane_luts + results * (tree_luts + adder(accumulator))
    ffs += products * lane_ffs + results * (tree_ffs + 2 * accumulator)
    return Resources(luts=luts, ffs=ffs)


#: Fitted: flags.
ARRAY = 2


@lru_cache(maxsize=4096)
def pool_reducer(x: Format, lanes: int, accumulator: int, sums: bool) -> Resources:
    """A `rtl_gen.reduce.PoolReducer`."""
    luts = adder(accumulator) if sums else adder(x.bits + 1) + x.bits + 1
    return Resources(luts=lanes * luts, ffs=lanes * accumulator + 1)


@lru_cache(maxsize=4096)
def requantizer(
    requant: Requantizer, low: int, high: int, lanes: int, words: int, by_channel: bool, family: Family
) -> Resources:
    """A `rtl_gen.requantizer.RequantizeUnit`, but for its multipliers."""
    rows = len(requant.multiplier or ()) or 1
    rows = rows // lanes if by_channel else rows
    latency = latency_of(requant, low, high, rows, family)
    out, acc = requant.out, bits_for_range(low, high)
    shared = Resources(ffs=latency)
    if requant.affine and by_channel and words > 1:
        word = ceil_log2(words)
        shared += Resources(luts=counter(word) + equals(word) + (word if words & (words - 1) else 0), ffs=word)
    positive = not requant.affine and low >= 0  # no sign, and nothing below
    lane = Resources(ffs=2 - positive + 2 * out.bits)
    product = bits_for_range(*requant.product_range(low, high)) - positive
    if not requant.affine:
        rounds, total = requant.shift > 0, product
        kept = max(product - abs(requant.shift), 0)
        lane += Resources(luts=adder(kept) if rounds else 0, ffs=kept)
    else:
        m_bits, b_bits = stored_bits(requant)
        factors_stored, offsets_stored = _stored(requant)
        table = rom(rows, m_bits + b_bits, family)
        if not table.brams:
            table = rom(rows, factors_stored + offsets_stored, family)
        read = family.memory.read_latency(rows, m_bits + b_bits)
        shift = max(requant.shift, 0)  # the bits below are dropped
        lane += Resources(ffs=read * acc)
        total = product + 1
        scale = scale_of(requant)
        if scale is not None:
            lane += Resources(luts=adder(total - scale), ffs=total - shift)
        else:
            place = family.multiplier.bits - 1
            sums = b_bits
            late = product_latency("dsp", family, family.multiplier.bits)
            table += Resources(ffs=offsets_stored * late if rows > 1 else 0)
            count, factors = multipliers_of(requant, low, high, family), pieces(m_bits, family)
            for number in range(count):
                index, inner = divmod(number, factors)
                a_bits = place if index < pieces(acc, family) - 1 else acc - index * place
                f_bits = place if inner < factors - 1 else m_bits - inner * place
                wide, left = a_bits + f_bits + 1, (index + inner) * place
                sums = min(max(sums, wide + left) + 1, total)
                dropped = shift if number == count - 1 else 0
                lane += Resources(luts=adder(sums - left), ffs=wide * (1 + number) + max(sums - dropped, 0))
        if by_channel:
            lane += table
        else:  # all lanes read the same row, which is there once
            shared += Resources(luts=table.luts, ffs=table.ffs)
            lane += Resources(brams=table.brams)
    shifted = max(total - max(requant.shift, 0), 1)
    over = max(shifted - out.bits, 0)
    # Two conjunctions of the bits above those that are kept, then a choice of three for each bit.
    lane += Resources(luts=(2 - positive) * -(-over // 3) + SATURATION + out.bits)
    return shared + Resources(luts=lanes * lane.luts, ffs=lanes * lane.ffs, brams=lanes * lane.brams)


@lru_cache(maxsize=1024)
def _offsets(requant: Requantizer) -> tuple[int, ...]:
    """The offsets as they are stored: with the rounding term, as many bits as the greatest has."""
    assert requant.offset is not None
    half, bits = (1 << (requant.shift - 1) if requant.shift > 0 else 0), stored_bits(requant)[1]
    return tuple((b + half) & ((1 << bits) - 1) for b in requant.offset)


@lru_cache(maxsize=1024)
def _stored(requant: Requantizer) -> tuple[int, int]:
    """Registers of a row's m and b: bits that are the same in all rows are none, those that are alike are one."""
    assert requant.multiplier is not None
    bits = stored_bits(requant)[0]
    factors, offsets = columns([m & ((1 << bits) - 1) for m in requant.multiplier]), columns(_offsets(requant))
    return len(factors - offsets), len(offsets)


#: Fitted: signs in a saturation.
SATURATION = 2
