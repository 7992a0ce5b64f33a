"""Synthesised netlists give the golden model's integers in the predicted cycles, and a wrong cell is found."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, device
from rtl_gen.plan.search import plan
from sim.cosim import cosim
from sim.netlist import netlist_build

SHAPE = (5, 5, 5, 1)


def graph() -> Graph:
    """A convolution along D with a batch norm, and a head whose weights fill a block RAM."""
    rng = np.random.default_rng(5)
    weight = Format(4, True, 0, narrow=True)
    window = Window((3, 1, 1), padding=((1, 1), (0, 0), (0, 0)))
    affine = Requantizer(Format(4, False, 0), 6, (20, -9), (100, 300))
    along_d = as_integers(rng.integers(-7, 8, (2, 3, 1, 1, 1)))
    head = as_integers(rng.integers(-7, 8, (3, 5, 5, 5, 2)))
    logits = Requantizer(Format(16, True, 0), 0)
    return Graph(
        "tiny",
        input_spec(SHAPE),
        (
            Contraction("along_d", (INPUT,), "net.0", window, along_d, weight, affine),
            Contraction("head", ("along_d",), "net.1", Window(SHAPE[:3]), head, weight, logits),
        ),
    )


@pytest.mark.long
def test_a_generated_design_s_netlist(tmp_path: Path) -> None:
    design = graph()
    emit(design, tmp_path / "build", plan(design, device("ecp5-25f"), fps=1000), taps=True)
    folder = netlist_build(tmp_path / "build", tmp_path / "netlist")
    cells = set(re.findall(r"^  (\w+) #?\(", (folder / "netlist.v").read_text(), re.MULTILINE))
    assert {"DP16KD", "MULT18X18D", "TRELLIS_FF", "LUT4", "CCU2C"} <= cells
    assert registered(folder) == [True, True]
    x = np.random.default_rng(7).integers(0, 2, (12, *SHAPE))
    result = cosim(folder, x)
    assert result.equal and result.cycles_equal is True
    assert cosim(folder, x, stalls=True, seed=11).equal


def registered(folder: Path) -> list[bool]:
    """Of a netlist's block RAMs: whether an output register is on; a ROM is read at port A, a RAM at B."""
    text = (folder / "netlist.v").read_text()
    modes = (re.findall(rf'\.REGMODE_{side}\("(\w+)"\)', text) for side in "AB")
    return ["OUTREG" in pair for pair in zip(*modes, strict=True)]


def residual() -> Graph:
    """A convolution beside an identity, whose FIFO is a block RAM, and their sum."""
    rng = np.random.default_rng(6)
    shape, fmt, weight = (1, 4, 40, 1), Format(4, True, 0), Format(4, True, 0, narrow=True)
    window = Window((1, 5, 3), padding=((0, 0), (2, 2), (1, 1)))
    kernel, head = as_integers(rng.integers(-7, 8, (1, 1, 5, 3, 1))), as_integers(rng.integers(-7, 8, (2, 1, 4, 40, 1)))
    nodes = (
        Contraction("conv", (INPUT,), "net.0", window, kernel, weight, Requantizer(fmt, 3)),
        Add.aligned("sum", ("conv", INPUT), "net.1", fmt, fmt, fmt),
        Contraction("head", ("sum",), "net.2", Window(shape[:3]), head, weight, Requantizer(Format(16, True, 0), 0)),
    )
    return Graph("residual", InputSpec(Edge(shape, fmt), shape), nodes)


def test_a_residual_network_s_netlist(tmp_path: Path) -> None:
    tmp_path /= "a b'c\"d$(e);f#g%h&ü"  # a name that is hard on tools
    design = residual()
    found = plan(design, device("ecp5-25f"), fps=10_000)
    assert ECP5.memory.uses_block(found.fifos[0].depth)
    emit(design, tmp_path / "build", found, taps=True)
    folder = netlist_build(tmp_path / "build", tmp_path / "netlist")
    assert registered(folder) == [True] * len(registered(folder)) != []
    x = np.random.default_rng(7).integers(-8, 8, (12, 1, 4, 40, 1))
    result = cosim(folder, x)
    assert result.equal and result.cycles_equal is True
    assert cosim(folder, x, stalls=True, seed=11).equal


@pytest.mark.long
def test_a_wrong_cell_is_found(small_build: Any, tmp_path: Path) -> None:
    folder = netlist_build(small_build(), tmp_path / "netlist")
    x = small_build.samples(20)
    assert cosim(folder, x, stalls=True, seed=1).equal
    text = (folder / "netlist.v").read_text()
    # the least significant bit of a stage's output, inverted
    flip_flop = r"\.DI\(([^\n]*)\),\n(\s+\.LSR\([^\n]*\),\n)?(\s+\.Q\(tap_point__payload\[0\]\))"
    changed, count = re.subn(flip_flop, r".DI(~\1),\n\2\3", text)
    assert count == 1
    (folder / "netlist.v").write_text(changed)
    result = cosim(folder, x)
    assert not result.equal and result.first_difference is not None
    assert (result.first_difference.stage, result.first_difference.sample) == ("point", 0)
    assert result.first_difference.index == (0, 0, 0, 0)


def test_a_folder_that_is_something_else_is_not_replaced(small_build: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "netlist.v").write_text("work")
    build = small_build()
    with pytest.raises(ValueError, match=r"mine: exists and is not a netlist's folder; choose another name$"):
        netlist_build(build, tmp_path / "mine")
    with pytest.raises(ValueError, match="exists and is a BUILD folder, not a netlist's folder; choose another name$"):
        netlist_build(build, build)
    assert (tmp_path / "mine" / "netlist.v").read_text() == "work"
