"""What forks, splitters and gatherers cost is counted wherever the network has them, close to what yosys makes."""

from pathlib import Path

import numpy as np
from amaranth.back import verilog

from boards.synthesis import synthesise
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT, Add, Edge, Permutation, Pool
from qtt_hw.window import Window
from rtl_gen.costs.cells import table_luts
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.kinds.add import AddSpec
from rtl_gen.plan.links import link_resources
from rtl_gen.stream import Splitter
from rtl_gen.topology import Topology

FORMAT = Format(8, True, 0)
EDGE = Edge((1, 1, 2, 4), FORMAT)


def pool(name, lanes):
    return spec_of(
        Pool(name, (INPUT,), name, "max", Window()),
        (EDGE,),
        Folding(simd=lanes, pe=lanes, lanes=lanes, ring=8, queue=16),
        ECP5,
    )


def luts(specs, in_lanes, topology=None):
    return link_resources(specs, topology or Topology.chain(len(specs)), in_lanes).luts


def test_every_change_of_width_and_every_fork_is_counted():
    assert luts([pool("one", 1)], 1) == 0
    assert luts([pool("one", 1)], 2) > 0  # the input is split
    assert luts([pool("one", 2)], 2) > 0  # the argmax takes one value at a time
    assert luts([pool("one", 4)], 4) > luts([pool("one", 2)], 2)
    sums = AddSpec(
        Add.aligned("sum", ("a", INPUT), "sum", FORMAT, FORMAT, FORMAT),
        (EDGE, EDGE),
        Folding(simd=2, pe=2, lanes=2, ring=0, queue=16),
        ECP5,
    )
    joined = Topology(((-1,), (0, -1)))
    narrow = luts([pool("one", 1), sums], 1, joined)  # a fork, and two gatherers
    wide = luts([pool("one", 2), sums], 2, joined)  # a fork
    assert narrow > wide > luts([pool("one", 2)], 2)


def test_an_order_that_exchanges_index_bits_costs_nothing_and_a_random_one_much():
    def flat(channels, positions):
        return tuple(np.arange(channels * positions).reshape(positions, channels).T.reshape(-1).tolist())

    assert table_luts(flat(16, 16)) == table_luts(tuple(range(512))) == 0
    assert 0 < table_luts(flat(20, 16)) < table_luts(flat(32, 27))
    shuffled = tuple(np.random.default_rng(0).permutation(512).tolist())
    assert table_luts(shuffled) > 400


def synthesised(unit, folder: Path) -> int:
    text = verilog.convert(unit, name="unit", platform=object(), emit_src=False, strip_internal_attrs=True)
    (folder / "unit.v").write_text(text)
    cells = synthesise([folder / "unit.v"], "unit", folder, ECP5)
    return cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 4 * cells.get("TRELLIS_DPR16X4", 0)


def test_a_flatten_s_permutation_is_estimated_within_a_quarter_of_its_netlist(tmp_path):
    """The order of a map of 3 x 3 x 3 positions and 12 channels, flattened as PyTorch does."""
    order = tuple(np.arange(324).reshape(27, 12).T.reshape(-1).tolist())
    node = Permutation("flat", (INPUT,), "flat", order)
    spec = spec_of(node, (Edge((1, 1, 1, 324), FORMAT),), Folding(simd=1, pe=1, lanes=1, ring=2048, queue=16), ECP5)
    made = synthesised(spec.unit(1), tmp_path)
    assert abs(spec.resources().luts - made) <= made / 4


def test_a_splitter_s_netlist(tmp_path):
    made = synthesised(Splitter(8, 4), tmp_path)
    edge = Edge((1, 1, 1, 4), FORMAT)
    spec = spec_of(
        Pool("one", (INPUT,), "one", "max", Window()), (edge,), Folding(simd=1, pe=1, lanes=1, ring=8, queue=16), ECP5
    )
    assert abs(link_resources([spec], Topology.chain(1), 4).luts - made) <= made / 4
