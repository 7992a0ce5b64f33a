"""A network whose pools have no ring, planned, emitted and simulated: equal at every stage, in the predicted cycles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph, Node, Pool
from qtt_hw.graph.file import save
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.plan.search import plan
from sim.cosim import cosim

SHAPE = (8, 7, 9, 1)
SAME = ((0, 1), (1, 1), (0, 0))


def _contraction(name: str, source: str, channels: tuple[int, int], kernel: int, requant: Requantizer) -> Contraction:
    window = Window((kernel,) * 3, padding=((kernel // 2,) * 2,) * 3)
    weight = np.random.default_rng(len(name)).integers(-7, 8, (channels[1], *window.kernel, channels[0]))
    return Contraction(name, (source,), "net", window, as_integers(weight), Format(4, True, 0, narrow=True), requant)


def graph() -> Graph:
    """Two blocks of a convolution and a 3x3x3 pool, an average and a maximum, and the head."""
    affine = Requantizer(Format(8, False, 0), 4, tuple(range(90, 138, 8)), tuple(range(-300, 300, 100)))
    nodes: list[Node] = [
        _contraction("convolution", INPUT, (1, 6), 3, affine),
        Pool("average", ("convolution",), "net", "average", Window((3, 3, 3), (3, 3, 3), SAME)),
        _contraction("mix", "average", (6, 8), 1, Requantizer(Format(6, True, 0), 3)),
        Pool("maximum", ("mix",), "net", "max", Window((2, 2, 3), (4, 2, 3), ((0, 0), (0, 1), (0, 0)))),
    ]
    head = _contraction("head", "maximum", (8, 5), 1, Requantizer(Format(16, True, 0), 0))
    nodes.append(replace(head, window=Window((1, 2, 1)), weight=as_integers(np.repeat(head.weight, 2, axis=2))))
    return Graph("pools", input_spec(SHAPE), tuple(nodes), tuple("abcde"))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pools") / "build"
    chosen = plan(graph(), device("ecp5-25f"))
    assert [s.folding.ring == 0 for s in chosen.stages] == [isinstance(n, Pool) for n in graph().nodes]
    emit(graph(), folder, chosen, taps=True)
    return folder


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 2, (12, *SHAPE))


def test_back_to_back_every_stage_is_equal_and_the_cycles_are_as_predicted(build: Path, x: np.ndarray) -> None:
    result = cosim(build, x)
    assert result.equal and result.periodic
    assert result.cycles_equal is True
    assert (result.cycles, result.latency) == (result.predicted_cycles, result.predicted_latency)


@pytest.mark.long
def test_stalls_change_nothing_but_time(build: Path, x: np.ndarray) -> None:
    assert cosim(build, x, stalls=("mostly", "bursty"), seed=1).equal
    assert cosim(build, x, stalls=("sparse", "mostly"), seed=2).equal
    assert cosim(build, x[:3], engine="cocotb", stalls=True, seed=3).equal


@pytest.mark.long
def test_another_window_is_found_at_its_pool(build: Path, x: np.ndarray, tmp_path: Path) -> None:
    good = graph()
    shifted = ((1, 0), (1, 1), (0, 0))
    nodes = [
        replace(node, window=replace(node.window, padding=shifted))  # type: ignore[attr-defined, call-arg]
        if node.name == "average"
        else node
        for node in good.nodes
    ]
    wrong = tmp_path / "build"
    emit(replace(good, nodes=tuple(nodes)), wrong, taps=True)
    manifest = (wrong / "manifest.json").read_text()
    digest = save(replace(good, nodes=tuple(nodes)), wrong / "model.qtt")
    (wrong / "manifest.json").write_text(manifest.replace(digest, save(good, wrong / "model.qtt")))
    result = cosim(wrong, x)
    assert not result.equal and result.first_difference is not None
    assert result.first_difference.stage == "average"
