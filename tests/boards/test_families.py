"""Designs for every family: bitstreams where pip has a placer, and what other tools infer of the generic Verilog."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import boards
from boards.build import build, measure
from boards.place import place, prepare
from boards.synthesis import synthesise
from rtl_gen.emit import TOP, emit
from rtl_gen.families import GENERIC, device
from rtl_gen.families.tools import Synthesis
from rtl_gen.manifest import Manifest
from rtl_gen.plan.plan import load_plan
from rtl_gen.plan.search import plan
from tests.sim.test_netlist import graph


def made(name: str, folder: Path) -> Path:
    design = graph()
    emit(design, folder / "build", plan(design, device(name), fps=1000))
    return folder / "build"


@pytest.mark.long
@pytest.mark.parametrize("name", ["icebreaker", "upduino3", "tang-nano-9k", "tang-nano-20k"])
def test_a_bitstream_as_planned_at_the_clock_that_was_reached(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    folder = made(board.device, tmp_path)
    result = build(folder, board, fit_clock=True)
    planned = load_plan(folder / "plan.json")
    assert result.dsps == planned.dsps
    assert result.luts == pytest.approx(planned.luts, rel=0.15)
    assert result.clock_mhz > board.clock_mhz and result.fmax_mhz >= result.clock_mhz
    assert result.meets_timing
    bitstream = Path(result.bitstream)
    assert bitstream.suffix == board.placing.bitstream and bitstream.stat().st_size > 10_000


def test_a_build_of_another_family_is_refused(tmp_path: Path) -> None:
    folder = made("up5k", tmp_path)
    with pytest.raises(ValueError, match="holds no sources for ecp5; plan it for a device of that family$"):
        build(folder, boards.load("ulx3s-85f"))


def test_what_no_package_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^generic: no package of pip places it; a design for it ends at synthesis$"):
        place(tmp_path, device("generic"), frequency_mhz=100)
    with pytest.raises(ValueError, match=r"^generic: no package of pip places it"):
        prepare(GENERIC, tmp_path)
    with pytest.raises(ValueError, match="'xc7a35t' cannot be placed: name one of ecp5-12f, .*, gw2ar-18c$"):
        replace(boards.load("ulx3s-85f"), device="xc7a35t")
    with pytest.raises(ValueError, match="device 'generic' cannot be placed: name one of ecp5-12f"):
        boards.pins_of("generic", {"clk": "A1"})
    (tmp_path / "top.v").write_text("module top(input clk, d, output reg q); always @(posedge clk) q <= d; endmodule\n")
    with pytest.raises(ValueError, match=r"^iCE40: a module by itself, without pads, is not placed; measure it on an"):
        measure([tmp_path / "top.v"], "top", device="up5k")


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "multiplier", "memory"),
    [
        ("synth_xilinx -flatten", "DSP48E1", "RAMB18E1"),
        ("synth_intel_alm -family cyclonev", "MISTRAL_MUL", "MISTRAL_M10K"),
    ],
)
def test_generic_verilog_is_inferred(command: str, multiplier: str, memory: str, tmp_path: Path) -> None:
    folder = made("generic", tmp_path)
    planned = load_plan(folder / "plan.json")
    family = replace(GENERIC, synthesis=Synthesis(command, after=GENERIC.synthesis.after))
    sources = [folder / name for name in Manifest.load(folder).sources.of(GENERIC)]
    cells = synthesise(sources, TOP, tmp_path, family)
    count = {part: sum(n for cell, n in cells.items() if cell.startswith(part)) for part in (multiplier, memory)}
    assert count[multiplier] == planned.dsps == 1
    assert count[memory] >= sum(stage.brams for stage in planned.stages) > 0
    assert not any("LATCH" in cell or cell in ("LDCE", "LDPE") for cell in cells)
