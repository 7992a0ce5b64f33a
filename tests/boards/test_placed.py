"""Placed designs in the placer's cells: the golden model's answers over the board's own line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import boards
import sim.board
from boards.board import Board
from boards.build import build
from boards.placed import PlacedDesign, placed_design
from qtt_hw.graph import golden
from qtt_hw.graph.file import load
from rtl_gen.emit import emit
from rtl_gen.families import device, ecp5_placed, ice40_placed
from rtl_gen.plan.search import plan
from sim.on_board import simulate_board
from tests.rtl_gen.other_weights import with_other_weights
from tests.sim.test_netlist_families import tiny

ICEBREAKER, ULX3S = boards.load("icebreaker"), boards.load("ulx3s-12f")


def cell(kind: str, ways: str, **connections: list[Any]) -> dict[str, Any]:
    """A cell of nextpnr's JSON: its ports' first letters, i, o and b for both, in the order of the connections."""
    directions = {"i": "input", "o": "output", "b": "inout"}
    ports = {port: directions[way] for port, way in zip(connections, ways, strict=True)}
    return {"type": kind, "port_directions": ports, "connections": connections, "parameters": {"DIVR": "0"}}


def test_pads_and_the_clock_become_wires_and_open_inputs_constants() -> None:
    ports = {"clk": ("input", 2), "tx": ("output", 3), "rx": ("input", 4), "led": ("output", 10)}
    cells = {
        "lut": cell("ICESTORM_LC", "iiio", I0=[], CEN=[], CLK=[7], O=[5]),
        "ram": cell("ICESTORM_RAM", "iii", RCLKE=[], RE=[], WE=[6]),
        "oscillator": cell("SB_IO", "b", PACKAGE_PIN=[2]),
        "out": cell("SB_IO", "bi", PACKAGE_PIN=[3], D_OUT_0=[5]),
        "in": cell("SB_IO", "bo", PACKAGE_PIN=[4], D_IN_0=[6]),
        "open": cell("SB_IO", "bi", PACKAGE_PIN=[10], D_OUT_0=[]),
        "clock": cell("SB_GB", "io", USER_SIGNAL_TO_GLOBAL_BUFFER=[], GLOBAL_BUFFER_OUTPUT=[7]),
        "reset": cell("SB_GB", "io", USER_SIGNAL_TO_GLOBAL_BUFFER=[11], GLOBAL_BUFFER_OUTPUT=[12]),
        "pll": cell("ICESTORM_PLL", "oi", LOCK=[8], RESETB=[9]),
    }
    module = {"ports": {name: {"direction": way, "bits": [bit]} for name, (way, bit) in ports.items()}, "cells": cells}
    netlist: dict[str, Any] = {"modules": {"placed": module}}
    ice40_placed.simulated(netlist, "top", "clk")
    found = netlist["modules"]["top"]["cells"]
    assert {name: (one["type"], one["connections"]) for name, one in found.items()} == {
        "lut": ("ICESTORM_LC", {"I0": ["0"], "CEN": ["1"], "CLK": [7], "O": [5]}),
        "ram": ("ICESTORM_RAM", {"RCLKE": ["1"], "RE": ["0"], "WE": [6]}),
        "out": ("$_BUF_", {"A": [5], "Y": [3]}),
        "in": ("$_BUF_", {"A": [4], "Y": [6]}),
        "clock": ("$_BUF_", {"A": [2], "Y": [7]}),
        "reset": ("$_BUF_", {"A": [11], "Y": [12]}),
        "pll": ("SB_PLL40_CORE", {"REFERENCECLK": [2], "LOCK": [8]}),
    }
    assert found["in"]["port_directions"] == {"A": "input", "Y": "output"}
    assert found["pll"]["port_directions"] == {"REFERENCECLK": "input", "LOCK": "output"}


def test_an_ecp5_s_open_inputs_are_what_its_parameters_say() -> None:
    ports = {"clk": ("input", 2), "tx": ("output", 3), "rx": ("input", 4)}
    cells = {
        "clock_pad": cell("TRELLIS_IO", "bo", B=[2], O=[5]),
        "in": cell("TRELLIS_IO", "boi", B=[4], O=[6], I=[]),
        "out": cell("TRELLIS_IO", "bi", B=[3], I=[7]),
        "global": cell("DCCA", "io", CLKI=[5], CLKO=[8]),
        "lut": cell("TRELLIS_COMB", "iiiiio", A=[6], B=[], C=[], D=[], M=[], F=[7]),
        "upper": cell("TRELLIS_COMB", "iiiiiiio", A=[6], B=[6], C=[6], D=[6], M=[6], FXA=[7], FXB=[7], OFX=[9]),
        "aside": cell("TRELLIS_COMB", "io", A=[], F=[]),
        "register": cell("TRELLIS_FF", "iiiio", CLK=[8], CE=[], LSR=[], M=[6], Q=[10]),
        "ram": cell("DP16KD", "iiiiiiio", CLKA=[8], CLKB=[], CEA=[], WEA=[], ADA0=[], RSTA=[6], DIA0=[], DOA0=[11]),
        "multiplier": cell("MULT18X18D", "iiio", A0=[6], SRIA0=[], C0=[], P0=[12]),
    }
    cells["aside"]["parameters"] = {"MODE": "RAMW_BLOCK"}
    cells["register"]["parameters"] = {"LSRMUX": "INV", "SD": "0 ", "CEMUX": "1 "}
    pins = {"CLKAMUX": "CLKA", "CLKBMUX": "INV", "CEAMUX": "CEA", "WEAMUX": "INV", "ADA0MUX": "0 ", "RSTAMUX": "INV"}
    cells["ram"]["parameters"] = {**pins, "GSR": "DISABLED"}
    module = {"ports": {name: {"direction": way, "bits": [bit]} for name, (way, bit) in ports.items()}, "cells": cells}
    netlist = {"modules": {"any": module}}
    ecp5_placed.simulated(netlist, "top", "clk")
    found = netlist["modules"]["top"]["cells"]
    joined = {name: each["connections"] for name, each in found.items()}
    assert joined["in"] == {"A": [4], "Y": [6]} and joined["out"] == {"A": [7], "Y": [3]}
    assert joined["global"] == {"A": [5], "Y": [8]} and "aside" not in found
    assert joined["lut"] == {"A": [6], "B": ["1"], "C": ["1"], "D": ["1"], "M": ["0"], "F": [7]}
    assert [int(found[name]["parameters"]["IS_Z1"], 2) for name in ("lut", "upper")] == [0, 1]
    assert joined["register"] == {"CLK": [8], "CE": ["1"], "LSR": ["1"], "DI": [6], "M": ["0"], "Q": [10]}
    assert joined["ram"] | {"RSTA": []} == {
        **{"CLKA": [8], "CLKB": ["0"], "CEA": ["1"], "WEA": ["0"], "ADA0": ["0"], "RSTA": [], "DIA0": ["0"]},
        "DOA0": [11],
    }
    assert joined["ram.RSTA"] == {"A": [6], "Y": joined["ram"]["RSTA"]} and found["ram.RSTA"]["type"] == "$_NOT_"
    assert found["ram"]["parameters"] == {"GSR": "DISABLED"}
    assert joined["multiplier"] == {"A0": [6], "C0": ["0"], "P0": [12]}
    netlist = {"modules": {"any": {"ports": {}, "cells": {"other": cell("DCUA", "i", A=[6])}}}}
    with pytest.raises(ValueError, match="^the placed design has a cell 'DCUA' of which there is no model"):
        ecp5_placed.simulated(netlist, "top", "clk")


def test_what_cannot_be_simulated_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^Gowin: of what its placer makes there are no models here; "):
        placed_design(tmp_path, boards.load("tang-nano-9k"))
    with pytest.raises(ValueError, match=r"icebreaker: there is no bitstream; make it with `qtt build "):
        placed_design(tmp_path, ICEBREAKER)
    with pytest.raises(ValueError, match=r"^a placed design has its own clock: leave out clock_mhz"):
        simulate_board(made(tmp_path, "up5k"), ICEBREAKER, samples(1), placed=True, divisor=8)


def made(folder: Path, name: str) -> Path:
    design = tiny()
    emit(design, folder / "build", plan(design, device(name), fps=1000))
    return folder / "build"


def samples(count: int) -> np.ndarray:
    return np.random.default_rng(7).integers(-128, 128, (count, *tiny().input.edge.shape))


@pytest.mark.long
@pytest.mark.parametrize(
    ("board", "cells", "fault"),
    [
        # A multiplier that takes its input for unsigned.
        (
            *(ICEBREAKER, {"SB_PLL40_CORE", *(f"ICESTORM_{kind}" for kind in ("LC", "RAM", "SPRAM", "DSP"))}),
            (r"\.A_SIGNED\(1'h1\)", ".A_SIGNED(1'h0)"),
        ),
        # A block RAM without its output register, whose words come a cycle early.
        (
            *(ULX3S, {"EHXPLLL", "DP16KD", "MULT18X18D", *(f"TRELLIS_{kind}" for kind in ("COMB", "FF", "RAMW"))}),
            (r'\.REGMODE_A\("OUTREG"\)', '.REGMODE_A("NOREG")'),
        ),
    ],
    ids=["icebreaker", "ulx3s-12f"],
)
def test_a_placed_design_gives_the_golden_model_s_answers(
    board: Board, cells: set[str], fault: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path, board.device)
    placed = build(folder, board)
    design = placed_design(folder, board)
    assert design.cells == cells
    result = simulate_board(folder, board, samples(6), placed=True, timeout=60)
    assert result.equal and result.cycles_equal and result.samples == 6 and result.clock_mhz == placed.clock_mhz

    text = re.sub(*fault, design.verilog)
    assert text != design.verilog
    changed = PlacedDesign(text, design.cells, design.clock_mhz)
    monkeypatch.setattr(sim.board, "placed_design", lambda *given, **more: changed)
    assert not simulate_board(folder, board, samples(6), placed=True, timeout=60).equal


@pytest.mark.long
def test_other_weights_in_a_placed_design_give_their_own_model_s_answers(tmp_path: Path) -> None:
    design = tiny()
    one, two = tmp_path / "one", tmp_path / "two"
    emit(design, one, plan(design, device("up5k"), fps=1000), exchangeable=True)
    emit(with_other_weights(design, 3), two, like=one)
    placed = build(one, ICEBREAKER)
    exchanged = build(two, ICEBREAKER, placed_as=one)
    assert exchanged.fmax_mhz == placed.fmax_mhz and exchanged.placed_as == str(one)
    assert exchanged.seconds < placed.seconds / 4
    for folder in (one, two):  # nextpnr, given the exchanged netlist, makes the exchanged design
        result = simulate_board(folder, ICEBREAKER, samples(6), placed=True, timeout=60)
        assert result.equal and result.cycles_equal and result.samples == 6
    answers = [golden.run(load(folder / "model.qtt"), samples(6)) for folder in (one, two)]
    assert any(not np.array_equal(answers[0][name], answers[1][name]) for name in answers[0])


@pytest.mark.long
def test_another_placement_than_the_bitstream_s_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, "up5k")
    build(folder, ICEBREAKER)
    pins = folder / "icebreaker" / "board.pcf"
    names = {"led[0]": "led[1]", "led[1]": "led[0]"}
    pins.write_text(re.sub(r"led\[\d\]", lambda found: names[found[0]], pins.read_text()))
    with pytest.raises(ValueError, match=r"icebreaker: nextpnr places it otherwise today; build it again$"):
        placed_design(folder, ICEBREAKER)
