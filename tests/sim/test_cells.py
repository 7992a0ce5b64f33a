"""Models of cells as simulators get them: macros expanded, the models within a model found, others named."""

from pathlib import Path

import pytest

from rtl_gen.families import ECP5, FAMILIES, ICE40, Family
from sim.cells import _read, models


def test_a_model_comes_with_the_models_it_is_made_of() -> None:
    text = models({"CCU2C"}, ECP5)
    assert {"module CCU2C", "module LUT4", "module LUT2"} <= {
        line.partition("(")[0].strip() for line in text.splitlines()
    }
    assert "specify" not in text and "`" not in text


def test_a_cell_without_a_model_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"^the netlist has a cell 'ALU54B' of which there is no model for simulation$"
    ):
        models({"LUT4", "ALU54B"}, ECP5)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_every_family_has_models_of_its_blocks(family: Family) -> None:
    cells = {family.multiplier.cell, family.memory.cell}
    if family.placing is not None:
        cells |= {pll.cell for pll in (family.placing.pll, family.placing.inner_pll) if pll is not None}
    text = models(cells, family)
    assert all(f"module {cell}" in text for cell in cells)


def test_macros_and_conditions(tmp_path: Path) -> None:
    source = tmp_path / "cells.v"
    source.write_text(
        "`timescale 1ps / 1ps\n// `define NOTHING\n`define START initial q = 0;\n"
        "`ifndef QUIET\n`define OF(v) = v\n`else\n`define OF(v)\n`endif\n"
        "module m(input a `OF(1'b 0), output reg q);\n`START\n`ifdef QUIET\nwrong\n`endif\nendmodule\n"
    )
    lines = [line.strip() for line in _read(source).splitlines() if line.strip()]
    assert lines == ["module m(input a = 1'b 0, output reg q);", "initial q = 0;", "endmodule"]


def test_an_ice40_s_registers_start_at_0() -> None:
    assert "initial Q = 0;" in models({"SB_DFF"}, ICE40)
