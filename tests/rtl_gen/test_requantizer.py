"""The requantiser's hardware against `fixedpoint.Requantizer`, on the ends of its range and at random."""

import numpy as np
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer, average_requantizer
from rtl_gen.families import ECP5
from rtl_gen.requantizer import RequantizeUnit, multipliers_of

checks = settings(max_examples=25, deadline=None)


def outputs(unit, groups, rows):
    """Values of all words put in back to back; each row of `groups` is one word."""
    found = []

    async def run(ctx):
        for cycle in range(len(groups) + unit.latency + 4):
            inside = cycle < len(groups)
            ctx.set(unit.i_valid, inside)
            if inside:
                for lane, value in enumerate(groups[cycle]):
                    ctx.set(unit.i[lane], int(value))
                ctx.set(unit.row, rows[cycle])
            if ctx.get(unit.o_valid):
                found.append((cycle, [ctx.get(unit.o[lane]) for lane in range(unit.lanes)]))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    return found


def check(requant, low, high, lanes, words, by_channel, accs, rows):
    unit = RequantizeUnit(requant, low=low, high=high, lanes=lanes, words=words, by_channel=by_channel, family=ECP5)
    found = outputs(unit, accs, rows)
    assert [cycle for cycle, _ in found] == [i + unit.latency for i in range(len(accs))]
    got = np.array([values for _, values in found])
    if not requant.affine:
        want = requant(accs)
    elif by_channel:
        want = requant(accs.reshape(-1, words * lanes)).reshape(-1, lanes)
    else:
        row = np.array(rows)
        want = requant(accs, requant.multipliers[row][:, None], requant.offsets[row][:, None])
    assert np.array_equal(got, want)


outs = st.one_of(
    st.builds(Format, st.integers(2, 16), st.just(True), st.just(0)),
    st.builds(Format, st.integers(1, 16), st.just(False), st.just(0)),
)


def draw_accs(data, shape, low, high):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    accs = rng.integers(low, high + 1, size=shape)
    accs.reshape(-1)[:2] = [low, high][: accs.size]
    return accs


@checks
@given(st.data(), outs, st.integers(-4, 20), st.integers(2, 40))
def test_shift(data, out, shift, bits):
    high = (1 << (bits - 1)) - 1
    low = data.draw(st.sampled_from([-high, 0]))
    accs = draw_accs(data, (6, 2), low, high)
    check(Requantizer(out, shift), low, high, 2, 1, True, accs, [0] * len(accs))


@checks
@given(st.data(), outs, st.integers(0, 30), st.integers(2, 36), st.integers(1, 3), st.integers(1, 3))
def test_affine_with_split_products(data, out, shift, bits, lanes, words):
    high = (1 << (bits - 1)) - 1
    low = -high - 1
    edge = st.sampled_from([-(1 << 15), (1 << 15) - 1, 0, 1, -1])
    channels = lanes * words
    m = tuple(data.draw(st.one_of(edge, st.integers(-(1 << 15), (1 << 15) - 1))) for _ in range(channels))
    b = tuple(data.draw(st.integers(-(1 << 31), (1 << 31) - 1)) for _ in range(channels))
    accs = draw_accs(data, (3 * words, lanes), low, high)
    check(Requantizer(out, shift, m, b), low, high, lanes, words, True, accs, [0] * len(accs))


@checks
@given(st.data(), outs, st.integers(0, 30), st.integers(2, 36), st.integers(1, 3), st.integers(0, 22))
def test_one_power_of_two_takes_no_multiplier(data, out, shift, bits, words, scale):
    high = (1 << (bits - 1)) - 1
    channels = 2 * words
    b = tuple(data.draw(st.integers(-(1 << 31), (1 << 31) - 1)) for _ in range(channels))
    requant = Requantizer(out, shift, (1 << scale,) * channels, b)
    assert multipliers_of(requant, -high - 1, high, ECP5) == 0
    accs = draw_accs(data, (3 * words, 2), -high - 1, high)
    check(requant, -high - 1, high, 2, words, True, accs, [0] * len(accs))


@checks
@given(st.data(), st.integers(2, 16), st.booleans(), st.sampled_from([(27, 18, 12, 8), (13**3,)]))
def test_average_rows(data, bits, signed, counts):
    fmt = Format(bits, signed, 0)
    requant = average_requantizer(fmt, counts)
    low, high = min(fmt.minimum * counts[0], 0), fmt.maximum * counts[0]
    rows = [data.draw(st.integers(0, len(counts) - 1)) for _ in range(8)]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    accs = np.array([[rng.integers(fmt.minimum * counts[r], fmt.maximum * counts[r] + 1)] for r in rows])
    check(requant, low, high, 1, 1, False, accs, rows)
