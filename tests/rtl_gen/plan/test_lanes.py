"""Lanes of codebooks: what the planner chooses, what multipliers in their place cost, and what cannot be built."""

from dataclasses import replace

import numpy as np
import pytest

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.families import ECP5, device
from rtl_gen.kinds import Folding, Spec, spec_of
from rtl_gen.kinds.contraction import weight_words
from rtl_gen.plan.lanes import with_lanes
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.search import plan

EDGE = Edge((4, 4, 4, 8), Format(8, False, 0))


def node(book: Codebook | Format, made: int = 8) -> Contraction:
    weight = np.ones((made, 1, 1, 1, 8), dtype=np.int64)
    weight[::2] = book.minimum
    return Contraction("mix", (INPUT,), "mix", Window(), as_integers(weight), book, Requantizer(Format(8, True, 0), 9))


def spec(book: Codebook | Format, multiplier: str, **widths: int) -> Spec:
    folding = Folding(**{"simd": 2, "pe": 4, "lanes": 2, "ring": 4, "queue": 32, **widths}, multiplier=multiplier)
    return spec_of(node(book), (EDGE,), folding, ECP5)


def network() -> Graph:
    four = Format(4, True, 0, narrow=True)
    nodes = (
        node(Codebook.of_top(4, False, 0)),
        replace(node(four), name="plain", inputs=("mix",)),
        replace(node(Codebook.of_top(3, True, 0), 5), name="last", inputs=("plain",)),
    )
    return Graph("coded", InputSpec(EDGE, EDGE.shape), nodes)


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(network(), device("ecp5-25f"), fps=150_000)


def test_codebooks_are_shifted_and_the_dsps_go_to_others(planned):
    kinds = [s.folding.multiplier for s in planned.stages]
    assert (kinds[0], kinds[2]) == ("shift", "shift") and kinds[1] == "packed"
    assert [s.multipliers for s in planned.stages][::2] == [0, 0]
    assert planned.dsps == planned.stages[1].dsps


def test_multipliers_in_their_place_take_the_same_cycles(planned):
    graph = network()
    dsp = with_lanes(graph, planned, "dsp")
    assert (dsp.cycles, dsp.rom_bits) == (planned.cycles, planned.rom_bits)
    assert abs(dsp.latency - planned.latency) <= 4  # two stages, a cycle or two each
    assert [s.folding.multiplier for s in dsp.stages][::2] == ["dsp", "dsp"]
    assert dsp.stages[1] == planned.stages[1]
    lanes = [s.folding.simd * s.folding.pe for s in dsp.stages]
    assert dsp.dsps - planned.dsps == lanes[0] + lanes[2] == dsp.multipliers - planned.multipliers
    assert dsp.luts < planned.luts
    assert with_lanes(graph, dsp, "shift") == planned
    assert with_lanes(graph, planned, "logic").dsps == planned.dsps


def test_a_rom_holds_codes_whatever_takes_them():
    book = Codebook.of_top(4, False, 0)
    words = [weight_words(spec(book, kind)) for kind in ("shift", "dsp", "logic")]
    assert words[0] == words[1] == words[2]
    # Results alternate between the least integer, code 1111, and 1, code 0000; lanes are (pe, simd).
    assert {f"{word:032b}" for word in words[0]} == {"00000000111111110000000011111111"}
    assert spec(book, "shift").rom_width == 8 * 4


@pytest.mark.parametrize(
    ("bits", "zero", "lane", "decoder"),
    [(2, False, 7, 0), (3, False, 18, 4), (3, True, 20, 4), (4, False, 27, 19), (4, True, 33, 19), (5, False, 50, 45)],
)
def test_a_lane_s_luts_are_those_measured(bits, zero, lane, decoder):
    """What yosys makes of a lane of 8-bit unsigned inputs, and of a decoder (LUT4s, two for each carry cell)."""
    book = Codebook.of_top(bits, zero, 0)
    shift, dsp = (spec(book, kind).resources().luts for kind in ("shift", "dsp"))
    assert abs(shift - dsp - 8 * (lane - decoder)) <= 8 * 7


@pytest.mark.parametrize("zero", [False, True])
def test_integers_wider_than_a_dsp_take_two(zero):
    """Codes of 6 bits stand for integers of 33 bits, or 32; the planner shifts them all the same."""
    narrow, wide = Codebook.of_top(5, zero, 0), Codebook.of_top(6, zero, 0)
    assert spec(wide, "dsp").dsps == spec(wide, "dsp").multipliers == 2 * spec(narrow, "dsp").dsps == 16
    assert spec(wide, "logic").multipliers == spec(narrow, "logic").multipliers == 8
    only = Graph("wide", InputSpec(EDGE, EDGE.shape), (node(wide),))
    planned = plan(only, device("ecp5-25f"), fps=80_000)
    assert planned.stages[0].folding.multiplier == "shift" and planned.dsps == 0
    dsp = with_lanes(only, planned, "dsp")
    assert dsp.dsps == 2 * planned.stages[0].folding.simd * planned.stages[0].folding.pe
    assert dsp.cycles == planned.cycles and abs(dsp.latency - planned.latency) <= 4


def test_what_cannot_be_built_is_named():
    with pytest.raises(ValueError, match="stage mix: lanes that shift need weights of a codebook"):
        spec(Format(4, True, 0, narrow=True), "shift")
    with pytest.raises(ValueError, match="lanes are one of shift, dsp, logic, got 'none'"):
        with_lanes(network(), plan(network(), device("ecp5-25f")), "none")


def test_a_shortcut_s_identity_needs_no_multiplier_either():
    """Weights of -1, 0 and 1 stay in LUTs however many DSPs are idle."""
    identity = replace(node(Format(2, True, 0, narrow=True)), weight=as_integers(np.eye(8).reshape(8, 1, 1, 1, 8)))
    planned = plan(Graph("identity", InputSpec(EDGE, EDGE.shape), (identity,)), device("ecp5-85f"), fps=90_000)
    assert planned.stages[0].folding.multiplier == "logic" and planned.dsps == 0
    wider = replace(identity, weight_format=Format(3, True, 0, narrow=True))
    assert plan(Graph("wider", InputSpec(EDGE, EDGE.shape), (wider,)), device("ecp5-85f"), fps=90_000).dsps > 0
