"""Behavioural Verilog of the ECP5 blocks that yosys knows only as black boxes: block RAM, multiplier, PLL.

Written from what the blocks are documented to do, for the settings that synthesis uses; a setting that is not modelled
stops the simulation. They are compared with what yosys infers in the tests.
"""

from __future__ import annotations

__all__ = ["block_ram", "multiplier", "pll"]


def _pins(name: str, bits: int) -> str:
    """Scalar pins, the highest first, as in a concatenation."""
    return ", ".join(f"{name}{bit}" for bit in reversed(range(bits)))


def _ram_port(port: str, high: str) -> str:
    """One port: its read latch and, with OUTREG, its output register; both ports read what was there before a write.

    Parameters
    ----------
    port : "A" or "B"
    high : str
        Verilog of the upper 18 bits of a 36-bit word to be written.
    """
    return f"""
    wire clk_{port} = CLK{port}MUX == "INV" ? ~CLK{port} : CLK{port};
    wire [13:0] ad_{port} = {{{_pins(f"AD{port}", 14)}}};
    wire [35:0] di_{port} = {{{high}, {_pins(f"DI{port}", 18)}}};
    reg [35:0] latch_{port} = 0, register_{port} = 0;
    wire [35:0] do_{port} = REGMODE_{port} == "OUTREG" ? register_{port} : latch_{port};
    always @(posedge clk_{port}) begin
        if (OCE{port}) register_{port} <= latch_{port};
        if (CE{port} && (!WE{port} || WRITEMODE_{port} == "READBEFOREWRITE")) case (DATA_WIDTH_{port})
            36: latch_{port} <= {{bytes[{{ad_{port}[13:5], 2'd3}}], bytes[{{ad_{port}[13:5], 2'd2}}],
                                  bytes[{{ad_{port}[13:5], 2'd1}}], bytes[{{ad_{port}[13:5], 2'd0}}]}};
            18: latch_{port} <= {{18'd0, bytes[{{ad_{port}[13:4], 1'd1}}], bytes[{{ad_{port}[13:4], 1'd0}}]}};
            9: latch_{port} <= {{27'd0, bytes[ad_{port}[13:3]]}};
            4: latch_{port} <= {{32'd0, bytes[ad_{port}[13:3]][{{ad_{port}[2], 2'd0}} +: 4]}};
            2: latch_{port} <= {{34'd0, bytes[ad_{port}[13:3]][{{ad_{port}[2:1], 1'd0}} +: 2]}};
            default: latch_{port} <= {{35'd0, bytes[ad_{port}[13:3]][ad_{port}[2:0]]}};
        endcase
        if (CE{port} && WE{port}) case (DATA_WIDTH_{port})
            36: for (n_{port} = 0; n_{port} < 4; n_{port} = n_{port} + 1)
                if (ad_{port}[n_{port}]) bytes[{{ad_{port}[13:5], n_{port}[1:0]}}] <= di_{port}[9 * n_{port} +: 9];
            18: for (n_{port} = 0; n_{port} < 2; n_{port} = n_{port} + 1)
                if (ad_{port}[n_{port}]) bytes[{{ad_{port}[13:4], n_{port}[0]}}] <= di_{port}[9 * n_{port} +: 9];
            9: bytes[ad_{port}[13:3]] <= di_{port}[8:0];
            4: bytes[ad_{port}[13:3]][{{ad_{port}[2], 2'd0}} +: 4] <= di_{port}[3:0];
            2: bytes[ad_{port}[13:3]][{{ad_{port}[2:1], 1'd0}} +: 2] <= di_{port}[1:0];
            default: bytes[ad_{port}[13:3]][ad_{port}[2:0]] <= di_{port}[0];
        endcase
        if (RST{port}) begin
            if (RESETMODE != "SYNC") begin
                $display("DP16KD: an asynchronous reset is not modelled");
                $fatal;
            end
            latch_{port} <= 0;
            register_{port} <= 0;
        end
    end
"""


