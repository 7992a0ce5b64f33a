"""All kinds of multiplier against the product, over all operand pairs of narrow formats and the ends of wide ones."""

import itertools

import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.sim import Simulator

from rtl_gen.families import ECP5, ICE40
from rtl_gen.multiplier import DualMultipliers, latency_of, multiply


def values(shape):
    low = -(1 << (shape.width - 1)) if shape.signed else 0
    high = (1 << (shape.width - shape.signed)) - 1
    if shape.width <= 4:
        return range(low, high + 1)
    return sorted({low, low + 1, -1 if shape.signed else 0, 0, 1, high - 1, high})


NARROW = [(unsigned(1), signed(4)), (unsigned(8), signed(4)), (signed(8), signed(8)), (signed(2), signed(3))]
OPERANDS = [*NARROW, (signed(4), unsigned(4)), (unsigned(17), signed(18))]


@pytest.mark.parametrize(
    ("kind", "a", "b"),
    [*(("dsp", *pair) for pair in OPERANDS), *(("logic", *pair) for pair in OPERANDS), *(("dual", *p) for p in NARROW)],
)
def test_product(kind, a, b):
    m = Module()
    left, right = Signal(a), Signal(b)
    family = ICE40 if kind == "dual" else ECP5
    if kind == "dual":
        product = DualMultipliers(m, None, family).product(left, right, "product")
    else:
        product = multiply(m, None, left, right, kind, "product", family)
    pairs = list(itertools.product(values(a), values(b)))
    latency = latency_of(kind, family, min(a.width, b.width))
    found = []

    async def run(ctx):
        for cycle in range(len(pairs) + latency):
            if cycle < len(pairs):
                ctx.set(left, pairs[cycle][0])
                ctx.set(right, pairs[cycle][1])
            if cycle >= latency:
                found.append(ctx.get(product))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert found == [x * y for x, y in pairs]


def test_an_operand_too_wide_for_a_dsp_is_named():
    with pytest.raises(ValueError, match=r"operand a of unsigned\(18\) does not fit a signed 18-bit multiplier"):
        multiply(Module(), None, Signal(18), Signal(4), "dsp", "product", ECP5)
