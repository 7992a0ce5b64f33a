"""Units of an engine: registers and carry cells by widths, and a few constants that were fitted and say so."""

from __future__ import annotations

from amaranth.hdl import Shape
from amaranth.utils import bits_for, ceil_log2

from qtt_hw.fixedpoint import bits_for_range
from rtl_gen.costs.cells import adder, chosen, counter, equals, rom
from rtl_gen.engine.code import Fields
from rtl_gen.engine.requantizer import Scaling
from rtl_gen.engine.summation import LATENCY as SUM_LATENCY
from rtl_gen.engine.summation import Sums
from rtl_gen.families import Family, Resources

__all__ = ["issuer", "program_reader", "result_writer", "shared_requantizer", "shared_sum"]


def program_reader(fields: Fields, family: Family) -> Resources:
    """A `rtl_gen.engine.reader.ProgramReader`: its ROM, the head, and an address that is one ahead."""
    words, width = fields.count, fields.varying_bits
    address = ceil_log2(max(words, 2))
    memory = rom(words, width, family)
    luts = memory.luts + 2 * address + counter(address) + equals(address) + READER
    ffs = width + 2 * address + 4 + (0 if family.memory.uses_block(words) else width)
    return Resources(brams=memory.brams, luts=luts, ffs=ffs)


#: Fitted: the beginning after a reset, and what moves.
READER = 18


def issuer(fields: Fields, *, weights: int, ring: int, queue: int, most: int, late: int) -> Resources:
    """A `rtl_gen.engine.issuer.Issuer` without its reader; `late` is the cycles from a step to its words."""
    address, rom_address = bits_for(max(fields.most("end") - 1, 1)), bits_for(max(weights - 1, 1))
    loops = [fields.register_bits(name) for name in ("run", "outer", "deep", "groups", "results")]
    strides = [
        (fields.register_bits(f"{name}_stride"), fields.register_bits(f"{name}_weights")) for name in ("outer", "deep")
    ]
    # The base moves by positions, the weights by groups; both are loaded anew. Then sums of four, and a wrap.
    luts = adder(address) + address + adder(rom_address) + rom_address + fields.register_bits("run") * 2
    ffs = address + rom_address + fields.register_bits("run")
    for ring_bits, rom_bits in strides:
        for bits, whole in ((ring_bits, address), (rom_bits, rom_address)):
            luts, ffs = luts + (adder(whole) if bits else 0), ffs + (whole if bits else 0)
    levels = 1 + sum(1 for bits, _ in strides if bits)
    luts += levels * adder(address + 1) + 2 * adder(address + 1) + address + levels * adder(rom_address)
    ffs += (levels + 1) * (address + 1) + address + (levels + 2) * rom_address
    ffs += 2 * (fields.register_bits("end") + fields.register_bits("size"))
    luts += sum(bits + 2 for bits in loops if bits)
    ffs += sum(bits + 1 for bits in loops if bits)
    for least, field in ((ring, "needs"), (queue, "credit"), (most, "depth")):
        bits = bits_for(least)
        luts, ffs = luts + 2 * adder(bits) + fields.register_bits(field), ffs + bits
    ffs += fields.varying_bits + 7 * late + 6
    return Resources(luts=luts, ffs=ffs)


def result_writer(
    fields: Fields, rows: int, slices: int, depth: int, late: int, pointer: int, *, summands: int
) -> Resources:
    """A `rtl_gen.engine.writer.ResultWriter` without its reader, and what delays its outputs by `late` cycles."""
    row, address, emits = bits_for(max(rows - 1, 1)), bits_for(max(depth - 1, 1)), fields.register_bits("emits")
    slice_bits = ceil_log2(slices)
    luts = counter(row) + row + counter(address) + address + 2 * emits + 2 * slice_bits + WRITER + adder(pointer)
    ffs = row + address + emits + slice_bits + fields.varying_bits + 4 + pointer
    ffs += (late - 1) * (address + slice_bits + 2) + late
    if summands:
        summand = bits_for(max(summands - 1, 1))
        luts, ffs = luts + counter(summand) + summand, ffs + summand
    return Resources(luts=luts, ffs=ffs)


#: Fitted: what is kept, and where a word ends.
WRITER = 10


def shared_requantizer(scaling: Scaling, *, rows: int, lanes: int, accumulator: int, family: Family) -> Resources:
    """A `rtl_gen.engine.requantizer.SharedRequantizer`, but for its multipliers."""
    factor, offset = scaling.factor_bits, scaling.offset_bits
    memory = rom(rows, factor + offset, family)
    pieces = scaling.multipliers(accumulator, family)
    total = max(accumulator + factor, offset) + 1
    shifted, out = total - scaling.shifts[0], scaling.shape.width
    many, kinds = len(scaling.shifts) > 1, len(scaling.ranges)
    luts = memory.luts + pieces * adder(total) + (chosen(shifted, len(scaling.shifts)) if many else 0)
    luts += 2 * sum(-(-max(shifted - bits_for(high), 1) // 3) for _, high in scaling.ranges)
    luts += out + (chosen(out, kinds) if kinds > 1 else 0) + REQUANTIZER
    read = scaling.read_latency(rows, family)
    product = family.multiplier.latency + 1
    ffs = memory.ffs + read * accumulator + product * offset + pieces * total + (shifted if many else 0) + 2 * out + 2
    late = scaling.latency(rows, accumulator, family)
    choices = (late - 1) * ceil_log2(max(kinds, 1)) + (late - 3) * ceil_log2(len(scaling.shifts))
    return Resources(brams=memory.brams * lanes, luts=luts * lanes, ffs=ffs * lanes + choices)


#: Fitted, a lane: which bound holds.
REQUANTIZER = 6


def shared_sum(sums: Sums, results: Shape, lanes: int, late: int) -> Resources:
    """A `rtl_gen.engine.summation.SharedSum`, and what brings its choices to it `late` cycles later."""
    kinds, total = len(sums.kinds), bits_for_range(*sums.total)
    own, other = len({kind.own for kind in sums.kinds}), len({kind.other for kind in sums.kinds})
    out, shifted = sums.shape.width, total - sums.shift
    luts = chosen(total, own) + chosen(total, other) + adder(total) + adder(total)
    luts += 2 * sum(-(-max(shifted - bits_for(kind.high), 1) // 3) for kind in sums.kinds)
    luts += out + (2 * chosen(out, kinds) if kinds > 1 else 0)
    ffs = 3 * total + 2 + 2 * out
    return Resources(luts=luts * lanes, ffs=ffs * lanes + (late + SUM_LATENCY) * ceil_log2(kinds) + 3 * late)