def block_ram() -> str:
    """DP16KD: 2048 bytes of 9 bits, ports of 1, 2, 4, 9, 18 or 36 bits.

    Widths 1, 2 and 4 leave every ninth bit alone. At width 36 a port uses the data pins of both, the low half on A; at
    18 and 36 the low address pins are byte enables.
    """
    values = ",\n".join(f"    parameter [319:0] INITVAL_{i:02X} = 320'd0" for i in range(64))
    contents = ", ".join(f"INITVAL_{i:02X}" for i in reversed(range(64)))
    ports = ",\n".join(
        f"    input {_pins(f'DI{p}', 18)},\n    input {_pins(f'AD{p}', 14)},\n"
        f"    input CE{p}, OCE{p}, CLK{p}, WE{p}, RST{p}, {_pins(f'CS{p}', 3)},\n    output {_pins(f'DO{p}', 18)}"
        for p in "AB"
    )
    return f"""
module DP16KD #(
    parameter DATA_WIDTH_A = 18, parameter DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG", parameter REGMODE_B = "NOREG",
    parameter RESETMODE = "SYNC", parameter ASYNC_RESET_RELEASE = "SYNC",
    parameter CSDECODE_A = "0b000", parameter CSDECODE_B = "0b000",
    parameter WRITEMODE_A = "NORMAL", parameter WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA", parameter CLKBMUX = "CLKB",
    parameter GSR = "ENABLED", parameter WID = 0, parameter INIT_DATA = "STATIC",
{values}
) (
{ports}
);
    localparam [64*320-1:0] CONTENTS = {{{contents}}};
    reg [8:0] bytes [0:2047];
    integer i;
    initial begin
        if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000" || WRITEMODE_A == "WRITETHROUGH"
            || WRITEMODE_B == "WRITETHROUGH" || (DATA_WIDTH_B == 36 && WEB)) begin
            $display("DP16KD: a setting that is not modelled");
            $fatal;
        end
        for (i = 0; i < 2048; i = i + 1) bytes[i] = CONTENTS[20 * (i / 2) + 9 * (i % 2) +: 9];
    end
    integer n_A, n_B;
{_ram_port("A", _pins("DIB", 18))}{_ram_port("B", "18'd0")}
    // a port of 36 bits drives the data pins of both
    assign {{{_pins("DOA", 18)}}} = DATA_WIDTH_B == 36 ? do_B[17:0] : do_A[17:0];
    assign {{{_pins("DOB", 18)}}} = DATA_WIDTH_B == 36 ? do_B[35:18] : do_B[17:0];
endmodule
"""


def multiplier() -> str:
    """MULT18X18D: P = A * B, signed or not, through the registers that are on; all of them on CLK0, CE0 and RST0."""
    stages = ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
    registers = "\n".join(
        f'    parameter REG_{stage}_CLK = "NONE", parameter REG_{stage}_CE = "CE0", parameter REG_{stage}_RST = "RST0",'
        for stage in (*stages, "INPUTC")
    )
    checks = " || ".join(
        f'(REG_{stage}_CLK != "NONE" && (REG_{stage}_CLK != "CLK0" || REG_{stage}_CE != "CE0"'
        f' || REG_{stage}_RST != "RST0"))'
        for stage in stages
    )
    others = ", ".join(f"CLK{i}, CE{i}, RST{i}" for i in range(4))
    return f"""
module MULT18X18D #(
{registers}
    parameter CLK0_DIV = "ENABLED", parameter CLK1_DIV = "ENABLED", parameter CLK2_DIV = "ENABLED",
    parameter CLK3_DIV = "ENABLED", parameter HIGHSPEED_CLK = "NONE", parameter GSR = "ENABLED",
    parameter CAS_MATCH_REG = "FALSE", parameter SOURCEB_MODE = "B_SHIFT", parameter MULT_BYPASS = "DISABLED",
    parameter RESETMODE = "SYNC"
) (
    input {_pins("A", 18)},
    input {_pins("B", 18)},
    input {_pins("C", 18)},
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, {others},
    output {_pins("P", 36)}
);
    wire signed [18:0] a = {{SIGNEDA & A17, {_pins("A", 18)}}};
    wire signed [18:0] b = {{SIGNEDB & B17, {_pins("B", 18)}}};
    reg signed [18:0] a_q = 0, b_q = 0;
    reg signed [37:0] pipeline_q = 0, output_q = 0;
    wire signed [18:0] a_n = REG_INPUTA_CLK == "NONE" ? a : a_q;
    wire signed [18:0] b_n = REG_INPUTB_CLK == "NONE" ? b : b_q;
    wire signed [37:0] product = a_n * b_n;
    wire signed [37:0] pipeline_n = REG_PIPELINE_CLK == "NONE" ? product : pipeline_q;
    wire signed [37:0] output_n = REG_OUTPUT_CLK == "NONE" ? pipeline_n : output_q;
    assign {{{_pins("P", 36)}}} = output_n[35:0];
    initial if ({checks} || RESETMODE != "SYNC") begin
        $display("MULT18X18D: registers are modelled on CLK0, CE0, RST0 and SYNC only");
        $fatal;
    end
    always @(posedge CLK0) begin
        if (CE0) begin
            a_q <= a;
            b_q <= b;
            pipeline_q <= product;
            output_q <= pipeline_n;
        end
        if (RST0) begin
            a_q <= 0;
            b_q <= 0;
            pipeline_q <= 0;
            output_q <= 0;
        end
    end
endmodule
"""


def pll() -> str:
    """EHXPLLL as a wire: the design's clock is the oscillator's, locked after a few cycles."""
    inputs = "CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP"
    dividers = ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV", "CLKOP_CPHASE", "CLKOP_FPHASE")
    settings = (
        *("CLKOP_ENABLE", "FEEDBK_PATH", "OUTDIVIDER_MUXA", "PLLRST_ENA", "INTFB_WAKE", "STDBY_ENABLE"),
        "DPHASE_SOURCE",
    )
    parameters = ", ".join([*(f"parameter {n} = 1" for n in dividers), *(f'parameter {n} = ""' for n in settings)])
    return f"""
module EHXPLLL #({parameters}) (input {inputs}, output CLKOP, output LOCK);
    reg [2:0] count = 0;
    assign CLKOP = CLKI;
    assign LOCK = &count;
    always @(posedge CLKI) if (!LOCK) count <= count + 1;
endmodule
"""
