"""Buffers that a network waits for are found, and made as deep as it needs where the device has room."""

from fractions import Fraction

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.families import ECP5, Device, device
from rtl_gen.kinds import Folding
from rtl_gen.plan.swaps import Swaps
from rtl_gen.plan.trim import Trim
from rtl_gen.plan.waits import deepened, waited_for

BYTES, NIBBLES = Format(8, False, 0), Format(4, True, 0, narrow=True)


@pytest.fixture
def network():
    """A pointwise stage, and a head over all its map that takes as long."""
    edge = Edge((1, 8, 8, 4), BYTES)
    rng = np.random.default_rng(0)
    point = as_integers(rng.integers(-7, 8, (4, 1, 1, 1, 4)))
    whole = as_integers(rng.integers(-7, 8, (4, 1, 8, 8, 4)))
    nodes = (
        Contraction("point", (INPUT,), "point", Window(), point, NIBBLES, Requantizer(BYTES, 4)),
        Contraction("head", ("point",), "head", Window((1, 8, 8)), whole, NIBBLES, Requantizer(Format(16, True, 0), 0)),
    )
    foldings = {
        "point": Folding(simd=4, pe=1, lanes=1, ring=16, queue=32),
        "head": Folding(simd=4, pe=1, lanes=1, ring=64, queue=32),
    }
    return Graph("net", InputSpec(edge, edge.shape), nodes), foldings


def test_the_ring_of_a_head_that_holds_one_map_only(network):
    graph, foldings = network
    swaps = Swaps.of(graph, foldings, ECP5)
    specs = swaps.specs(foldings)
    interval = swaps.mean(specs)
    assert interval is not None and interval > 256
    number, faster = waited_for(swaps, specs, "ring", interval)
    assert (specs[number].node.name, faster < interval) == ("head", True)
    assert waited_for(swaps, specs, "queue", interval) is None


def test_it_is_made_deeper_until_nobody_waits_or_it_does_not_fit(network):
    graph, foldings = network
    swaps = Swaps.of(graph, foldings, ECP5)
    slow = swaps.mean(swaps.specs(foldings))
    found = deepened(Trim(swaps, device("ecp5-12f")), foldings, Fraction(256))
    assert found["point"] == foldings["point"] and found["head"].ring == 256
    assert swaps.mean(swaps.specs(found)) < slow
    taken = swaps.cost(swaps.specs(foldings)) + ECP5.overhead
    full = Device("full", dsps=28, brams=taken.brams, luts=round(taken.luts / ECP5.lut_share) + 1)
    assert deepened(Trim(swaps, full), foldings, Fraction(256)) == foldings
    assert deepened(Trim(swaps, device("ecp5-12f")), foldings, slow) == foldings
