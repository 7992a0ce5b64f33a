"""A hand-written BUILD of a two-stage network: small enough to be read, and to be broken in one place at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph
from qtt_hw.graph.file import save
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.families import device
from rtl_gen.plan.plan import save_plan
from rtl_gen.plan.search import plan

SHAPE = (1, 2, 3, 3)
POSITIONS = 6
LANES = 3
POINT = np.array([[3, -2, 7], [-5, 1, 4]])
HEAD = np.arange(2 * POSITIONS * 2).reshape(2, POSITIONS, 2) % 13 - 6


@dataclass(frozen=True)
class Design:
    """The Verilog's choices; each one that is not the default is a fault, but for taps."""

    taps: bool = True
    point: tuple[tuple[int, ...], ...] = tuple(tuple(row) for row in POINT.tolist())
    shift: int = 2
    swap: bool = False  # the two outputs of the point stage
    hang_at: int = -1  # sample that never comes out
    fickle: bool = False  # the output changes while it waits
    lose: int = -1  # input word that is taken and dropped
    repeat: bool = False  # an output word too much after each sample
    rules: bool = False  # the first word's low lane says which rule is broken: MODES
    unset: bool = False  # a register that nothing sets changes a logit
    peeking: bool = False  # so does the payload before it is valid for the first time
    chatty: bool = False  # prints, and not whole lines
    extra_wait: int = 0
    late_at: int = -1  # sample that comes a cycle later


#: What `Design.rules` breaks, by the first integer of the first sample.
MODES = ("none", "fell", "changed", "deadlock", "surplus", "left")


def graph() -> Graph:
    """1x1x1 contraction 3 -> 2, requantised by 2 to 8 bits, then the whole volume to 2 logits of 16 bits."""
    spec = input_spec(SHAPE, format=Format(4, True, 0))
    point = Contraction(
        "point",
        (INPUT,),
        "net.0",
        Window(),
        as_integers(POINT.reshape(2, 1, 1, 1, 3)),
        Format(4, True, 0, narrow=True),
        Requantizer(Format(8, True, -2), 2),
    )
    head = Contraction(
        "head",
        ("point",),
        "net.1",
        Window(kernel=SHAPE[:3]),
        as_integers(HEAD.reshape(2, *SHAPE[:3], 2)),
        Format(4, True, 0, narrow=True),
        Requantizer(Format(16, True, -2), 0),
    )
    return Graph("small", spec, (point, head), ("left", "right"))


