"""A design in its AXI wrapper: equal over the buses at any stalls, exact registers, and a use for every fault."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.graph.file import load
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.manifest import Manifest
from rtl_gen.plan.search import plan
from rtl_gen.wrapper.axi_stream import wrapper_verilog
from sim.axi_run import AXI, run_axi
from sim.cocotb_run import run_cocotb
from sim.cosim import cosim
from sim.job import Job
from sim.stalls import pattern
from tests.sim.conftest import SHAPE, SmallBuild
from tests.sim.test_netlist import graph

MODELS = Path(__file__).parents[2] / "models"


def wrapped(build: Path) -> Path:
    """The small BUILD with a wrapper."""
    content = json.loads((build / "manifest.json").read_text())
    content["wrapper"] = {"kind": "axi-stream", "top": "qtt_axi", "source": "axi.v"}
    (build / "axi.v").write_text(wrapper_verilog(Manifest.load(build)))
    (build / "manifest.json").write_text(json.dumps(content))
    return build


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallBuild, Path]:
    made = SmallBuild(tmp_path_factory.mktemp("axi"))
    return made, wrapped(made(taps=False))


def job(build: Path, x: np.ndarray, source: str, sink: str) -> Job:
    manifest = Manifest.load(build)
    return Job(build, manifest, load(build / manifest.model), x, 0, pattern(source), pattern(sink), 3, 5000)


def test_equal_over_the_buses_and_every_register_as_seen(small: tuple[SmallBuild, Path]) -> None:
    made, build = small
    x = made.samples(12)
    quiet = cosim(build, x, engine="axi")
    assert quiet.equal and quiet.cycles_equal is True, quiet
    for source, sink in (("bursty", "mostly"), ("sparse", "bursty")):
        outcome = run_axi(job(build, x, source, sink), lambda samples: None)
        assert outcome.equal and len(outcome.ends) == 12, outcome


def test_faulty_packets_and_control(small: tuple[SmallBuild, Path]) -> None:
    made, build = small
    bench = replace(AXI, module="tests.sim.axi_faults_bench")
    assert run_cocotb(job(build, made.samples(3), "none", "none"), lambda samples: None, bench=bench).equal


def test_a_build_without_a_wrapper(small_build: SmallBuild) -> None:
    with pytest.raises(ValueError, match="has no AXI wrapper; emit it with --wrapper axi-stream"):
        cosim(small_build(taps=False), np.zeros((1, *SHAPE), dtype=np.int64), engine="axi")


@pytest.mark.long
def test_a_generated_design_in_its_wrapper(tmp_path: Path) -> None:
    design = graph()
    emit(design, tmp_path / "build", plan(design, device("ecp5-25f"), fps=1000), taps=True, wrapper="axi-stream")
    x = np.random.default_rng(7).integers(0, 2, (40, *design.input.edge.shape))
    found = cosim(tmp_path / "build", x, engine="axi")
    assert found.equal and found.cycles_equal is True, found
    for seed in range(4):
        assert cosim(tmp_path / "build", x, engine="axi", stalls=True, seed=seed).equal


@pytest.mark.long
def test_a_hundred_samples_of_a_committed_model(tmp_path: Path) -> None:
    design = load(MODELS / "lenet-mnist.qtt")
    emit(design, tmp_path / "build", plan(design, device("ecp5-85f")), wrapper="axi-stream")
    fmt = design.input.edge.format
    x = np.random.default_rng(8).integers(fmt.minimum, fmt.maximum + 1, (100, *design.input.edge.shape))
    result = cosim(tmp_path / "build", x, engine="axi", stalls=("sparse", "bursty"), seed=5)
    assert result.equal and result.samples == 100, result
