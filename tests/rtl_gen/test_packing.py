"""Two products a multiplier: the bounds of what may be added before it is split, at their edge and beyond it."""

import itertools

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, Value, signed
from amaranth.sim import Simulator

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format
from rtl_gen.families import ECP5, ICE40, Family
from rtl_gen.packing import Packing, packed_weights, packing_of
from rtl_gen.reduce import MacArray

NIBBLE = Format(4, True, 0, narrow=True)
UNSIGNED, SIGNED = Format(8, False, 0), Format(8, True, 0)


def test_how_many_products_may_be_added() -> None:
    assert packing_of(UNSIGNED, NIBBLE, 18) == Packing(14, 4)
    assert packing_of(SIGNED, NIBBLE, 18) == Packing(14, 9)
    assert packing_of(UNSIGNED, Format(5, True, 0, narrow=True), 18) == Packing(13, 1)
    assert packing_of(UNSIGNED, Format(6, True, 0, narrow=True), 18) is None
    assert packing_of(Format(4, False, 0), Format(6, True, 0, narrow=True), 18) == Packing(12, 4)
    assert packing_of(UNSIGNED, Format(4, True, 0), 18) is None  # -8 less one has no place
    assert packing_of(UNSIGNED, Codebook.of_top(4, False, 0), 18) is None
    assert packing_of(UNSIGNED, Format(4, False, 0), 18) is None  # operands extend the low weight's sign


def split(packing: Packing, total: int) -> tuple[int, int]:
    """What the hardware makes of a packed sum."""
    m, found = Module(), []
    packed = Signal(signed(40))
    low, high = packing.split(m, packed, "part")

    async def run(ctx: object) -> None:
        ctx.set(packed, total)  # type: ignore[attr-defined]
        await ctx.tick()  # type: ignore[attr-defined]
        found.extend([ctx.get(low), ctx.get(high)])  # type: ignore[attr-defined]

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    return found[0], found[1]


@pytest.mark.parametrize("fmt", [UNSIGNED, SIGNED], ids=str)
def test_the_bound_is_the_last_sum_that_splits_into_both(fmt: Format) -> None:
    packing = packing_of(fmt, NIBBLE, 18)
    assert packing is not None
    x = max(fmt.maximum, -fmt.minimum) * (-1 if fmt.signed else 1)
    for low, high in itertools.product((-7, 7), repeat=2):
        n = packing.products
        one = x * ((high << packing.place) + low)
        assert split(packing, n * one) == (n * x * low, n * x * high)
    worst = (n + 1) * x * 7
    assert split(packing, worst) != (worst, 0)


def test_every_pair_of_weights_is_an_operand_of_wires() -> None:
    packing = packing_of(UNSIGNED, NIBBLE, 18)
    assert packing is not None
    for low, high in itertools.product(range(-7, 8), repeat=2):
        stored = packed_weights(np.array([[low, high]]))[0]
        bits = [Value.cast(Signal(signed(4), init=int(v))) for v in stored]
        assert len(packing.operand(*bits)) == 18
        sign = (1 << packing.place - 4) - 1 if low < 0 else 0
        operand = (int(stored[0]) & 15) | sign << 4 | (int(stored[1]) & 15) << packing.place
        assert operand - ((operand >> 17) << 18) == (high << packing.place) + low


@pytest.mark.parametrize("fmt", [UNSIGNED, SIGNED], ids=str)
@pytest.mark.parametrize("simd", [1, 3, 4, 5, 9, 16])
def test_sums_at_the_ends_of_the_formats(fmt: Format, simd: int) -> None:
    rng = np.random.default_rng(simd)
    array = MacArray(fmt, NIBBLE, simd=simd, pe=4, carry=2, accumulator=24, kind="packed", family=ECP5)
    steps = 40
    x = rng.choice([fmt.minimum, fmt.maximum, 1], (steps, simd, 2))
    weights = rng.choice([-7, 7, -1, 0], (steps, 4, simd))
    x[:8], weights[:8] = fmt.minimum if fmt.signed else fmt.maximum, rng.choice([-7, 7], (8, 4, 1))
    want = np.einsum("nps,nst->pt", weights, x).reshape(-1)
    found: list[int] = []

    async def run(ctx: object) -> None:
        for step in range(steps + array.latency):
            inside = step < steps
            ctx.set(array.valid, inside)  # type: ignore[attr-defined]
            ctx.set(array.first, step == 0)  # type: ignore[attr-defined]
            ctx.set(array.last, step == steps - 1)  # type: ignore[attr-defined]
            if inside:
                for index, value in enumerate(x[step].reshape(-1)):
                    ctx.set(array.x[index], int(value))  # type: ignore[attr-defined]
                for index, value in enumerate(packed_weights(weights[step][None]).reshape(-1)):
                    ctx.set(array.weights[index], int(value))  # type: ignore[attr-defined]
            await ctx.tick()  # type: ignore[attr-defined]
            if ctx.get(array.o_valid):  # type: ignore[attr-defined]
                found.extend(ctx.get(array.o[index]) for index in range(8))  # type: ignore[attr-defined]

    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert found == want.tolist()


def test_lanes_that_cannot_be_packed_are_refused() -> None:
    with pytest.raises(ValueError, match="weights of 3 results cannot share multipliers in pairs"):
        MacArray(UNSIGNED, NIBBLE, simd=1, pe=3, accumulator=24, kind="packed", family=ECP5)


@pytest.mark.parametrize(
    ("x", "weight", "family"),
    [(UNSIGNED, NIBBLE, ECP5), (Format(9, True, 0), NIBBLE, ICE40), (SIGNED, Format(9, True, 0, narrow=True), ICE40)],
)
def test_lanes_that_cannot_share_a_block_are_refused(x: Format, weight: Format, family: Family) -> None:
    with pytest.raises(ValueError, match=rf"cannot share a multiplier of {family.title}$"):
        MacArray(x, weight, simd=1, pe=2, accumulator=24, kind="dual", family=family)
