"""Models of each family's blocks against the Verilog from which yosys infers the blocks, on random inputs."""

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from boards.synthesis import netlist_verilog, synthesise
from rtl_gen.families import ECP5, GENERIC, GOWIN, ICE40, Family
from sim.cells import models
from sim.icarus import available
from sim.pyverilator_shim import build_model, open_model

RTL = Path(__file__).parents[2] / "rtl_gen" / "primitives"
#: Families whose blocks are modelled here; those beside the first take a minute each.
FAMILIES = [ECP5, *(pytest.param(family, marks=pytest.mark.long) for family in (GOWIN, GENERIC, ICE40))]


def memories(shapes: Sequence[tuple[int, int]]) -> str:
    """Module `top`: memories with contents, written and read with separate addresses, each with its own output.

    There is one for each width of a block RAM's port.
    """
    ports, bodies = [], []
    for number, (width, depth) in enumerate(shapes):
        ports.append(f"output reg [{width - 1}:0] q{number}")
        bodies.append(
            f'(* ram_style = "block", no_rw_check *) reg [{width - 1}:0] m{number} [0:{depth - 1}];\n'
            f"initial for (i = 0; i < {depth}; i = i + 1) m{number}[i] = (i * {0x9E3779B97F4A7 + number}) >> 7;\n"
            f"always @(posedge clk) begin if (we[{number}]) m{number}[wa % {depth}] <= d;\n"
            f"    if (re) q{number} <= m{number}[ra % {depth}]; end\n"
        )
    return (
        f"module top(input clk, input [{len(shapes) - 1}:0] we, input re, input [13:0] wa, input [13:0] ra,\n"
        f"    input [35:0] d, {', '.join(ports)});\ninteger i;\n{''.join(bodies)}endmodule\n"
    )


def multipliers(bits: int) -> str:
    """Module `top`: two products that are inferred, and one of the registered multiplier."""
    operand, product = f"[{bits - 1}:0]", f"[{2 * bits - 1}:0]"
    return f"""
module top(input clk, input signed {operand} a, input signed {operand} b, output reg signed {product} q0,
           output reg {product} q1, output signed {product} q2);
    always @(posedge clk) begin
        q0 <= a * b;
        q1 <= $unsigned(a) * $unsigned(b);
    end
    qtt_multiplier registered(.clk(clk), .a(a), .b(b), .p(q2));
endmodule
"""


def both(folder: Path, text: str, family: Family, rtl: list[Path], cells: list[Path]) -> tuple[Any, Any, set[str]]:
    """The module as written and as synthesised, and the cells of the latter."""
    source = folder / "rtl" / "top.v"
    source.parent.mkdir()
    source.write_text(text)
    work = folder / "yosys"
    work.mkdir()
    used = set(synthesise([source, *cells], "top", work, family)) - {"$scopeinfo"}
    netlist = folder / "netlist" / "top.v"
    netlist.parent.mkdir()
    netlist_verilog(work, "top").rename(netlist)
    (netlist.parent / "cells.v").write_text(models(used, family))
    quiet = folder / "quiet.vlt"
    files = [source, netlist, netlist.parent / "cells.v", *rtl]
    rules = ("", "-rule WIDTHTRUNC ", "-rule WIDTHEXPAND ")
    quiet.write_text("`verilator_config\n" + "".join(f'lint_off {r}-file "{f}"\n' for f in files for r in rules))
    return (
        open_model(build_model(source, [quiet, *rtl], folder / "rtl_obj")),
        open_model(build_model(netlist, [quiet, netlist.parent / "cells.v"], folder / "netlist_obj")),
        used,
    )


def compare(first: Any, second: Any, cycles: int, drive: Any) -> None:
    outputs = [name for name, _ in first.outputs]
    changed = set()
    for cycle in range(cycles):
        for name, value in drive().items():
            first[name] = second[name] = value
        for clk in (0, 1):
            for model in (first, second):
                model["clk"] = clk
                model.eval()
        for name in outputs:
            assert first[name] == second[name], f"{name} in cycle {cycle}"
            changed |= {name} if first[name] else set()
    assert changed == set(outputs), "an output that is always 0 proves nothing"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_block_rams_of_every_width(tmp_path: Path, family: Family) -> None:
    shapes = family.memory.shapes
    first, second, used = both(tmp_path, memories(shapes), family, [], [])
    assert used & family.netlist.brams.keys()
    chance = random.Random(1)
    recent = [0]

    def drive() -> dict[str, int]:
        # mostly addresses written lately, and never the one that is being written
        wa = chance.randrange(1 << 14)
        ra = chance.choice(recent) if chance.random() < 0.7 else chance.randrange(1 << 14)
        recent.append(wa)
        del recent[:-40]
        we = 0 if (wa - ra) % 256 == 0 else chance.getrandbits(len(shapes))
        return {"we": we, "re": chance.random() < 0.8, "wa": wa, "ra": ra, "d": chance.getrandbits(36)}

    compare(first, second, 4000, drive)


