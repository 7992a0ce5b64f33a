"""The placed design of an iCE40, in the placer's cells: the golden model's answers over the board's own line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import boards
import sim.board
from boards.build import build
from boards.placed import PlacedDesign, placed_design
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.families.ice40_placed import simulated
from rtl_gen.plan.search import plan
from sim.on_board import simulate_board
from tests.sim.test_netlist_families import tiny

ICEBREAKER = boards.load("icebreaker")


def test_pads_and_the_clock_become_wires_and_open_inputs_constants() -> None:
    lut = {"I0": "input", "CEN": "input", "O": "output"}
    pad = {"PACKAGE_PIN": "inout", "D_IN_0": "output", "D_OUT_0": "input"}
    netlist = {
        "modules": {
            "placed": {
                "ports": {"clk": {"direction": "input", "bits": [2]}, "tx": {"direction": "output", "bits": [3]}},
                "cells": {
                    "lut": {"type": "ICESTORM_LC", "port_directions": lut, "connections": {"I0": [], "O": [5]}},
                    "in": {"type": "SB_IO", "port_directions": pad, "connections": {"PACKAGE_PIN": [2]}},
                    "out": {
                        "type": "SB_IO",
                        "port_directions": pad,
                        "connections": {"PACKAGE_PIN": [3], "D_OUT_0": [5]},
                    },
                    "global": {
                        "type": "SB_GB",
                        "port_directions": {},
                        "connections": {"USER_SIGNAL_TO_GLOBAL_BUFFER": [], "GLOBAL_BUFFER_OUTPUT": [7]},
                    },
                    "pll": {
                        "type": "ICESTORM_PLL",
                        "port_directions": {"LOCK": "output", "RESETB": "input"},
                        "connections": {"LOCK": [8], "RESETB": [9]},
                        "parameters": {"DIVR": "0"},
                    },
                },
            }
        }
    }
    simulated(netlist, "top", "clk")
    cells = netlist["modules"]["top"]["cells"]  # type: ignore[index]
    assert {name: cell["connections"] for name, cell in cells.items()} == {
        "lut": {"I0": ["0"], "CEN": ["1"], "O": [5]},
        "out": {"A": [5], "Y": [3]},
        "global": {"A": [2], "Y": [7]},
        "pll": {"REFERENCECLK": [2], "LOCK": [8]},
    }


def test_what_cannot_be_simulated_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^ECP5: of what its placer makes there are no models; "):
        placed_design(tmp_path, boards.load("ulx3s-85f"))
    with pytest.raises(ValueError, match=r"icebreaker: there is no bitstream; make it with `qtt build "):
        placed_design(tmp_path, ICEBREAKER)
    with pytest.raises(ValueError, match=r"^a placed design has the clock and the line that it was built with"):
        simulate_board(made(tmp_path), ICEBREAKER, samples(1), placed=True, divisor=8)


def made(folder: Path) -> Path:
    design = tiny()
    emit(design, folder / "build", plan(design, device("up5k"), fps=1000))
    return folder / "build"


def samples(count: int) -> np.ndarray:
    return np.random.default_rng(7).integers(-128, 128, (count, *tiny().input.edge.shape))


@pytest.mark.long
def test_a_placed_design_gives_the_golden_model_s_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path)
    build(folder, ICEBREAKER)
    design = placed_design(folder, ICEBREAKER)
    assert {f"ICESTORM_{kind}" for kind in ("LC", "RAM", "SPRAM", "DSP", "PLL")} == design.cells
    result = simulate_board(folder, ICEBREAKER, samples(6), placed=True, timeout=60)
    assert result.equal and result.cycles_equal and result.samples == 6 and result.clock_mhz == ICEBREAKER.clock_mhz

    # A multiplier that takes its input for unsigned is seen.
    text = re.sub(r"\.A_SIGNED\(1'h1\)", ".A_SIGNED(1'h0)", design.verilog)
    assert text != design.verilog
    changed = PlacedDesign(text, design.cells, design.clock_mhz)
    monkeypatch.setattr(sim.board, "placed_design", lambda *given, **more: changed)
    assert not simulate_board(folder, ICEBREAKER, samples(6), placed=True, timeout=60).equal


@pytest.mark.long
def test_another_placement_than_the_bitstream_s_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path)
    build(folder, ICEBREAKER)
    pins = folder / "icebreaker" / "board.pcf"
    names = {"led[0]": "led[1]", "led[1]": "led[0]"}
    pins.write_text(re.sub(r"led\[\d\]", lambda found: names[found[0]], pins.read_text()))
    with pytest.raises(ValueError, match=r"icebreaker: nextpnr places it otherwise today; build it again$"):
        placed_design(folder, ICEBREAKER)
