// Behaviour of the ECP5 blocks that yosys knows only as black boxes: block RAM, multiplier, PLL.
// Written from what the blocks are documented to do, for the settings that synthesis uses; a setting that is not
// modelled stops the simulation. They are compared with what yosys infers in the tests.
//
// DP16KD: 2048 bytes of 9 bits, ports of 1, 2, 4, 9, 18 or 36 bits. Widths 1, 2 and 4 leave every ninth bit alone. At
// width 36 a port uses the data pins of both, the low half on A; at 18 and 36 the low address pins are byte enables.
// Both ports read what was there before a write.
module DP16KD #(
    parameter DATA_WIDTH_A = 18, parameter DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG", parameter REGMODE_B = "NOREG",
    parameter RESETMODE = "SYNC", parameter ASYNC_RESET_RELEASE = "SYNC",
    parameter CSDECODE_A = "0b000", parameter CSDECODE_B = "0b000",
    parameter WRITEMODE_A = "NORMAL", parameter WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA", parameter CLKBMUX = "CLKB",
    parameter GSR = "ENABLED", parameter WID = 0, parameter INIT_DATA = "STATIC",
    parameter [319:0] INITVAL_00 = 320'd0,
    parameter [319:0] INITVAL_01 = 320'd0,
    parameter [319:0] INITVAL_02 = 320'd0,
    parameter [319:0] INITVAL_03 = 320'd0,
    parameter [319:0] INITVAL_04 = 320'd0,
    parameter [319:0] INITVAL_05 = 320'd0,
    parameter [319:0] INITVAL_06 = 320'd0,
    parameter [319:0] INITVAL_07 = 320'd0,
    parameter [319:0] INITVAL_08 = 320'd0,
    parameter [319:0] INITVAL_09 = 320'd0,
    parameter [319:0] INITVAL_0A = 320'd0,
    parameter [319:0] INITVAL_0B = 320'd0,
    parameter [319:0] INITVAL_0C = 320'd0,
    parameter [319:0] INITVAL_0D = 320'd0,
    parameter [319:0] INITVAL_0E = 320'd0,
    parameter [319:0] INITVAL_0F = 320'd0,
    parameter [319:0] INITVAL_10 = 320'd0,
    parameter [319:0] INITVAL_11 = 320'd0,
    parameter [319:0] INITVAL_12 = 320'd0,
    parameter [319:0] INITVAL_13 = 320'd0,
    parameter [319:0] INITVAL_14 = 320'd0,
    parameter [319:0] INITVAL_15 = 320'd0,
    parameter [319:0] INITVAL_16 = 320'd0,
    parameter [319:0] INITVAL_17 = 320'd0,
    parameter [319:0] INITVAL_18 = 320'd0,
    parameter [319:0] INITVAL_19 = 320'd0,
    parameter [319:0] INITVAL_1A = 320'd0,
    parameter [319:0] INITVAL_1B = 320'd0,
    parameter [319:0] INITVAL_1C = 320'd0,
    parameter [319:0] INITVAL_1D = 320'd0,
    parameter [319:0] INITVAL_1E = 320'd0,
    parameter [319:0] INITVAL_1F = 320'd0,
    parameter [319:0] INITVAL_20 = 320'd0,
    parameter [319:0] INITVAL_21 = 320'd0,
    parameter [319:0] INITVAL_22 = 320'd0,
    parameter [319:0] INITVAL_23 = 320'd0,
    parameter [319:0] INITVAL_24 = 320'd0,
    parameter [319:0] INITVAL_25 = 320'd0,
    parameter [319:0] INITVAL_26 = 320'd0,
    parameter [319:0] INITVAL_27 = 320'd0,
    parameter [319:0] INITVAL_28 = 320'd0,
    parameter [319:0] INITVAL_29 = 320'd0,
    parameter [319:0] INITVAL_2A = 320'd0,
    parameter [319:0] INITVAL_2B = 320'd0,
    parameter [319:0] INITVAL_2C = 320'd0,
    parameter [319:0] INITVAL_2D = 320'd0,
    parameter [319:0] INITVAL_2E = 320'd0,
    parameter [319:0] INITVAL_2F = 320'd0,
    parameter [319:0] INITVAL_30 = 320'd0,
    parameter [319:0] INITVAL_31 = 320'd0,
    parameter [319:0] INITVAL_32 = 320'd0,
    parameter [319:0] INITVAL_33 = 320'd0,
    parameter [319:0] INITVAL_34 = 320'd0,
    parameter [319:0] INITVAL_35 = 320'd0,
    parameter [319:0] INITVAL_36 = 320'd0,
    parameter [319:0] INITVAL_37 = 320'd0,
    parameter [319:0] INITVAL_38 = 320'd0,
    parameter [319:0] INITVAL_39 = 320'd0,
    parameter [319:0] INITVAL_3A = 320'd0,
    parameter [319:0] INITVAL_3B = 320'd0,
    parameter [319:0] INITVAL_3C = 320'd0,
    parameter [319:0] INITVAL_3D = 320'd0,
    parameter [319:0] INITVAL_3E = 320'd0,
    parameter [319:0] INITVAL_3F = 320'd0
) (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
    localparam [64*320-1:0] CONTENTS = {INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00};
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

    wire clk_A = CLKAMUX == "INV" ? ~CLKA : CLKA;
    wire [13:0] ad_A = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [35:0] di_A = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0, DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    reg [35:0] latch_A = 0, register_A = 0;
    wire [35:0] do_A = REGMODE_A == "OUTREG" ? register_A : latch_A;
    always @(posedge clk_A) begin
        if (OCEA) register_A <= latch_A;
        if (CEA && (!WEA || WRITEMODE_A == "READBEFOREWRITE")) case (DATA_WIDTH_A)
            36: latch_A <= {bytes[{ad_A[13:5], 2'd3}], bytes[{ad_A[13:5], 2'd2}],
                                  bytes[{ad_A[13:5], 2'd1}], bytes[{ad_A[13:5], 2'd0}]};
            18: latch_A <= {18'd0, bytes[{ad_A[13:4], 1'd1}], bytes[{ad_A[13:4], 1'd0}]};
            9: latch_A <= {27'd0, bytes[ad_A[13:3]]};
            4: latch_A <= {32'd0, bytes[ad_A[13:3]][{ad_A[2], 2'd0} +: 4]};
            2: latch_A <= {34'd0, bytes[ad_A[13:3]][{ad_A[2:1], 1'd0} +: 2]};
            default: latch_A <= {35'd0, bytes[ad_A[13:3]][ad_A[2:0]]};
        endcase
        if (CEA && WEA) case (DATA_WIDTH_A)
            36: for (n_A = 0; n_A < 4; n_A = n_A + 1)
                if (ad_A[n_A]) bytes[{ad_A[13:5], n_A[1:0]}] <= di_A[9 * n_A +: 9];
            18: for (n_A = 0; n_A < 2; n_A = n_A + 1)
                if (ad_A[n_A]) bytes[{ad_A[13:4], n_A[0]}] <= di_A[9 * n_A +: 9];
            9: bytes[ad_A[13:3]] <= di_A[8:0];
            4: bytes[ad_A[13:3]][{ad_A[2], 2'd0} +: 4] <= di_A[3:0];
            2: bytes[ad_A[13:3]][{ad_A[2:1], 1'd0} +: 2] <= di_A[1:0];
            default: bytes[ad_A[13:3]][ad_A[2:0]] <= di_A[0];
        endcase
        if (RSTA) begin
            if (RESETMODE != "SYNC") begin
                $display("DP16KD: an asynchronous reset is not modelled");
                $fatal;
            end
            latch_A <= 0;
            register_A <= 0;
        end
    end

    wire clk_B = CLKBMUX == "INV" ? ~CLKB : CLKB;
    wire [13:0] ad_B = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [35:0] di_B = {18'd0, DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
    reg [35:0] latch_B = 0, register_B = 0;
    wire [35:0] do_B = REGMODE_B == "OUTREG" ? register_B : latch_B;
    always @(posedge clk_B) begin
        if (OCEB) register_B <= latch_B;
        if (CEB && (!WEB || WRITEMODE_B == "READBEFOREWRITE")) case (DATA_WIDTH_B)
            36: latch_B <= {bytes[{ad_B[13:5], 2'd3}], bytes[{ad_B[13:5], 2'd2}],
                                  bytes[{ad_B[13:5], 2'd1}], bytes[{ad_B[13:5], 2'd0}]};
            18: latch_B <= {18'd0, bytes[{ad_B[13:4], 1'd1}], bytes[{ad_B[13:4], 1'd0}]};
            9: latch_B <= {27'd0, bytes[ad_B[13:3]]};
            4: latch_B <= {32'd0, bytes[ad_B[13:3]][{ad_B[2], 2'd0} +: 4]};
            2: latch_B <= {34'd0, bytes[ad_B[13:3]][{ad_B[2:1], 1'd0} +: 2]};
            default: latch_B <= {35'd0, bytes[ad_B[13:3]][ad_B[2:0]]};
        endcase
        if (CEB && WEB) case (DATA_WIDTH_B)
            36: for (n_B = 0; n_B < 4; n_B = n_B + 1)
                if (ad_B[n_B]) bytes[{ad_B[13:5], n_B[1:0]}] <= di_B[9 * n_B +: 9];
            18: for (n_B = 0; n_B < 2; n_B = n_B + 1)
                if (ad_B[n_B]) bytes[{ad_B[13:4], n_B[0]}] <= di_B[9 * n_B +: 9];
            9: bytes[ad_B[13:3]] <= di_B[8:0];
            4: bytes[ad_B[13:3]][{ad_B[2], 2'd0} +: 4] <= di_B[3:0];
            2: bytes[ad_B[13:3]][{ad_B[2:1], 1'd0} +: 2] <= di_B[1:0];
            default: bytes[ad_B[13:3]][ad_B[2:0]] <= di_B[0];
        endcase
        if (RSTB) begin
            if (RESETMODE != "SYNC") begin
                $display("DP16KD: an asynchronous reset is not modelled");
                $fatal;
            end
            latch_B <= 0;
            register_B <= 0;
        end
    end

    // a port of 36 bits drives the data pins of both
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? do_B[17:0] : do_A[17:0];
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? do_B[35:18] : do_B[17:0];
endmodule

// MULT18X18D: P = A * B, signed or not, through the registers that are on; all of them on CLK0, CE0 and RST0.
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE", parameter REG_INPUTA_CE = "CE0", parameter REG_INPUTA_RST = "RST0",
    parameter REG_INPUTB_CLK = "NONE", parameter REG_INPUTB_CE = "CE0", parameter REG_INPUTB_RST = "RST0",
    parameter REG_PIPELINE_CLK = "NONE", parameter REG_PIPELINE_CE = "CE0", parameter REG_PIPELINE_RST = "RST0",
    parameter REG_OUTPUT_CLK = "NONE", parameter REG_OUTPUT_CE = "CE0", parameter REG_OUTPUT_RST = "RST0",
    parameter REG_INPUTC_CLK = "NONE", parameter REG_INPUTC_CE = "CE0", parameter REG_INPUTC_RST = "RST0",
    parameter CLK0_DIV = "ENABLED", parameter CLK1_DIV = "ENABLED", parameter CLK2_DIV = "ENABLED",
    parameter CLK3_DIV = "ENABLED", parameter HIGHSPEED_CLK = "NONE", parameter GSR = "ENABLED",
    parameter CAS_MATCH_REG = "FALSE", parameter SOURCEB_MODE = "B_SHIFT", parameter MULT_BYPASS = "DISABLED",
    parameter RESETMODE = "SYNC"
) (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0, CLK1, CE1, RST1, CLK2, CE2, RST2, CLK3, CE3, RST3,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    wire signed [18:0] a = {SIGNEDA & A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire signed [18:0] b = {SIGNEDB & B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
    reg signed [18:0] a_q = 0, b_q = 0;
    reg signed [37:0] pipeline_q = 0, output_q = 0;
    wire signed [18:0] a_n = REG_INPUTA_CLK == "NONE" ? a : a_q;
    wire signed [18:0] b_n = REG_INPUTB_CLK == "NONE" ? b : b_q;
    wire signed [37:0] product = a_n * b_n;
    wire signed [37:0] pipeline_n = REG_PIPELINE_CLK == "NONE" ? product : pipeline_q;
    wire signed [37:0] output_n = REG_OUTPUT_CLK == "NONE" ? pipeline_n : output_q;
    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = output_n[35:0];
    initial if ((REG_INPUTA_CLK != "NONE" && (REG_INPUTA_CLK != "CLK0" || REG_INPUTA_CE != "CE0" || REG_INPUTA_RST != "RST0")) || (REG_INPUTB_CLK != "NONE" && (REG_INPUTB_CLK != "CLK0" || REG_INPUTB_CE != "CE0" || REG_INPUTB_RST != "RST0")) || (REG_PIPELINE_CLK != "NONE" && (REG_PIPELINE_CLK != "CLK0" || REG_PIPELINE_CE != "CE0" || REG_PIPELINE_RST != "RST0")) || (REG_OUTPUT_CLK != "NONE" && (REG_OUTPUT_CLK != "CLK0" || REG_OUTPUT_CE != "CE0" || REG_OUTPUT_RST != "RST0")) || RESETMODE != "SYNC") begin
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

// EHXPLLL as a wire: the design's clock is the oscillator's, locked after a few cycles.
module EHXPLLL #(parameter CLKI_DIV = 1, parameter CLKFB_DIV = 1, parameter CLKOP_DIV = 1, parameter CLKOP_CPHASE = 1, parameter CLKOP_FPHASE = 1, parameter CLKOP_ENABLE = "", parameter FEEDBK_PATH = "", parameter OUTDIVIDER_MUXA = "", parameter PLLRST_ENA = "", parameter INTFB_WAKE = "", parameter STDBY_ENABLE = "", parameter DPHASE_SOURCE = "") (input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP, output CLKOP, output LOCK);
    reg [2:0] count = 0;
    assign CLKOP = CLKI;
    assign LOCK = &count;
    always @(posedge CLKI) if (!LOCK) count <= count + 1;
endmodule

// Of a placed design, in the place of yosys' model, which has no carry output: half a slice, that is a LUT, a bit of a
// carry chain, or a bit of a LUT RAM; and the multiplexer behind it, of two LUTs or of two such multiplexers.
module TRELLIS_COMB #(
    parameter MODE = "LOGIC", parameter [15:0] INITVAL = 16'h0, parameter CCU2_INJECT1 = "NO",
    parameter WREMUX = "WRE", parameter WCKMUX = "WCK", parameter IS_Z1 = 1'b0
) (
    input A, B, C, D, M, FCI, F1, FXA, FXB, WD, WAD0, WAD1, WAD2, WAD3, WRE, WCK, DI0, DI1,
    output F, FCO, OFX
);
    wire four = INITVAL[{D, C, B, A}];
    generate
        if (MODE == "DPRAM") begin: ram
            reg [15:0] bits = INITVAL;
            always @(posedge WCK) if (WRE) bits[{WAD3, WAD2, WAD1, WAD0}] <= WD;
            assign F = bits[{A, C, B, D}];
            assign FCO = 1'b0;
            initial if (WREMUX != "WRE" || WCKMUX != "WCK") begin
                $display("TRELLIS_COMB: WREMUX or WCKMUX is not modelled");
                $finish;
            end
        end else if (MODE == "CCU2") begin: carry
            wire injected = CCU2_INJECT1 == "YES";
            wire two = INITVAL[{2'b00, B, A}];
            assign F = four ^ (injected ? 1'b0 : FCI);
            assign FCO = four ? FCI : injected ? 1'b0 : two;
        end else begin: lut
            assign F = four;
            assign FCO = 1'b0;
        end
    endgenerate
    assign OFX = IS_Z1 ? (M ? FXB : FXA) : (M ? F1 : F);
endmodule

// The address and data that a LUT RAM is written with pass through a slice of their own.
module TRELLIS_RAMW (
    input A0, B0, C0, D0, A1, B1, C1, D1,
    output WDO0, WDO1, WDO2, WDO3, WADO0, WADO1, WADO2, WADO3
);
    assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
    assign {WDO3, WDO2, WDO1, WDO0} = {B1, D1, A1, C1};
endmodule
