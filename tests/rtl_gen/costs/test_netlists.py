"""Costs against netlists: units by themselves, and whole small networks.

Flip-flops follow from widths, LUTs from widths and a few fitted constants. A whole network is within a tenth; a unit by
itself keeps outputs that nothing reads, and what walks over positions is small and depends on its tables.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import signed
from amaranth.lib import wiring

from bench.costs import compared, counted
from boards.synthesis import synthesise
from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Pool, Table
from qtt_hw.graph.file import load
from qtt_hw.window import Window
from rtl_gen.argmax import Argmax, argmax_resources
from rtl_gen.costs import arithmetic, cells, control, streams
from rtl_gen.engine.choices import engine_of
from rtl_gen.engine.segment import Segment
from rtl_gen.families import ECP5, Resources, device
from rtl_gen.fifo import Fifo, fifo_resources
from rtl_gen.fork import Fork
from rtl_gen.geometry import Geometry
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.loop_nest import GroupLevel, LoopShape
from rtl_gen.memory import Ram, Rom
from rtl_gen.output import OutputQueue, Serializer
from rtl_gen.plan.search import plan
from rtl_gen.reduce import MacArray, PoolReducer
from rtl_gen.requantizer import RequantizeUnit
from rtl_gen.ring import RingWriter
from rtl_gen.sequencer import ADDRESS_LATENCY, Sequencer
from rtl_gen.stream import Gatherer, Splitter
from rtl_gen.walker import WalkerShape
from tests.replay.networks import NETWORKS

BYTES, SIGNED = Format(8, False, 0), Format(8, True, 0)
Unit = tuple[wiring.Component, Resources]


def lanes(x: Format, weight: Format | Codebook, kind: str, simd: int = 4) -> Unit:
    array = MacArray(x, weight, simd=simd, pe=2, accumulator=24, kind=kind, family=ECP5)  # type: ignore[arg-type]
    return array, arithmetic.mac_array(x, weight, simd, 2, 1, 24, kind, ECP5)  # type: ignore[arg-type]


def weights(bits: int) -> Format:
    return Format(bits, True, 0, narrow=True)


def affine(rows: int) -> Unit:
    rng = np.random.default_rng(0)
    m, b = (tuple(int(v) for v in rng.integers(*span, rows)) for span in ((9000, 30000), (-(1 << 24), 1 << 25)))
    requant = Requantizer(BYTES, 21, m, b)
    unit = RequantizeUnit(requant, low=-(1 << 20), high=1 << 20, lanes=1, words=rows, by_channel=True, family=ECP5)
    return unit, arithmetic.requantizer(requant, -(1 << 20), 1 << 20, 1, rows, True, ECP5)


def sequence(kernel: int, size: int, channels: int) -> Unit:
    """A sequencer with gate and walker, of a window along H and W."""
    pad = (kernel // 2, kernel // 2)
    window = Window((1, kernel, kernel), padding=((0, 0), pad, pad))
    walk = WalkerShape(Geometry.of(window, (1, size, size, channels), 4), 1024, channels // 4)
    groups = (GroupLevel(8, 0, kernel * kernel * walk.inner),)
    loop = LoopShape(walk, walk.geometry.words // walk.inner, groups, (), 8 * kernel * kernel * walk.inner, 1, 32)
    parts = (control.sequencer(loop, 2, True, ADDRESS_LATENCY), control.gate(walk, True), control.walker(walk, True))
    return Sequencer(loop, 2), sum(parts, Resources())


def logits(classes: int) -> Unit:
    edge = Edge((1, 1, 1, classes), Format(16, True, 0))
    return Argmax(edge.format, classes), argmax_resources(edge)


def stage(node: object, edges: tuple[Edge, ...], **choices: int) -> Unit:
    spec = spec_of(node, edges, Folding(**choices), ECP5)  # type: ignore[arg-type]
    return spec.unit(1 if spec.gathers else spec.in_width), spec.resources()


def engine(simd: int, pe: int) -> Unit:
    """All stages but the first of the ModelNet10 network."""
    graph = load(Path("models/voxtt-modelnet10.qtt"))
    nodes = [node for node in graph.nodes if isinstance(node, Contraction)][1:]
    spec = engine_of(Segment.of(graph, [node.name for node in nodes]), simd, pe, ECP5)
    return spec.unit(4), spec.resources()


def engine_of_blocks(first: str, last: str, simd: int, pe: int) -> Unit:
    """Blocks of the ResNet in tensor trains."""
    graph = load(Path("models/resnet32-ttlc-cifar10.qtt"))
    names = [node.name for node in graph.nodes]
    segment = Segment.of(graph, names[names.index(first) : names.index(last) + 1])
    spec = engine_of(segment, simd, pe, ECP5)
    return spec.unit(4), spec.resources()


EDGE = Edge((1, 8, 8, 16), BYTES)
SUM = Add.aligned("sum", ("a", "b"), "sum", BYTES, BYTES, BYTES)
TABLE = Table("table", (INPUT,), "table", tuple(i * i % 256 for i in range(256)), BYTES)
POOL = Pool("pool", (INPUT,), "pool", "max", Window((1, 2, 2), (1, 2, 2)))
ROM = tuple(int(v) for v in np.random.default_rng(1).integers(0, 1 << 20, 60))
SHORT = tuple(int(v) for v in np.random.default_rng(2).integers(0, 1 << 60, 7))
DEEP = tuple(int(v) for v in np.random.default_rng(3).integers(0, 1 << 20, 8192))
SMALL = {"simd": 4, "pe": 4, "lanes": 4, "ring": 0, "queue": 16}

#: By name: the unit, and tolerances of LUTs and of flip-flops.
UNITS: dict[str, tuple[Callable[[], Unit], float, float]] = {
    "lanes of multipliers": (lambda: lanes(SIGNED, weights(8), "dsp", 8), 0.1, 0.02),
    "packed lanes": (lambda: lanes(BYTES, weights(4), "packed", 8), 0.1, 0.02),
    "lanes of 2 x 8 bits in LUTs": (lambda: lanes(SIGNED, weights(2), "logic"), 0.1, 0.02),
    "lanes of 4 x 8 bits in LUTs": (lambda: lanes(BYTES, weights(4), "logic"), 0.1, 0.02),
    "lanes of 8 x 8 bits in LUTs": (lambda: lanes(BYTES, weights(8), "logic"), 0.1, 0.02),
    "lanes of voxels": (lambda: lanes(Format(1, False, 0), weights(4), "logic"), 0.1, 0.02),
    "lanes of shifts": (lambda: lanes(BYTES, Codebook.of_top(4, True, 0), "shift"), 0.1, 0.02),
    "a pool's sums": (
        lambda: (
            PoolReducer(BYTES, lanes=4, kind="sum", accumulator=signed(13)),
            arithmetic.pool_reducer(BYTES, 4, 13, True),
        ),
        0.1,
        0.02,
    ),
    "a requantiser of 16 rows": (lambda: affine(16), 0.1, 0.1),
    "a requantiser of 64 rows": (lambda: affine(64), 0.1, 0.1),
    "a ROM in LUTs": (lambda: (Rom(ROM, 20, ECP5), cells.rom(60, 20, ECP5)), 0.1, 0.0),
    "a ROM in LUTs of more bits than functions": (lambda: (Rom(SHORT, 60, ECP5), cells.rom(7, 60, ECP5)), 0.2, 0.15),
    "a deep ROM of divided words": (lambda: (Rom(DEEP, 20, ECP5), cells.rom(8192, 20, ECP5)), 0.0, 0.0),
    "a RAM of blocks of one form": (lambda: (Ram(7744, 13, ECP5), cells.ram(7744, 13, ECP5)), 0.1, 0.0),
    "a RAM in LUTs": (lambda: (Ram(48, 16, ECP5), cells.ram(48, 16, ECP5)), 0.1, 0.0),
    "a RAM in LUTs of which enable and address come early": (
        lambda: (Ram(48, 16, ECP5, early=True), cells.ram(48, 16, ECP5, early=True)),
        0.1,
        0.0,
    ),
    "a ring's writer": (
        lambda: (RingWriter(width=8, collect=4, ring=512, pointer_bits=11), control.ring_writer(32, 4, 512, 11)),
        0.2,
        0.02,
    ),
    "a sequencer of 3 x 3": (lambda: sequence(3, 16, 16), 0.25, 0.1),
    "a sequencer of 1 x 1": (lambda: sequence(1, 8, 32), 0.25, 0.12),
    "a queue": (lambda: (OutputQueue(8, 32, ECP5), streams.output_queue(8, 32, ECP5)), 0.1, 0.0),
    "a serialiser": (
        lambda: (Serializer(signed(20), values=8, lanes=2), streams.serializer(20, 8, 2)),
        0.1,
        0.0,
    ),
    "a fork": (lambda: (Fork(8, 3), streams.fork(3)), 0.2, 0.0),
    "a splitter": (lambda: (Splitter(8, 4), streams.splitter(8, 4)), 0.2, 0.0),
    "a gatherer": (lambda: (Gatherer(8, 4), streams.gatherer(8, 4)), 0.2, 0.0),
    "a shallow FIFO": (lambda: (Fifo(8, 32, ECP5), fifo_resources(32, 8, ECP5)), 0.1, 0.0),
    "a deep FIFO": (lambda: (Fifo(8, 500, ECP5), fifo_resources(500, 8, ECP5)), 0.15, 0.1),
    "a sum": (lambda: stage(SUM, (EDGE, EDGE), **SMALL), 0.15, 0.05),
    "a table": (lambda: stage(TABLE, (EDGE,), **SMALL), 0.15, 0.05),
    "a pool without a ring": (lambda: stage(POOL, (EDGE,), **SMALL), 0.2, 0.1),
    "an engine of 8 x 4": (lambda: engine(8, 4), 0.1, 0.1),
    "an engine of 4 x 4": (lambda: engine(4, 4), 0.12, 0.1),
    "an engine of 8 x 8 with sums": (lambda: engine_of_blocks("stages.0.0.conv1.h", "stages.1.0.add", 8, 8), 0.1, 0.1),
    "an engine of 4 x 8 with a sum": (lambda: engine_of_blocks("stages.2.3.conv1.h", "stages.2.3.add", 4, 8), 0.1, 0.1),
    "an argmax of 10": (lambda: logits(10), 0.26, 0.02),  # yosys makes 56 LUTs of it, of one of 100 93
    "an argmax of 100": (lambda: logits(100), 0.15, 0.02),
}
#: A second or two each.
QUICK = ("packed lanes", "lanes of 4 x 8 bits in LUTs", "a queue", "a serialiser")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.long) for n in UNITS])
def test_a_unit_costs_what_its_netlist_does(name: str, tmp_path: Path) -> None:
    made, most_luts, most_ffs = UNITS[name]
    unit, planned = made()
    text = verilog.convert(unit, name="unit", platform=object(), emit_src=False, strip_internal_attrs=True)
    (tmp_path / "unit.v").write_text(text)
    primitives = Path(arithmetic.__file__).parents[1] / "primitives" / ECP5.multiplier.verilog
    found = synthesise([tmp_path / "unit.v", primitives], "unit", tmp_path, ECP5)
    luts, ffs = counted(found)
    print(f"{name}: LUT {planned.luts} {luts} FF {planned.ffs} {ffs}")
    assert planned.brams == found.get("DP16KD", 0)
    assert planned.luts == pytest.approx(luts, rel=most_luts, abs=4)
    assert planned.ffs == pytest.approx(ffs, rel=most_ffs, abs=2)


#: Networks of which yosys makes more than a tenth less: equal walks over one stream are there once, and little else is.
SMALLER = {
    "nested": 0.2,
    "average-pool": 0.18,
    "average-of-the-map": 0.2,
    "tables": 0.17,
    "concatenation": 0.14,
    "excitation": 0.16,
    "linear": 0.12,
    "voxels-in-blocks": 0.12,
}


#: Networks of the same units as others here, in other sizes; yosys takes some seconds for each.
ALIKE = (
    *(
        "signed-voxels",
        "convolution-2d",
        "convolution-gaps",
        "pointwise-bias",
        "pointwise-shift",
        "weights-2",
        "weights-3",
    ),
    *("residual-strided", "carried-backward", "convolution-strided", "codes-3-zero"),
    *("codes-2", "codes-4", "carried-forward", "max-pool-overlapping", "average-pool-overlapping", "residual"),
)
SYNTHESISED = [name for name in NETWORKS if name not in ALIKE]


@pytest.mark.parametrize(
    "name", [n if n == "pointwise" else pytest.param(n, marks=pytest.mark.long) for n in SYNTHESISED]
)
def test_a_network_costs_what_its_netlist_does(name: str) -> None:
    graph = NETWORKS[name]()
    (cost,) = compared(name, graph, plan(graph, device("ecp5-85f"), fps=100))
    print(f"{name}: LUT {cost.planned.luts} {cost.luts} FF {cost.planned.ffs} {cost.ffs}")
    most = SMALLER.get(name, 0.1)
    assert cost.planned.luts == pytest.approx(cost.luts, rel=most)
    assert cost.planned.ffs == pytest.approx(cost.ffs, rel=most)