def verilog(design: Design) -> str:
    """Takes a word a cycle, then puts out two logits and the argmax: 10 cycles a sample."""
    rows = [" + ".join(f"({w}) * x{lane}" for lane, w in enumerate(row)) for row in design.point]
    heads = "\n".join(
        f"            {p}: begin h0 = ({HEAD[0, p, 0]}) * y0 + ({HEAD[0, p, 1]}) * y1;"
        f" h1 = ({HEAD[1, p, 0]}) * y0 + ({HEAD[1, p, 1]}) * y1; end"
        for p in range(POSITIONS)
    )
    y0, y1 = ("y1", "y0") if design.swap else ("y0", "y1")
    half = 1 << design.shift >> 1
    tap_ports = ", output reg tap_point__strobe, output reg [15:0] tap_point__payload" if design.taps else ""
    tap_code = (
        "tap_point__strobe <= take && !rst; tap_point__payload <= {" + y1 + "[7:0], " + y0 + "[7:0]};"
        if design.taps
        else ""
    )
    fickle = "{16'd0, ^age}" if design.fickle else "17'd0"
    words = f"3 + {int(design.repeat)}"
    broken = [f"mode == 4'd{number}" if design.rules else "1'b0" for number in range(len(MODES))]
    chatter = "$write(\"qtt %c%c samples done: 7\", 8'd0, 8'd255);" if design.chatty else ""
    return f"""
module qtt_top(input clk, input rst, input [11:0] i__payload, input i__valid, output i__ready,
               output [16:0] o__payload, output o__valid, input o__ready{tap_ports});
    wire signed [31:0] x0 = $signed(i__payload[3:0]);
    wire signed [31:0] x1 = $signed(i__payload[7:4]);
    wire signed [31:0] x2 = $signed(i__payload[11:8]);
    wire signed [31:0] a0 = ({rows[0]} + {half}) >>> {design.shift};
    wire signed [31:0] a1 = ({rows[1]} + {half}) >>> {design.shift};
    wire signed [31:0] y0 = a0 > 127 ? 127 : a0 < -128 ? -128 : a0;
    wire signed [31:0] y1 = a1 > 127 ? 127 : a1 < -128 ? -128 : a1;
    reg signed [31:0] h0, h1, s0, s1;
    reg [7:0] position, word, wait_count;
    reg [31:0] sample, taken;
    reg [3:0] age;
    reg out;
    wire take = i__valid && i__ready;
    wire [7:0] wait_for = {design.extra_wait} + (sample == {design.late_at});
    wire lost = taken == {design.lose};
    reg [3:0] mode;
    reg unset, peeked;
    assign i__ready = !out && !({broken[5]} && sample == 1);
    assign o__valid = out && wait_count == wait_for && sample != {design.hang_at}
        && !({broken[1]} && age[0]) && !({broken[3]} && sample == 2);
    assign o__payload = (word == 0 ? {{1'b0, s0[15:0]}} : word == 1 ? {{1'b0, s1[15:0]}} : {{16'h8000, s1 > s0}})
        ^ {fickle} ^ {{16'd0, {broken[2]} && ^age}}
        ^ {{16'd0, {"unset" if design.unset else "1'b0"}}} ^ {{16'd0, {"peeked" if design.peeking else "1'b0"}}};
    always @(*) begin
        h0 = 0; h1 = 0;
        case (position)
{heads}
        endcase
    end
    always @(posedge clk) begin
        {tap_code}
        age <= age + 1;
        if (take && sample == 0 && position == 0) mode <= i__payload[3:0];
        peeked <= !rst && (peeked ^ (!i__valid && taken == 0 && i__payload[0]));
        if (take) begin {chatter} end
        if (rst) begin
            position <= 0; word <= 0; sample <= 0; taken <= 0; out <= 0; s0 <= 0; s1 <= 0; age <= 0; wait_count <= 0;
        end else if (take) begin
            taken <= taken + 1;
            if (!lost) begin
                s0 <= s0 + h0;
                s1 <= s1 + h1;
                position <= position + 1;
                if (position == {POSITIONS} - 1 - ({broken[5]} ? 1 : 0)) begin
                    out <= 1; position <= 0; wait_count <= 0;
                end
            end
        end else if (out && wait_count != wait_for) begin
            wait_count <= wait_count + 1;
        end else if (o__valid && o__ready) begin
            word <= word + 1;
            if (word == {words} - 1 + ({broken[4]} ? 1 : 0)) begin
                word <= 0; out <= 0; s0 <= 0; s1 <= 0; sample <= sample + 1;
            end
        end
    end
endmodule
"""


class SmallBuild:
    """Writes BUILD folders of the network."""

    graph = staticmethod(graph)
    shape = SHAPE
    design = Design()

    def __init__(self, root: Path):
        self._root = root

    def __call__(self, **faults: object) -> Path:
        """A BUILD folder of the design with the named faults; the same faults give the same folder."""
        design = replace(self.design, **faults)  # type: ignore[arg-type]
        name = "-".join(f"{key}{value}" for key, value in faults.items()) or "sound"
        build = self._root / "".join(c if c.isalnum() or c == "-" else "_" for c in name)
        if build.is_dir():
            return build
        build.mkdir()
        (build / "design.v").write_text(verilog(design), encoding="utf-8")
        digest = save(graph(), build / "model.qtt")
        tap = {"stage": "point", "strobe": "tap_point__strobe", "payload": "tap_point__payload"}
        manifest = {
            "version": 2,
            "name": "small",
            "top": "qtt_top",
            "sources": {"simulation": ["design.v"], "ecp5": ["design.v"]},
            "model": "model.qtt",
            "digest": digest,
            "plan": "plan.json",
            "input": {"lanes": LANES, "lane_bits": 4, "signed": True, "words": POSITIONS},
            "output": {"value_bits": 16, "words": 3},
            "taps": [{**tap, "lanes": 2, "lane_bits": 8, "signed": True, "words": POSITIONS}] if design.taps else [],
            "predicted": {"ends": [POSITIONS + 2], "intervals": [POSITIONS + 3]},
        }
        save_plan(plan(graph(), device("ecp5-85f"), fps=1000), build / "plan.json")  # of the like, that boards hold
        (build / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return build

    def samples(self, count: int, seed: int = 0) -> np.ndarray:
        """int64 [count, 1, 2, 3, 3] in the input's format."""
        return np.random.default_rng(seed).integers(-8, 8, (count, *SHAPE))


@pytest.fixture(scope="session")
def small_build(tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    return SmallBuild(tmp_path_factory.mktemp("small"))
