"""What carried lanes, a deep requantiser, a pool without a ring and a long answer cost."""

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec, Pool
from qtt_hw.window import Window
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.plan.derive import beside_stages, derived

EDGE = Edge((4, 4, 4, 256), Format(8, True, 0))
OUT = Format(8, True, 0)
PLAIN = Requantizer(OUT, 2)


def spec(requant=PLAIN, **choices):
    weight = np.ones((8, 1, 1, 1, 8), dtype=np.int64)
    node = Contraction("mix", (INPUT,), "mix", Window(), weight, Format(4, True, 0, narrow=True), requant, 2, 16)
    folding = Folding(**{"simd": 1, "pe": 1, "lanes": 1, "ring": 512, "queue": 64, **choices})
    return spec_of(node, (EDGE,), folding, ECP5)


def test_carried_lanes_multiply_products_but_not_weights():
    one, wide = spec(), spec(carry=16, lanes=2)
    assert (wide.dsps, one.dsps) == (16, 1)
    assert wide.rom_bits == one.rom_bits and wide.rom_width == one.rom_width
    assert wide.cycles * 16 == one.cycles
    # A ring word is 16 values wide, and nothing but the ring is in block RAM.
    assert wide.resources().brams == ECP5.memory.blocks(512, 16 * 8)
    assert one.resources().brams == ECP5.memory.blocks(512, 8)


def test_accumulators_are_counted_for_every_carried_lane():
    luts = [spec(carry=carry, lanes=carry).resources().luts for carry in (1, 2, 4)]
    each = 2 * spec().accumulator_bits // 2
    assert luts[1] - luts[0] >= each and luts[2] - luts[1] >= 2 * each


def test_many_rows_of_the_requantiser_are_in_block_ram():
    rows = tuple(range(1, 257))
    affine = Requantizer(OUT, 4, rows, tuple(1000 * r for r in rows))
    plain = spec(carry=4, lanes=1).resources()
    assert spec(affine, carry=4, lanes=1).resources().brams == plain.brams + ECP5.memory.blocks(256, 10 + 19)
    # In four lanes each holds a quarter, which fits LUTs.
    assert spec(affine, carry=4, lanes=4).resources().brams == plain.brams


def test_a_pool_without_a_ring_keeps_accumulators_of_the_windows_that_are_open():
    node = Pool("pool", (INPUT,), "pool", "average", Window((3, 3, 3), (3, 3, 3), ((0, 1),) * 3))
    choices = Folding(simd=8, pe=8, lanes=8, ring=0, queue=32)
    pool = spec_of(node, (Edge((32, 32, 32, 64), Format(8, False, 0)),), choices, ECP5)
    # 11 x 11 windows in 8 words of 8 sums up to 27 * 255; alone, 6 block RAMs, 8 multipliers, 845 LUTs and 1151
    # flip-flops (yosys).
    found = pool.resources()
    assert (pool.open_depth, pool.open_bits) == (8 * 11 * 11, 13)
    assert (found.brams, found.dsps) == (ECP5.memory.blocks(968, 8 * 13), 8) == (6, 8)
    assert found.luts == pytest.approx(845, rel=0.1) and found.ffs == pytest.approx(1151, rel=0.1)
    ringed = spec_of(node, (pool.x,), choices.model_copy(update={"ring": pool.geometry.least_ring}), ECP5)
    assert ringed.resources().brams > 10 * found.brams


@pytest.mark.parametrize(("classes", "blocks"), [(63, 0), (64, 1)])
def test_an_answer_of_many_classes_takes_a_block_of_the_link(classes, blocks):
    edge = Edge((1, 1, 1, 4), Format(8, True, 0))
    weight = np.ones((classes, 1, 1, 1, 4), dtype=np.int64)
    node = Contraction("head", (INPUT,), "head", Window(), weight, Format(4, True, 0, narrow=True), PLAIN)
    graph = Graph("classes", InputSpec(edge, edge.shape), (node,))
    head = spec_of(node, (edge,), Folding(simd=1, pe=1, lanes=1, ring=4, queue=classes), ECP5)
    assert beside_stages(derived(graph, [head], "ecp5-25f", 100.0)).brams == blocks
