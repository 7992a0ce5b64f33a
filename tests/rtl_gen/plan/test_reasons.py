"""Every stage that is faster than the interval has a reason, which is true."""

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.families import ECP5, Device, device
from rtl_gen.kinds import Folding
from rtl_gen.plan import limits
from rtl_gen.plan.reasons import reason
from rtl_gen.plan.search import plan
from rtl_gen.plan.swaps import Swaps
from rtl_gen.plan.trim import Trim

FORMAT, WEIGHTS = Format(4, True, 0), Format(3, True, 0, narrow=True)


def pointwise(name, source, made, taken):
    weight = np.random.default_rng(3).integers(-3, 4, (made, 1, 1, 1, taken))
    return Contraction(name, (source,), name, Window(), weight, WEIGHTS, Requantizer(FORMAT, 3))


def trim_of(graph, foldings, target="ecp5-25f"):
    on = device(target) if isinstance(target, str) else target
    trim = Trim(Swaps.of(graph, foldings, ECP5), on)
    return trim, trim.swaps.specs(foldings)


@pytest.mark.parametrize("slower", [None, 5, 50])
@pytest.mark.parametrize("which", ["network", "carried", "residual"])
def test_a_plan_s_stages_all_have_one(which, slower, request):
    graph = request.getfixturevalue(which)
    found = plan(graph, device("ecp5-12f"))
    if slower:
        found = plan(graph, device("ecp5-12f"), fps=found.frames_per_second / slower)
    trim, specs = trim_of(graph, {stage.stage: stage.folding for stage in found.stages}, "ecp5-12f")
    for number, spec in enumerate(specs):
        text = reason(trim, specs, number, found.cycles)
        assert (text is None) == (spec.cycles >= found.cycles)
        assert text != "a slower one would do"
        if text == "one lane":
            assert spec.folding.simd * spec.folding.pe * spec.folding.carry == 1 or spec.folding.lanes == spec.in_width
        if text is not None and text.startswith("next takes"):
            assert int(text.removeprefix("next takes ").replace(" ", "")) > found.cycles


@pytest.fixture(scope="module")
def chain():
    """Two pointwise stages of six channels over 64 positions: 2 304 products each."""
    edge = Edge((4, 4, 4, 6), FORMAT)
    return Graph("chain", InputSpec(edge, edge.shape), (pointwise("a", INPUT, 6, 6), pointwise("b", "a", 6, 6)))


def folding(simd, pe, lanes=1, ring=16):
    return Folding(simd=simd, pe=pe, lanes=lanes, ring=ring, queue=32, multiplier="logic")


def test_what_divides_no_further_names_the_next(chain):
    trim, specs = trim_of(chain, {"a": folding(2, 1), "b": folding(1, 1)})
    assert (specs[0].cycles, specs[1].cycles) == (1152, 2304)
    assert reason(trim, specs, 0, 1200) == "next takes 2 304"
    assert reason(trim, specs, 1, 2400) == "one lane"
    assert reason(trim, specs, 1, 2304) is None


def test_words_that_the_neighbours_do_not_have():
    """Words of three values can be read three or one at a time; two would be slower, and fast enough."""
    edge = Edge((4, 4, 4, 6), FORMAT)
    graph = Graph("one", InputSpec(edge, edge.shape), (pointwise("a", INPUT, 6, 6), pointwise("b", "a", 1, 6)))
    trim, specs = trim_of(graph, {"a": folding(6, 3, lanes=3), "b": folding(3, 1)})
    assert [spec.cycles for spec in specs] == [128, 128]
    assert reason(trim, specs, 1, 200) == "words of its neighbours"
    assert reason(trim, specs, 1, 191) == "next takes 192"


def test_a_slower_one_that_would_do_is_said(chain):
    trim, specs = trim_of(chain, {"a": folding(6, 6, lanes=6), "b": folding(1, 1)})
    assert reason(trim, specs, 0, 3000) == "a slower one would do"


def test_what_takes_more_of_the_device(network, monkeypatch):
    """Half the lanes make a ring or a ROM deep enough for a block RAM, where these are dear."""
    monkeypatch.setattr(limits, "MEMORY_WORTH", 10_000)
    found = plan(network, Device("poor", dsps=200, brams=None, luts=200_000))
    trim, specs = trim_of(network, {stage.stage: stage.folding for stage in found.stages}, "ecp5-12f")
    texts = [reason(trim, specs, number, found.cycles * 4) for number in range(len(specs))]
    assert any(text is not None and text.startswith("slower: +") for text in texts), texts


@pytest.mark.parametrize(("mean", "text"), [(2311, "slower: others wait, 2 311"), (None, "slower: others wait")])
def test_a_stage_that_others_wait_for(chain, monkeypatch, mean, text):
    """By itself fast enough with fewer lanes, but not the network with it."""
    trim, specs = trim_of(chain, {"a": folding(6, 6, lanes=6), "b": folding(1, 1)})
    monkeypatch.setattr(Swaps, "mean", lambda *_: mean)
    assert reason(trim, specs, 0, 2304) == text
