"""Shift lanes against products, over every code of every small codebook and over inputs of both signs."""

import itertools

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, Value, signed, unsigned
from amaranth.sim import Simulator

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format
from rtl_gen.families import ECP5
from rtl_gen.multiplier import SHIFT_LATENCY
from rtl_gen.reduce import MacArray
from rtl_gen.shifter import decode, integer_bits, shifted

BOOKS = [Codebook.of_top(bits, zero, 0) for bits in range(2, 7) for zero in (False, True)]
#: Books that leave codes unused, one of them with a single magnitude and one with plain signs.
PARTIAL = [Codebook(4, 5, True, 0), Codebook(4, 3, False, 0), Codebook(3, 1, True, 0), Codebook(2, 1, False, 0)]


def integers(book: Codebook) -> list[int]:
    powers = [sign << e for e in range(book.magnitudes) for sign in (1, -1)]
    return powers + [0] * book.zero


@pytest.mark.parametrize("book", BOOKS + PARTIAL, ids=str)
@pytest.mark.parametrize("shape", [unsigned(1), unsigned(3), signed(2), signed(4), signed(8)], ids=str)
def test_product_with_every_code(book, shape):
    low = -(1 << (shape.width - 1)) if shape.signed else 0
    high = (1 << (shape.width - shape.signed)) - 1
    xs = range(low, high + 1) if shape.width < 8 else (low, low + 1, -1, 0, 1, 37, high)
    pairs = list(itertools.product(xs, integers(book)))
    codes = book.encode(np.array([weight for _, weight in pairs]))
    m = Module()
    x, code = Signal(shape), Signal(book.bits)
    value, more = shifted(m, x, code, book, "product")
    product = Signal(signed(len(value) + 1))
    m.d.comb += product.eq(value + more)
    found = []

    async def run(ctx):
        for cycle in range(len(pairs) + SHIFT_LATENCY):
            if cycle < len(pairs):
                ctx.set(x, pairs[cycle][0])
                ctx.set(code, int(codes[cycle]))
            if cycle >= SHIFT_LATENCY:
                found.append(ctx.get(product))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert found == [a * b for a, b in pairs]


@pytest.mark.parametrize("book", BOOKS + PARTIAL, ids=str)
def test_a_code_s_integer(book):
    code, integer = Signal(book.bits), Signal(signed(integer_bits(book) + 1))
    m = Module()
    m.d.comb += integer.eq(decode(code, book))
    wanted = integers(book)
    found = []

    async def run(ctx):
        for value in book.encode(np.array(wanted)):
            ctx.set(code, int(value))
            await ctx.delay(1e-6)
            found.append(ctx.get(integer))

    simulator = Simulator(m)
    simulator.add_testbench(run)
    simulator.run()
    assert found == wanted


@pytest.mark.parametrize("kind", ["shift", "dsp", "logic"])
def test_an_array_of_codes_sums_the_products_of_their_integers(kind):
    book, x = Codebook.of_top(4, True, 0), Format(8, False, 0)
    simd, pe, carry, steps = 3, 2, 2, 5
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (steps, simd, carry))
    weights = rng.choice(integers(book), (steps, pe, simd))
    array = MacArray(x, book, simd=simd, pe=pe, carry=carry, accumulator=24, kind=kind, family=ECP5)
    found = []

    def word(numbers, bits):
        return sum(int(v) << (bits * i) for i, v in enumerate(numbers.reshape(-1)))

    async def run(ctx):
        for step in range(steps + array.latency):
            given = step < steps
            ctx.set(array.valid, given)
            if given:
                ctx.set(array.first, step == 0)
                ctx.set(array.last, step == steps - 1)
                ctx.set(Value.cast(array.x), word(values[step], 8))
                ctx.set(Value.cast(array.weights), word(book.encode(weights[step]), book.bits))
            await ctx.tick()
            if ctx.get(array.o_valid):
                found.append([ctx.get(array.o[i]) for i in range(pe * carry)])

    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert found == [np.einsum("nps,nst->pt", weights, values).reshape(-1).tolist()]


def test_lanes_that_shift_want_codes():
    with pytest.raises(ValueError, match="lanes that shift need weights of a codebook"):
        weights = Format(4, True, 0, narrow=True)
        MacArray(Format(8, True, 0), weights, simd=1, pe=1, accumulator=12, kind="shift", family=ECP5)
