"""Netlists of every family but the ECP5 give the golden model's integers, simulated with that family's cells."""

import re
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.plan.plan import load_plan
from rtl_gen.plan.search import plan
from sim.cosim import cosim
from sim.netlist import netlist_build
from tests.sim.test_netlist import graph, residual

#: What of its blocks with parameters a netlist of `graph` has.
CELLS = {
    "up5k": {"SB_MAC16", "SB_RAM40_4K", "SB_LUT4"},
    "gw1nr-9c": {"MULT18X18", "SP", "DPB", "RAM16SDP4", "ALU"},
    "gw2ar-18c": {"MULT18X18", "SP", "DPB", "RAM16SDP4", "ALU"},
    "generic": {"DSP48E1", "RAMB18E1", "RAM32M"},
}


def tiny() -> Graph:
    """One head, with a multiplier and weights in a block RAM."""
    shape = (1, 5, 5, 4)
    weight = as_integers(np.random.default_rng(5).integers(-127, 128, (3, *shape)))
    logits = Requantizer(Format(16, True, 0), 2)
    head = Contraction("head", (INPUT,), "net", Window(shape[:3]), weight, Format(8, True, 0, narrow=True), logits)
    return Graph("tiny", input_spec(shape, offset=128, format=Format(8, True, 7)), (head,))


def equal(design: Graph, name: str, low: int, high: int, folder: Path, fps: float = 1000) -> set[str]:
    """The cells of a design's netlist for a device, which is simulated on random samples."""
    emit(design, folder / "build", plan(design, device(name), fps=fps), taps=True)
    netlist = netlist_build(folder / "build", folder / "netlist")
    x = np.random.default_rng(7).integers(low, high, (12, *design.input.edge.shape))
    result = cosim(netlist, x)
    assert result.equal and result.cycles_equal is True
    assert cosim(netlist, x, stalls=True, seed=11).equal
    return set(re.findall(r"^  (\w+) #?\(", (netlist / "netlist.v").read_text(), re.MULTILINE))


@pytest.mark.long
def test_a_head_on_an_ice40(tmp_path: Path) -> None:
    """Its three products a step are those of two multipliers, of which each can be two."""
    assert {"SB_MAC16", "SB_RAM40_4K"} <= equal(tiny(), "up5k", -128, 128, tmp_path, fps=1_000_000)
    (head,) = load_plan(tmp_path / "build" / "plan.json").stages
    assert (head.folding.multiplier, head.folding.simd, head.folding.pe) == ("dual", 1, 3)
    assert ".MODE_8x8(1'h1)" in (tmp_path / "netlist" / "netlist.v").read_text()


@pytest.mark.long
@pytest.mark.parametrize("name", CELLS)
def test_a_network_s_netlist(name: str, tmp_path: Path) -> None:
    found = equal(graph(), name, 0, 2, tmp_path)
    assert found >= CELLS[name]
    assert not {cell for cell in found if "LATCH" in cell or cell in ("DL", "LDCE", "$buf")}


@pytest.mark.long
@pytest.mark.parametrize("name", ["up5k", "gw1nr-9c", "generic"])
def test_a_residual_network_s_netlist(name: str, tmp_path: Path) -> None:
    equal(residual(), name, -8, 8, tmp_path)
