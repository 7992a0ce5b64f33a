"""Lanes over kernel taps: the golden model's words in the event model's cycles, and what the planner makes of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec, Pool, Reshape
from qtt_hw.window import Window
from rtl_gen.cycles import schedule
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, device
from rtl_gen.kinds import Folding, Spec, kind_of, spec_of
from rtl_gen.kinds.unfolded import UnfoldedSpec, unfolded
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.search import plan
from sim.cosim import cosim
from sim.netlist import netlist_build
from sim.stream import transfer

NIBBLES = Format(4, True, 0, narrow=True)


def contraction(shape: tuple[int, int, int, int], made: int, window: Window, seed: int = 0) -> Contraction:
    weight = as_integers(np.random.default_rng(seed).integers(-7, 8, (made, *window.kernel, shape[3])))
    return Contraction("stage", (INPUT,), "stage", window, weight, NIBBLES, Requantizer(Format(8, True, 0), 4))


@st.composite
def cases(draw: st.DrawFn) -> tuple[UnfoldedSpec, int]:
    kernel = draw(st.tuples(*[st.integers(1, 4)] * 3))
    stride = kernel if draw(st.booleans()) else draw(st.tuples(*[st.integers(1, 3)] * 3))
    pads = draw(st.booleans())
    padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) if pads else (0, 0) for k in kernel)
    fmt = draw(st.sampled_from([Format(1, False, 0), Format(8, False, 0), Format(5, True, 0)]))
    edge = Edge((*draw(st.tuples(*[st.integers(1, 8)] * 3)), draw(st.integers(1, 3))), fmt)
    pe, axes = draw(st.sampled_from([1, 2, 4])), draw(st.integers(1, 3))
    try:
        node = contraction(edge.shape, pe * draw(st.integers(1, 2)), Window(kernel, stride, padding))
        made, behind = unfolded(node, edge, axes)
        like = kind_of(made).choices(made, (behind,), (behind.channels,), ECP5)
    except ValueError:
        assume(False)
    geometry = like._geometry(behind.channels)
    lanes = draw(st.sampled_from([lanes for lanes in (1, 2, 4) if pe % lanes == 0]))
    folding = Folding(
        simd=behind.channels,
        pe=pe,
        lanes=lanes if geometry.least_taps >= pe // lanes else pe,
        ring=geometry.least_ring + draw(st.integers(0, 9)),
        queue=max(pe, draw(st.sampled_from([3, 16]))),
        multiplier=draw(st.sampled_from(["dsp", "logic", "packed"] if pe > 1 else ["dsp", "logic"])),
        unfold=axes,
    )
    spec = spec_of(node, (edge,), folding, ECP5)
    assert isinstance(spec, UnfoldedSpec)
    return spec, draw(st.integers(0, 1000))


@settings(max_examples=40, deadline=None)
@given(cases(), st.booleans())
def test_golden_words_in_the_predicted_cycles(words: Any, case: tuple[UnfoldedSpec, int], stalls: bool) -> None:
    spec, seed = case
    pack, unpack = words
    x = spec.inputs[0]
    values = np.random.default_rng(seed).integers(x.format.minimum, x.format.maximum + 1, (3, *x.shape))
    want = spec.node.golden((values, x)).reshape(-1)
    got = transfer(
        spec.unit(spec.in_width),
        pack(values, spec.in_width, x.format),
        spec.out_words * 3,
        stalls=(0.4, 0.4) if stalls else (0.0, 0.0),
        seed=seed,
    )
    assert np.array_equal(unpack(got.words, spec.folding.lanes, spec.out.format), want)
    if not stalls:
        taken, made = schedule([spec], spec.in_width, 3, classes=None)
        assert [c - taken[0] for c in taken] == list(got.accepted)
        assert [c - taken[0] for c in made] == list(got.produced)


def network(shape: tuple[int, int, int, int], fmt: Format, made: int, window: Window) -> Graph:
    """A first layer and a head over its map."""
    first = contraction(shape, made, window)
    edge = Edge(shape, fmt)
    middle = first.output(edge)
    head = replace(
        contraction((*middle.shape[:3], made), 2, Window(middle.shape[:3])),
        name="head",
        inputs=("stage",),
        requant=Requantizer(Format(16, True, 0), 4),
    )
    return Graph("net", InputSpec(edge, shape), (first, head))


def test_the_planner_spreads_a_first_layer_over_its_taps() -> None:
    """One channel of one bit on 16 x 16 x 16, windows of 5 x 5 x 5 at every second place: 125 products an output."""
    graph = network((16, 16, 16, 1), Format(1, False, 0), 8, Window((5, 5, 5), (2, 2, 2)))
    found = plan(graph, device("ecp5-25f"))
    assert found.stages[0].folding.unfold >= 2
    assert found.cycles < 16**3 * 1.4  # 27 000 with lanes over channels alone


def test_neighbouring_positions_come_in_one_word() -> None:
    """Windows of 2 x 2 x 2 side by side take less than a cycle a position, which a word of one position could not."""
    graph = network((8, 8, 8, 4), Format(1, False, 0), 16, Window((2, 2, 2), (2, 2, 2)))
    found = plan(graph, device("ecp5-85f"))
    assert found.stages[0].folding.unfold and found.input_lanes == 8
    assert found.cycles < 8**3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unfold": 4}, r"unfold is 1 \(W\), 2 \(H, W\) or 3 \(D, H, W\), not 4"),
        ({"simd": 3}, "simd 3 is not the 9 channels and taps of 2 axes"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, int], message: str) -> None:
    edge = Edge((1, 6, 6, 1), Format(8, False, 0))
    node = contraction(edge.shape, 2, Window((1, 3, 3)))
    folding = Folding(simd=9, pe=2, lanes=2, ring=2, queue=16, unfold=2)

    def made(**given: int) -> Spec:
        return spec_of(node, (edge,), folding.model_copy(update=given), ECP5)

    with pytest.raises(ValueError, match=f"^stage stage: {message}$"):
        made(**changes)
    assert made().cycles == 36


@pytest.mark.parametrize("changes", [{"unfold": 2}, {"multiplier": "packed"}, {"multiplier": "logic"}])
def test_what_has_no_weights_takes_none(changes: dict[str, object]) -> None:
    edge = Edge((1, 4, 4, 2), Format(8, False, 0))
    node = Pool("pool", (INPUT,), "pool", "max", Window((1, 2, 2), (1, 2, 2)))
    folding = Folding(simd=2, pe=2, lanes=2, ring=0, queue=16)
    spec_of(node, (edge,), folding, ECP5)
    with pytest.raises(ValueError, match="^stage pool: it has no weights"):
        spec_of(node, (edge,), folding.model_copy(update=changes), ECP5)


def simulated(graph: Graph, tmp_path: Path) -> Plan:
    """The fastest plan, whose RTL and netlist are equal to the golden model in the predicted cycles."""
    found = plan(graph, device("ecp5-85f"))
    emit(graph, tmp_path / "build", found, taps=True)
    fmt = graph.input.edge.format
    x = np.random.default_rng(3).integers(fmt.minimum, fmt.maximum + 1, (6, *graph.input.edge.shape))
    folder = netlist_build(tmp_path / "build", tmp_path / "netlist")
    for build in (tmp_path / "build", folder):
        result = cosim(build, x)
        assert result.equal and result.cycles_equal is True
    return found


@pytest.mark.long
def test_a_network_of_unfolded_axes_from_the_plan_to_the_netlist(tmp_path: Path) -> None:
    found = simulated(network((4, 4, 4, 2), Format(1, False, 0), 4, Window((2, 2, 2), (2, 2, 2))), tmp_path)
    assert found.stages[0].folding.unfold and found.input_lanes > 2
    assert found.stages[0].folding.multiplier in ("logic", "packed")


@pytest.mark.long
def test_a_flattened_input_comes_in_words_of_many_positions(tmp_path: Path) -> None:
    """What a linear layer reads is a word of several rows."""
    edge = Edge((1, 4, 4, 1), Format(4, False, 0))
    linear = replace(contraction((1, 1, 1, 16), 4, Window()), name="linear", inputs=("flat",))
    head = replace(contraction((1, 1, 1, 4), 2, Window()), name="head", inputs=("linear",))
    nodes = (Reshape("flat", (INPUT,), "flat", (1, 1, 1, 16)), linear, head)
    assert simulated(Graph("flat", InputSpec(edge, edge.shape), nodes), tmp_path).input_lanes > 4