@pytest.mark.parametrize("family", FAMILIES[:-1], ids=lambda family: family.name)
def test_multipliers_inferred_and_registered(tmp_path: Path, family: Family) -> None:
    kind = family.multiplier
    sources = [RTL / kind.simulation], [RTL / kind.verilog]
    first, second, used = both(tmp_path, multipliers(kind.bits), family, *sources)
    assert kind.cell in used
    chance = random.Random(2)
    top = 1 << kind.bits - 1
    edges = (0, 1, top - 1, top, 2 * top - 1)

    def drive() -> dict[str, int]:
        return {
            name: chance.choice(edges) if chance.random() < 0.3 else chance.getrandbits(kind.bits)
            for name in ("a", "b")
        }

    compare(first, second, 4000, drive)


@pytest.mark.skipif(not available(), reason="Icarus Verilog is missing: apt-get install iverilog")
def test_an_ice40_s_multiplier_and_memory_of_one_port(tmp_path: Path) -> None:
    """In Icarus Verilog: Verilator 5.48 ends with an internal error at yosys' model of SB_MAC16 behind pyverilator."""
    behaviour = (RTL / "multiplier_sim_ice40.v").read_text()
    for name in ("multiplier", "single_port"):
        behaviour = behaviour.replace(f"qtt_{name}", "wanted" if name == "multiplier" else f"wanted_{name}")
    cells = models({"SB_MAC16", "SB_SPRAM256KA"}, ICE40)
    (tmp_path / "test.v").write_text(cells + (RTL / "multiplier_ice40.v").read_text() + behaviour + BENCH)
    subprocess.run(["iverilog", "-g2012", "-o", "test", "test.v"], cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "test"], cwd=tmp_path, check=True, capture_output=True, text=True)
    wanted = ["0 wrong of 4000", "0 different, 0 wrong of 65536 pairs", "0 wrong of 3000 reads"]
    assert sorted(done.stdout.splitlines()) == sorted(wanted)


BENCH = """
module bench;
    reg clk = 0;
    reg [15:0] a = 0, b = 0;
    wire [31:0] p, q;
    integer i, wrong = 0;
    qtt_multiplier block(.clk(clk), .a(a), .b(b), .p(p));
    wanted behaviour(.clk(clk), .a(a), .b(b), .p(q));
    initial begin
        for (i = 0; i < 4004; i = i + 1) begin
            a = i % 5 == 0 ? 16'h8000 : i % 5 == 1 ? 16'h7fff : $random;
            b = i % 3 == 0 ? 16'h8000 : i % 7 == 0 ? 16'hffff : $random;
            #1 clk = 1;
            #1 if (i >= 4 && p !== q) wrong = wrong + 1;
            clk = 0;
        end
        $display("%0d wrong of 4000", wrong);
    end
endmodule

module bench_of_memories;
    reg clk = 0, write = 1;
    reg [13:0] address = 0;
    reg [15:0] data = 0;
    wire [15:0] q, wanted;
    integer n, wrong = 0, count = 0;
    qtt_single_port block(clk, address, data, write, q);
    wanted_single_port behaviour(clk, address, data, write, wanted);
    initial begin
        for (n = 0; n < 16384 + 6000; n = n + 1) begin
            write = n < 16384 || n % 2;
            address = n < 16384 ? n : n % 3 ? $random : address;
            data = $random;
            #1 clk = 1;
            #1 if (!write) begin
                count = count + 1;
                if (q !== wanted || ^q === 1'bx) wrong = wrong + 1;
            end
            clk = 0;
        end
        $display("%0d wrong of %0d reads", wrong, count);
    end
endmodule

module bench_of_pairs;
    reg clk = 0;
    reg [15:0] i = 0;
    reg [15:0] earlier;
    reg signed [15:0] product;
    wire [15:0] p0, p1, u0, u1, q0, q1, v0, v1;
    integer n, different = 0, wrong = 0;
    qtt_multiplier_pair #(1'b1) block(clk, i[15:8], i[7:0], i[7:0], ~i[15:8], p0, p1);
    qtt_multiplier_pair #(1'b0) unsigned_block(clk, i[15:8], i[7:0], i[7:0], ~i[15:8], u0, u1);
    wanted_pair #(1'b1) signed_pair(clk, i[15:8], i[7:0], i[7:0], ~i[15:8], q0, q1);
    wanted_pair #(1'b0) unsigned_pair(clk, i[15:8], i[7:0], i[7:0], ~i[15:8], v0, v1);
    initial begin
        #10000 for (n = 0; n <= 65536; n = n + 1) begin
            earlier = i;
            i = n;
            #1 clk = 1;
            #1 if (n > 0) begin
                if ({p0, p1, u0, u1} !== {q0, q1, v0, v1}) different = different + 1;
                product = $signed({1'b0, earlier[15:8]}) * $signed(earlier[7:0]);
                if (v0 !== product) wrong = wrong + 1;
                product = $signed(earlier[15:8]) * $signed(earlier[7:0]);
                if (q0 !== product) wrong = wrong + 1;
            end
            clk = 0;
        end
        $display("%0d different, %0d wrong of 65536 pairs", different, wrong);
    end
endmodule
"""
