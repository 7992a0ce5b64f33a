"""Generated designs against the golden model: equal when sound, and different when one thing is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph, Pool, Table
from qtt_hw.graph.file import save
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.plan.search import plan
from sim.cosim import cosim

WEIGHT = Format(4, True, 0, narrow=True)
SHAPE = (4, 4, 4, 1)


def _contraction(
    name: str, source: str, channels: tuple[int, int], window: Window, requant: Requantizer
) -> Contraction:
    rng = np.random.default_rng(len(name))
    weight = rng.integers(-7, 8, (channels[1], *window.kernel, channels[0]))
    return Contraction(name, (source,), "net", window, as_integers(weight), WEIGHT, requant)


def graph() -> Graph:
    """Lift, a convolution along D and one along H, a pool, a table and the head."""
    same = Requantizer(Format(8, True, 0), 2)
    along_d = Window((3, 1, 1), padding=((1, 1), (0, 0), (0, 0)))
    along_h = Window((1, 3, 1), padding=((0, 0), (1, 1), (0, 0)))
    affine = Requantizer(Format(4, False, 0), 6, (20, -9, 31), (100, 300, -200))
    return Graph(
        "tiny",
        input_spec(SHAPE),
        (
            _contraction("lift", INPUT, (1, 2), Window(), Requantizer(Format(8, True, 0), 0)),
            _contraction("along_d", "lift", (2, 2), along_d, same),
            _contraction("along_h", "along_d", (2, 3), along_h, affine),
            Pool("pool", ("along_h",), "net", "average", Window((2, 2, 2), (2, 2, 2))),
            Table("table", ("pool",), "net", tuple((7 * k + 3) % 16 - 8 for k in range(16)), Format(4, True, 0)),
            _contraction("head", "table", (3, 4), Window((2, 2, 2)), Requantizer(Format(16, True, 0), 0)),
        ),
    )


def _change(good: Graph, name: str, **changes: object) -> Graph:
    nodes = tuple(replace(node, **changes) if node.name == name else node for node in good.nodes)  # type: ignore[arg-type]
    return replace(good, nodes=nodes)


def _emit(design: Graph, expected: Graph, build: Path) -> Path:
    """The BUILD of one graph, which claims to be the BUILD of another."""
    emit(design, build, plan(design, device("ecp5-25f")), taps=True)
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["digest"] = save(expected, build / "model.qtt")
    (build / "manifest.json").write_text(json.dumps(manifest))
    return build


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 2, (12, *SHAPE))


def test_every_stage_is_equal_and_the_cycles_are_as_predicted(tmp_path: Path, x: np.ndarray) -> None:
    build = _emit(graph(), graph(), tmp_path / "build")
    result = cosim(build, x)
    assert result.equal and result.periodic
    assert (result.cycles, result.latency) == (result.predicted_cycles, result.predicted_latency)
    assert result.cycles_equal is True
    assert cosim(build, x, stalls=("mostly", "bursty"), seed=1).equal
    assert cosim(build, x, stalls=("sparse", "mostly"), seed=2).equal
    for engine in ("cocotb", "pyverilator"):
        again = cosim(build, x[:4], engine=engine, stalls=True, seed=4)  # type: ignore[arg-type]
        assert again.equal and again.engine == engine
        assert cosim(build, x[:4], engine=engine).cycles_equal is True  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fault",
    [
        "weight",
        "expected",
        pytest.param("shift", marks=pytest.mark.long),
        pytest.param("offset", marks=pytest.mark.long),
        pytest.param("order", marks=pytest.mark.long),
    ],
)
def test_one_wrong_thing_is_found_where_it_is(tmp_path: Path, x: np.ndarray, fault: str) -> None:
    good = design = expected = graph()
    stage = "along_d"
    along_d = next(node for node in good.nodes if isinstance(node, Contraction) and node.name == "along_d")
    weight = np.array(along_d.weight)
    if fault == "weight":
        weight[1, 2, 0, 0, 1] += 1 if weight[1, 2, 0, 0, 1] < 7 else -1
        design = _change(good, stage, weight=as_integers(weight))
    elif fault == "expected":
        weight[0, 0, 0, 0, 0] += 1 if weight[0, 0, 0, 0, 0] < 7 else -1
        expected = _change(good, stage, weight=as_integers(weight))
    elif fault == "shift":
        design = _change(good, stage, requant=replace(along_d.requant, shift=1))
    elif fault == "offset":
        stage = "along_h"
        design = _change(good, stage, requant=Requantizer(Format(4, False, 0), 6, (20, -9, 31), (100, 236, -200)))
    else:
        # along H instead of along D: the same shapes, another order
        along_h = Window((1, 3, 1), padding=((0, 0), (1, 1), (0, 0)))
        design = _change(good, stage, window=along_h, weight=as_integers(weight.reshape(2, 1, 3, 1, 2)))
    result = cosim(_emit(design, expected, tmp_path / fault), x)
    assert not result.equal
    assert result.first_difference is not None and result.failure is None
    assert result.first_difference.stage == stage
