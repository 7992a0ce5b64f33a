"""Room for the host's bytes in a pause, as plans keep it free and boards build it."""

from pathlib import Path

import numpy as np
import pytest
from amaranth.back import verilog

from boards.clock import divisor_of
from boards.link import Link
from boards.synthesis import synthesise
from boards.top import receiver_queue
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, device
from rtl_gen.fifo import fifo_resources
from rtl_gen.host_queue import LARGEST, queue_resources
from rtl_gen.plan.derive import beside_stages
from rtl_gen.plan.search import plan
from rtl_gen.prediction import Prediction


def test_short_pauses_are_in_the_overhead_and_long_ones_are_bounded() -> None:
    def brams(cycles: int, word: int = 8) -> int:
        return queue_resources(Prediction(ends=(cycles,), intervals=(cycles,)), word, 100.0, ECP5).brams

    assert [brams(n) for n in (1000, 1_000_000, 3_000_000, 6_000_000, 10**9)] == [0, 0, 3, 7, 7]
    assert brams(10**9, 4) == 3 and fifo_resources(LARGEST, 8, ECP5).brams == 8


def test_a_plan_counts_the_queue_that_the_board_builds(tmp_path) -> None:
    """One multiplier for 3.5 million multiplications: the input pauses for long, as in networks of full size."""
    weights = Format(8, True, 6, narrow=True)
    edge = Edge((8, 8, 8, 16), Format(8, True, 4))
    weight = as_integers(np.random.default_rng(0).integers(-127, 128, (16, 3, 3, 3, 16)))
    window = Window((3, 3, 3), padding=((1, 1), (1, 1), (1, 1)))
    body = Contraction("body", (INPUT,), "body", window, weight, weights, Requantizer(Format(8, False, 4), 8))
    middle = body.output(edge)
    last = as_integers(np.ones((2, *middle.shape)))
    head = Contraction("head", ("body",), "head", Window((8, 8, 8)), last, weights, Requantizer(Format(16, True, 0), 6))
    graph = Graph("slow", InputSpec(edge, edge.shape), (body, head))
    found = plan(graph, device("ecp5-85f"), fps=20)
    beside = beside_stages(found).brams
    assert found.brams == ECP5.overhead.brams + sum(stage.brams for stage in found.stages) + beside
    built = receiver_queue(emit(graph, tmp_path / "build", found), divisor_of(100.0, 1_000_000))
    assert fifo_resources(built, 8, ECP5).brams == ECP5.overhead.brams + beside > ECP5.overhead.brams


@pytest.mark.parametrize(("word", "depth"), [(1, LARGEST), (20, 4096)])
def test_block_rams_of_the_built_queue(word: int, depth: int, tmp_path: Path) -> None:
    link = Link(divisor=100, in_bits=word, out_bits=17, queue=depth, family=ECP5)
    text = verilog.convert(link, name="link", platform=object(), emit_src=False, strip_internal_attrs=True)
    (tmp_path / "link.v").write_text(text)
    cells = synthesise([tmp_path / "link.v"], "link", tmp_path, ECP5)
    assert cells["DP16KD"] == fifo_resources(depth, min(word, 8), ECP5).brams
