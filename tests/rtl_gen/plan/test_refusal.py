"""A refusal says what is exceeded, which stage takes most of it, and the ways out that exist, with what each gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec, Pool
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.planning import plan
from qtt_hw.window import Window
from rtl_gen.families import DEVICES, Device, device
from rtl_gen.plan.fewer_bits import narrowed
from rtl_gen.plan.search import DoesNotFit
from rtl_gen.plan.search import plan as search

CUBE = Window((3, 3, 3), (1, 1, 1), ((1, 1),) * 3)
RNG = np.random.default_rng(1)


def contraction(name: str, source: str, channels: tuple[int, int], window: Window, bits: int = 8) -> Contraction:
    fmt = Format(bits, True, 0, narrow=True)
    weight = as_integers(RNG.integers(fmt.minimum, fmt.maximum + 1, (channels[1], *window.kernel, channels[0])))
    return Contraction(name, (source,), name, window, weight, fmt, Requantizer(Format(8, False, 0), 9))


def network(bits: int = 8, edge: int = 8) -> Graph:
    """Two convolutions at the input's resolution, the second one dense, and a head."""
    whole = Window((edge, edge, edge))
    nodes = (
        contraction("first", INPUT, (1, 8), CUBE, bits),
        contraction("wide", "first", (8, 32), CUBE, bits),
        Pool("pool", ("wide",), "pool", "max", whole),
        contraction("head", "pool", (32, 2), Window(), bits),
    )
    return Graph("net", input_spec((edge,) * 3 + (1,)), nodes)


def refusal(graph: Graph, chosen: Device, fps: float | None = None) -> str:
    with pytest.raises(DoesNotFit) as refused:
        plan(graph, chosen, fps=fps)
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_a_device_too_small_names_the_stage_the_next_device_and_tensor_trains() -> None:
    text = refusal(network(), Device("toy", 28, 4, 12000))
    assert text.startswith("net: the smallest folding does not fit toy (brams ")
    assert "; the largest parts are 5 brams in wide; it fits ecp5-12f, at " in text
    assert (
        " of 28 dsps, " in text and "tensor trains, by qtt compress, can take the place of wide (6912 weights)" in text
    )
    assert "space to depth" not in text and "frames a second" in text


def test_fewer_weight_bits_are_named_with_what_they_give() -> None:
    toy = Device("toy", 28, 4, 12000)
    text = refusal(network(), toy)
    bits = int(text.split("with weight_bits = ")[1][0])
    fits, not_yet = (narrowed(network(), weights=b) for b in (bits, bits + 1))
    found = search(fits, toy)
    assert f"with weight_bits = {bits} it fits, at {found.cycles} cycles, {found.frames_per_second:.0f} frames" in text
    with pytest.raises(DoesNotFit):
        search(not_yet, toy)


def test_where_no_bits_help_that_is_said() -> None:
    assert "with weights of 2 bits neither, nor with activations of 2 bits" in refusal(
        network(), Device("toy", 28, 6, 500)
    )


def test_a_frame_rate_names_the_stage_that_is_too_slow_and_space_to_depth() -> None:
    graph = network()
    text = refusal(graph, device("ecp5-25f"), fps=1e6)
    assert "(no folding is that fast: 100 cycles are wanted, stage " in text
    assert "the nearest plan that fits takes " in text and " frames a second" in text
    assert "space to depth, [data] block = 2, leaves " in text and " an eighth of its positions" in text
    # Bits and devices cannot make it faster.
    assert "_bits" not in text and "it fits" not in text
    deeper = replace(graph, input=replace(graph.input, block=2))
    assert "space to depth" not in refusal(deeper, device("ecp5-25f"), fps=1e6)


def test_a_frame_rate_that_a_larger_device_reaches_names_it_with_the_numbers() -> None:
    graph = network(bits=4)
    fastest = plan(graph, "ecp5-12f")
    text = refusal(graph, device("ecp5-12f"), fps=3 * fastest.frames_per_second)
    assert " frames a second; it fits ecp5-" in text
    named = text.split("it fits ")[1].split(",")[0]
    assert plan(graph, named, fps=3 * fastest.frames_per_second).cycles <= fastest.cycles / 3
    assert (DEVICES[named].luts or 0) >= (DEVICES["ecp5-12f"].luts or 0)
    assert "the largest parts are " in text


def test_a_refusal_of_sums_names_their_fifos() -> None:
    edge = Edge((1, 64, 64, 4), Format(8, False, 0))
    long = Window((1, 9, 9), (1, 1, 1), ((0, 0), (4, 4), (4, 4)))
    fmt = Format(8, False, 0)
    nodes = (
        contraction("branch", INPUT, (4, 4), long, 2),
        Add.aligned("sum", ("branch", INPUT), "sum", fmt, fmt, fmt),
        contraction("head", "sum", (4, 2), Window((1, 64, 64)), 2),
    )
    graph = Graph("residual", InputSpec(edge, edge.shape), nodes)
    assert " brams in " in refusal(graph, Device("toy", 28, 2, 40000))


@pytest.mark.parametrize("fmt", [Format(8, True, 3, narrow=True), Codebook.of_top(6, False, -1)])
def test_narrowed_graphs_are_whole_and_cost_less(fmt: Format | Codebook) -> None:
    weight = as_integers(np.where(RNG.random((8, 1, 1, 1, 8)) < 0.5, fmt.maximum, 1))
    wide = Contraction("a", (INPUT,), "a", Window(), weight, fmt, Requantizer(Format(8, True, 3), 9))
    edge = Edge((1, 2, 2, 8), Format(8, True, 3))
    total = Add.aligned("sum", ("a", INPUT), "sum", wide.requant.out, edge.format, Format(8, True, 2))
    head = replace(wide, name="head", inputs=("sum",), window=Window(), requant=Requantizer(Format(16, True, 0), 2))
    graph = Graph("net", InputSpec(edge, edge.shape), (wide, total, head))
    fewer = narrowed(graph, weights=3, activations=4)
    assert {name: edge.format.bits for name, edge in fewer.edges.items()} == {INPUT: 8, "a": 4, "sum": 4, "head": 16}
    for node in (fewer.nodes[0], fewer.nodes[2]):
        assert isinstance(node, Contraction) and node.weight_format.bits == 3
        assert np.abs(node.weight).max() * 2.0**-node.weight_format.frac >= 0.7 * fmt.maximum * 2.0**-fmt.frac
    assert fewer.weight_bits < graph.weight_bits
    assert narrowed(graph).weight_bits == graph.weight_bits
