// Behaviour of the Gowin blocks that yosys knows only as black boxes: block RAM, multiplier, PLL.
// Written from what the blocks are documented to do, for the settings that synthesis uses; a setting that is not
// modelled stops the simulation. They are compared with what yosys infers in the tests.
//
// A block RAM is 2048 bytes of 8 bits, or of 9 in the blocks with an X9 in their name. Ports are 1, 2, 4 bits, or 1, 2
// or 4 bytes wide; of ports of several bytes the low address pins enable the writing of each.
module gowin_bsram_port #(
    parameter BYTE = 8, parameter WIDTH = 8, parameter READ_MODE = 0, parameter WRITE_MODE = 0
) (
    input CLK, input CE, input WRE, input OCE, input RESET, input [35:0] OLD, input [35:0] NEW, output [35:0] DO
);
    reg [35:0] latch = 0, register = 0;
    assign DO = READ_MODE ? register : latch;
    always @(posedge CLK) begin
        if (OCE) register <= latch;
        if (CE && (!WRE || WRITE_MODE == 2)) latch <= OLD;
        if (CE && WRE && WRITE_MODE == 1) latch <= NEW;
        if (RESET) begin
            latch <= 0;
            register <= 0;
        end
    end
endmodule

module gowin_bsram #(
    parameter BYTE = 8, parameter [64*32*9-1:0] INIT = 0,
    parameter WIDTH_A = 8, parameter READ_MODE_A = 0, parameter WRITE_MODE_A = 0,
    parameter WIDTH_B = 8, parameter READ_MODE_B = 0, parameter WRITE_MODE_B = 0
) (
    input CLKA, input CEA, input WREA, input OCEA, input RESETA, input [13:0] ADA, input [35:0] DIA, output [35:0] DOA,
    input CLKB, input CEB, input WREB, input OCEB, input RESETB, input [13:0] ADB, input [35:0] DIB, output [35:0] DOB
);
    reg [BYTE-1:0] bytes [0:2047];
    integer i;
    initial for (i = 0; i < 2048; i = i + 1) bytes[i] = INIT[BYTE * i +: BYTE];

    function [35:0] read(input integer width, input [13:0] ad);
        case (width / BYTE)
            4: read = {bytes[{ad[13:5], 2'd3}], bytes[{ad[13:5], 2'd2}], bytes[{ad[13:5], 2'd1}], bytes[{ad[13:5], 2'd0}]};
            2: read = {bytes[{ad[13:4], 1'd1}], bytes[{ad[13:4], 1'd0}]};
            1: read = bytes[ad[13:3]];
            default: case (width)
                4: read = bytes[ad[13:3]][{ad[2], 2'd0} +: 4];
                2: read = bytes[ad[13:3]][{ad[2:1], 1'd0} +: 2];
                default: read = bytes[ad[13:3]][ad[2:0]];
            endcase
        endcase
    endfunction

    integer n_a, n_b;
    always @(posedge CLKA) if (CEA && WREA) case (WIDTH_A / BYTE)
        4: for (n_a = 0; n_a < 4; n_a = n_a + 1)
            if (ADA[n_a]) bytes[{ADA[13:5], n_a[1:0]}] <= DIA[BYTE * n_a +: BYTE];
        2: for (n_a = 0; n_a < 2; n_a = n_a + 1)
            if (ADA[n_a]) bytes[{ADA[13:4], n_a[0]}] <= DIA[BYTE * n_a +: BYTE];
        1: bytes[ADA[13:3]] <= DIA[BYTE-1:0];
        default: case (WIDTH_A)
            4: bytes[ADA[13:3]][{ADA[2], 2'd0} +: 4] <= DIA[3:0];
            2: bytes[ADA[13:3]][{ADA[2:1], 1'd0} +: 2] <= DIA[1:0];
            default: bytes[ADA[13:3]][ADA[2:0]] <= DIA[0];
        endcase
    endcase
    gowin_bsram_port #(.BYTE(BYTE), .WIDTH(WIDTH_A), .READ_MODE(READ_MODE_A), .WRITE_MODE(WRITE_MODE_A)) port_a (
        .CLK(CLKA), .CE(CEA), .WRE(WREA), .OCE(OCEA), .RESET(RESETA),
        .OLD(read(WIDTH_A, ADA)), .NEW(DIA), .DO(DOA)
    );
    always @(posedge CLKB) if (CEB && WREB) case (WIDTH_B / BYTE)
        4: for (n_b = 0; n_b < 4; n_b = n_b + 1)
            if (ADB[n_b]) bytes[{ADB[13:5], n_b[1:0]}] <= DIB[BYTE * n_b +: BYTE];
        2: for (n_b = 0; n_b < 2; n_b = n_b + 1)
            if (ADB[n_b]) bytes[{ADB[13:4], n_b[0]}] <= DIB[BYTE * n_b +: BYTE];
        1: bytes[ADB[13:3]] <= DIB[BYTE-1:0];
        default: case (WIDTH_B)
            4: bytes[ADB[13:3]][{ADB[2], 2'd0} +: 4] <= DIB[3:0];
            2: bytes[ADB[13:3]][{ADB[2:1], 1'd0} +: 2] <= DIB[1:0];
            default: bytes[ADB[13:3]][ADB[2:0]] <= DIB[0];
        endcase
    endcase
    gowin_bsram_port #(.BYTE(BYTE), .WIDTH(WIDTH_B), .READ_MODE(READ_MODE_B), .WRITE_MODE(WRITE_MODE_B)) port_b (
        .CLK(CLKB), .CE(CEB), .WRE(WREB), .OCE(OCEB), .RESET(RESETB),
        .OLD(read(WIDTH_B, ADB)), .NEW(DIB), .DO(DOB)
    );
    initial if (READ_MODE_A > 1 || READ_MODE_B > 1) begin
        $display("a block RAM's setting that is not modelled");
        $fatal;
    end
endmodule

module SP #(
    parameter READ_MODE = 1'b0, parameter WRITE_MODE = 2'b00, parameter BIT_WIDTH = 32, parameter BLK_SEL = 3'b000,
    parameter RESET_MODE = "SYNC",
    parameter [255:0] INIT_RAM_00 = 0, parameter [255:0] INIT_RAM_01 = 0,
    parameter [255:0] INIT_RAM_02 = 0, parameter [255:0] INIT_RAM_03 = 0,
    parameter [255:0] INIT_RAM_04 = 0, parameter [255:0] INIT_RAM_05 = 0,
    parameter [255:0] INIT_RAM_06 = 0, parameter [255:0] INIT_RAM_07 = 0,
    parameter [255:0] INIT_RAM_08 = 0, parameter [255:0] INIT_RAM_09 = 0,
    parameter [255:0] INIT_RAM_0A = 0, parameter [255:0] INIT_RAM_0B = 0,
    parameter [255:0] INIT_RAM_0C = 0, parameter [255:0] INIT_RAM_0D = 0,
    parameter [255:0] INIT_RAM_0E = 0, parameter [255:0] INIT_RAM_0F = 0,
    parameter [255:0] INIT_RAM_10 = 0, parameter [255:0] INIT_RAM_11 = 0,
    parameter [255:0] INIT_RAM_12 = 0, parameter [255:0] INIT_RAM_13 = 0,
    parameter [255:0] INIT_RAM_14 = 0, parameter [255:0] INIT_RAM_15 = 0,
    parameter [255:0] INIT_RAM_16 = 0, parameter [255:0] INIT_RAM_17 = 0,
    parameter [255:0] INIT_RAM_18 = 0, parameter [255:0] INIT_RAM_19 = 0,
    parameter [255:0] INIT_RAM_1A = 0, parameter [255:0] INIT_RAM_1B = 0,
    parameter [255:0] INIT_RAM_1C = 0, parameter [255:0] INIT_RAM_1D = 0,
    parameter [255:0] INIT_RAM_1E = 0, parameter [255:0] INIT_RAM_1F = 0,
    parameter [255:0] INIT_RAM_20 = 0, parameter [255:0] INIT_RAM_21 = 0,
    parameter [255:0] INIT_RAM_22 = 0, parameter [255:0] INIT_RAM_23 = 0,
    parameter [255:0] INIT_RAM_24 = 0, parameter [255:0] INIT_RAM_25 = 0,
    parameter [255:0] INIT_RAM_26 = 0, parameter [255:0] INIT_RAM_27 = 0,
    parameter [255:0] INIT_RAM_28 = 0, parameter [255:0] INIT_RAM_29 = 0,
    parameter [255:0] INIT_RAM_2A = 0, parameter [255:0] INIT_RAM_2B = 0,
    parameter [255:0] INIT_RAM_2C = 0, parameter [255:0] INIT_RAM_2D = 0,
    parameter [255:0] INIT_RAM_2E = 0, parameter [255:0] INIT_RAM_2F = 0,
    parameter [255:0] INIT_RAM_30 = 0, parameter [255:0] INIT_RAM_31 = 0,
    parameter [255:0] INIT_RAM_32 = 0, parameter [255:0] INIT_RAM_33 = 0,
    parameter [255:0] INIT_RAM_34 = 0, parameter [255:0] INIT_RAM_35 = 0,
    parameter [255:0] INIT_RAM_36 = 0, parameter [255:0] INIT_RAM_37 = 0,
    parameter [255:0] INIT_RAM_38 = 0, parameter [255:0] INIT_RAM_39 = 0,
    parameter [255:0] INIT_RAM_3A = 0, parameter [255:0] INIT_RAM_3B = 0,
    parameter [255:0] INIT_RAM_3C = 0, parameter [255:0] INIT_RAM_3D = 0,
    parameter [255:0] INIT_RAM_3E = 0, parameter [255:0] INIT_RAM_3F = 0
) (
    output [31:0] DO, input [31:0] DI, input [2:0] BLKSEL, input [13:0] AD, input WRE, CLK, CE, OCE, RESET
);
    localparam [64*256-1:0] CONTENTS = {
        INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
        INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
        INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
        INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
        INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
        INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
        INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
        INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
        INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
        INIT_RAM_00
    };
    wire [35:0] word;
    assign DO = word[31:0];
    gowin_bsram #(
        .BYTE(8), .INIT(CONTENTS), .WIDTH_A(BIT_WIDTH), .READ_MODE_A(READ_MODE), .WRITE_MODE_A(WRITE_MODE)
    ) block (
        .CLKA(CLK), .CEA(CE && BLKSEL == BLK_SEL), .WREA(WRE), .OCEA(OCE), .RESETA(RESET), .ADA(AD), .DIA({4'd0, DI}),
        .DOA(word), .CLKB(1'b0), .CEB(1'b0), .WREB(1'b0), .OCEB(1'b0), .RESETB(1'b0), .ADB(14'd0), .DIB(36'd0), .DOB()
    );
endmodule

module DPB #(
    parameter READ_MODE0 = 1'b0, parameter READ_MODE1 = 1'b0, parameter WRITE_MODE0 = 2'b00, parameter WRITE_MODE1 = 2'b00,
    parameter BIT_WIDTH_0 = 16, parameter BIT_WIDTH_1 = 16, parameter BLK_SEL_0 = 3'b000, parameter BLK_SEL_1 = 3'b000,
    parameter RESET_MODE = "SYNC",
    parameter [255:0] INIT_RAM_00 = 0, parameter [255:0] INIT_RAM_01 = 0,
    parameter [255:0] INIT_RAM_02 = 0, parameter [255:0] INIT_RAM_03 = 0,
    parameter [255:0] INIT_RAM_04 = 0, parameter [255:0] INIT_RAM_05 = 0,
    parameter [255:0] INIT_RAM_06 = 0, parameter [255:0] INIT_RAM_07 = 0,
    parameter [255:0] INIT_RAM_08 = 0, parameter [255:0] INIT_RAM_09 = 0,
    parameter [255:0] INIT_RAM_0A = 0, parameter [255:0] INIT_RAM_0B = 0,
    parameter [255:0] INIT_RAM_0C = 0, parameter [255:0] INIT_RAM_0D = 0,
    parameter [255:0] INIT_RAM_0E = 0, parameter [255:0] INIT_RAM_0F = 0,
    parameter [255:0] INIT_RAM_10 = 0, parameter [255:0] INIT_RAM_11 = 0,
    parameter [255:0] INIT_RAM_12 = 0, parameter [255:0] INIT_RAM_13 = 0,
    parameter [255:0] INIT_RAM_14 = 0, parameter [255:0] INIT_RAM_15 = 0,
    parameter [255:0] INIT_RAM_16 = 0, parameter [255:0] INIT_RAM_17 = 0,
    parameter [255:0] INIT_RAM_18 = 0, parameter [255:0] INIT_RAM_19 = 0,
    parameter [255:0] INIT_RAM_1A = 0, parameter [255:0] INIT_RAM_1B = 0,
    parameter [255:0] INIT_RAM_1C = 0, parameter [255:0] INIT_RAM_1D = 0,
    parameter [255:0] INIT_RAM_1E = 0, parameter [255:0] INIT_RAM_1F = 0,
    parameter [255:0] INIT_RAM_20 = 0, parameter [255:0] INIT_RAM_21 = 0,
    parameter [255:0] INIT_RAM_22 = 0, parameter [255:0] INIT_RAM_23 = 0,
    parameter [255:0] INIT_RAM_24 = 0, parameter [255:0] INIT_RAM_25 = 0,
    parameter [255:0] INIT_RAM_26 = 0, parameter [255:0] INIT_RAM_27 = 0,
    parameter [255:0] INIT_RAM_28 = 0, parameter [255:0] INIT_RAM_29 = 0,
    parameter [255:0] INIT_RAM_2A = 0, parameter [255:0] INIT_RAM_2B = 0,
    parameter [255:0] INIT_RAM_2C = 0, parameter [255:0] INIT_RAM_2D = 0,
    parameter [255:0] INIT_RAM_2E = 0, parameter [255:0] INIT_RAM_2F = 0,
    parameter [255:0] INIT_RAM_30 = 0, parameter [255:0] INIT_RAM_31 = 0,
    parameter [255:0] INIT_RAM_32 = 0, parameter [255:0] INIT_RAM_33 = 0,
    parameter [255:0] INIT_RAM_34 = 0, parameter [255:0] INIT_RAM_35 = 0,
    parameter [255:0] INIT_RAM_36 = 0, parameter [255:0] INIT_RAM_37 = 0,
    parameter [255:0] INIT_RAM_38 = 0, parameter [255:0] INIT_RAM_39 = 0,
    parameter [255:0] INIT_RAM_3A = 0, parameter [255:0] INIT_RAM_3B = 0,
    parameter [255:0] INIT_RAM_3C = 0, parameter [255:0] INIT_RAM_3D = 0,
    parameter [255:0] INIT_RAM_3E = 0, parameter [255:0] INIT_RAM_3F = 0
) (
    output [15:0] DOA, DOB, input [15:0] DIA, DIB, input [2:0] BLKSELA, BLKSELB, input [13:0] ADA, ADB,
    input WREA, WREB, CLKA, CLKB, CEA, CEB, OCEA, OCEB, RESETA, RESETB
);
    localparam [64*256-1:0] CONTENTS = {
        INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
        INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
        INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
        INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
        INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
        INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
        INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
        INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
        INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
        INIT_RAM_00
    };
    wire [35:0] word_a, word_b;
    assign DOA = word_a[15:0];
    assign DOB = word_b[15:0];
    gowin_bsram #(
        .BYTE(8), .INIT(CONTENTS), .WIDTH_A(BIT_WIDTH_0), .READ_MODE_A(READ_MODE0), .WRITE_MODE_A(WRITE_MODE0),
        .WIDTH_B(BIT_WIDTH_1), .READ_MODE_B(READ_MODE1), .WRITE_MODE_B(WRITE_MODE1)
    ) block (
        .CLKA(CLKA), .CEA(CEA && BLKSELA == BLK_SEL_0), .WREA(WREA), .OCEA(OCEA), .RESETA(RESETA), .ADA(ADA),
        .DIA({20'd0, DIA}), .DOA(word_a),
        .CLKB(CLKB), .CEB(CEB && BLKSELB == BLK_SEL_1), .WREB(WREB), .OCEB(OCEB), .RESETB(RESETB), .ADB(ADB),
        .DIB({20'd0, DIB}), .DOB(word_b)
    );
endmodule

module SDPB #(
    parameter READ_MODE = 1'b0, parameter BIT_WIDTH_0 = 32, parameter BIT_WIDTH_1 = 32,
    parameter BLK_SEL_0 = 3'b000, parameter BLK_SEL_1 = 3'b000, parameter RESET_MODE = "SYNC",
    parameter [255:0] INIT_RAM_00 = 0, parameter [255:0] INIT_RAM_01 = 0,
    parameter [255:0] INIT_RAM_02 = 0, parameter [255:0] INIT_RAM_03 = 0,
    parameter [255:0] INIT_RAM_04 = 0, parameter [255:0] INIT_RAM_05 = 0,
    parameter [255:0] INIT_RAM_06 = 0, parameter [255:0] INIT_RAM_07 = 0,
    parameter [255:0] INIT_RAM_08 = 0, parameter [255:0] INIT_RAM_09 = 0,
    parameter [255:0] INIT_RAM_0A = 0, parameter [255:0] INIT_RAM_0B = 0,
    parameter [255:0] INIT_RAM_0C = 0, parameter [255:0] INIT_RAM_0D = 0,
    parameter [255:0] INIT_RAM_0E = 0, parameter [255:0] INIT_RAM_0F = 0,
    parameter [255:0] INIT_RAM_10 = 0, parameter [255:0] INIT_RAM_11 = 0,
    parameter [255:0] INIT_RAM_12 = 0, parameter [255:0] INIT_RAM_13 = 0,
    parameter [255:0] INIT_RAM_14 = 0, parameter [255:0] INIT_RAM_15 = 0,
    parameter [255:0] INIT_RAM_16 = 0, parameter [255:0] INIT_RAM_17 = 0,
    parameter [255:0] INIT_RAM_18 = 0, parameter [255:0] INIT_RAM_19 = 0,
    parameter [255:0] INIT_RAM_1A = 0, parameter [255:0] INIT_RAM_1B = 0,
    parameter [255:0] INIT_RAM_1C = 0, parameter [255:0] INIT_RAM_1D = 0,
    parameter [255:0] INIT_RAM_1E = 0, parameter [255:0] INIT_RAM_1F = 0,
    parameter [255:0] INIT_RAM_20 = 0, parameter [255:0] INIT_RAM_21 = 0,
    parameter [255:0] INIT_RAM_22 = 0, parameter [255:0] INIT_RAM_23 = 0,
    parameter [255:0] INIT_RAM_24 = 0, parameter [255:0] INIT_RAM_25 = 0,
    parameter [255:0] INIT_RAM_26 = 0, parameter [255:0] INIT_RAM_27 = 0,
    parameter [255:0] INIT_RAM_28 = 0, parameter [255:0] INIT_RAM_29 = 0,
    parameter [255:0] INIT_RAM_2A = 0, parameter [255:0] INIT_RAM_2B = 0,
    parameter [255:0] INIT_RAM_2C = 0, parameter [255:0] INIT_RAM_2D = 0,
    parameter [255:0] INIT_RAM_2E = 0, parameter [255:0] INIT_RAM_2F = 0,
    parameter [255:0] INIT_RAM_30 = 0, parameter [255:0] INIT_RAM_31 = 0,
    parameter [255:0] INIT_RAM_32 = 0, parameter [255:0] INIT_RAM_33 = 0,
    parameter [255:0] INIT_RAM_34 = 0, parameter [255:0] INIT_RAM_35 = 0,
    parameter [255:0] INIT_RAM_36 = 0, parameter [255:0] INIT_RAM_37 = 0,
    parameter [255:0] INIT_RAM_38 = 0, parameter [255:0] INIT_RAM_39 = 0,
    parameter [255:0] INIT_RAM_3A = 0, parameter [255:0] INIT_RAM_3B = 0,
    parameter [255:0] INIT_RAM_3C = 0, parameter [255:0] INIT_RAM_3D = 0,
    parameter [255:0] INIT_RAM_3E = 0, parameter [255:0] INIT_RAM_3F = 0
) (
    output [31:0] DO, input [31:0] DI, input [2:0] BLKSELA, BLKSELB, input [13:0] ADA, ADB,
    input CLKA, CLKB, CEA, CEB, OCE, RESETA, RESETB
);
    localparam [64*256-1:0] CONTENTS = {
        INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
        INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
        INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
        INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
        INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
        INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
        INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
        INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
        INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
        INIT_RAM_00
    };
    wire [35:0] word;
    assign DO = word[31:0];
    gowin_bsram #(
        .BYTE(8), .INIT(CONTENTS), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .READ_MODE_B(READ_MODE)
    ) block (
        .CLKA(CLKA), .CEA(CEA && BLKSELA == BLK_SEL_0), .WREA(1'b1), .OCEA(1'b0), .RESETA(RESETA), .ADA(ADA),
        .DIA({4'd0, DI}), .DOA(),
        .CLKB(CLKB), .CEB(CEB && BLKSELB == BLK_SEL_1), .WREB(1'b0), .OCEB(OCE), .RESETB(RESETB), .ADB(ADB),
        .DIB(36'd0), .DOB(word)
    );
endmodule

module SPX9 #(
    parameter READ_MODE = 1'b0, parameter WRITE_MODE = 2'b00, parameter BIT_WIDTH = 36, parameter BLK_SEL = 3'b000,
    parameter RESET_MODE = "SYNC",
    parameter [287:0] INIT_RAM_00 = 0, parameter [287:0] INIT_RAM_01 = 0,
    parameter [287:0] INIT_RAM_02 = 0, parameter [287:0] INIT_RAM_03 = 0,
    parameter [287:0] INIT_RAM_04 = 0, parameter [287:0] INIT_RAM_05 = 0,
    parameter [287:0] INIT_RAM_06 = 0, parameter [287:0] INIT_RAM_07 = 0,
    parameter [287:0] INIT_RAM_08 = 0, parameter [287:0] INIT_RAM_09 = 0,
    parameter [287:0] INIT_RAM_0A = 0, parameter [287:0] INIT_RAM_0B = 0,
    parameter [287:0] INIT_RAM_0C = 0, parameter [287:0] INIT_RAM_0D = 0,
    parameter [287:0] INIT_RAM_0E = 0, parameter [287:0] INIT_RAM_0F = 0,
    parameter [287:0] INIT_RAM_10 = 0, parameter [287:0] INIT_RAM_11 = 0,
    parameter [287:0] INIT_RAM_12 = 0, parameter [287:0] INIT_RAM_13 = 0,
    parameter [287:0] INIT_RAM_14 = 0, parameter [287:0] INIT_RAM_15 = 0,
    parameter [287:0] INIT_RAM_16 = 0, parameter [287:0] INIT_RAM_17 = 0,
    parameter [287:0] INIT_RAM_18 = 0, parameter [287:0] INIT_RAM_19 = 0,
    parameter [287:0] INIT_RAM_1A = 0, parameter [287:0] INIT_RAM_1B = 0,
    parameter [287:0] INIT_RAM_1C = 0, parameter [287:0] INIT_RAM_1D = 0,
    parameter [287:0] INIT_RAM_1E = 0, parameter [287:0] INIT_RAM_1F = 0,
    parameter [287:0] INIT_RAM_20 = 0, parameter [287:0] INIT_RAM_21 = 0,
    parameter [287:0] INIT_RAM_22 = 0, parameter [287:0] INIT_RAM_23 = 0,
    parameter [287:0] INIT_RAM_24 = 0, parameter [287:0] INIT_RAM_25 = 0,
    parameter [287:0] INIT_RAM_26 = 0, parameter [287:0] INIT_RAM_27 = 0,
    parameter [287:0] INIT_RAM_28 = 0, parameter [287:0] INIT_RAM_29 = 0,
    parameter [287:0] INIT_RAM_2A = 0, parameter [287:0] INIT_RAM_2B = 0,
    parameter [287:0] INIT_RAM_2C = 0, parameter [287:0] INIT_RAM_2D = 0,
    parameter [287:0] INIT_RAM_2E = 0, parameter [287:0] INIT_RAM_2F = 0,
    parameter [287:0] INIT_RAM_30 = 0, parameter [287:0] INIT_RAM_31 = 0,
    parameter [287:0] INIT_RAM_32 = 0, parameter [287:0] INIT_RAM_33 = 0,
    parameter [287:0] INIT_RAM_34 = 0, parameter [287:0] INIT_RAM_35 = 0,
    parameter [287:0] INIT_RAM_36 = 0, parameter [287:0] INIT_RAM_37 = 0,
    parameter [287:0] INIT_RAM_38 = 0, parameter [287:0] INIT_RAM_39 = 0,
    parameter [287:0] INIT_RAM_3A = 0, parameter [287:0] INIT_RAM_3B = 0,
    parameter [287:0] INIT_RAM_3C = 0, parameter [287:0] INIT_RAM_3D = 0,
    parameter [287:0] INIT_RAM_3E = 0, parameter [287:0] INIT_RAM_3F = 0
) (
    output [35:0] DO, input [35:0] DI, input [2:0] BLKSEL, input [13:0] AD, input WRE, CLK, CE, OCE, RESET
);
    localparam [64*288-1:0] CONTENTS = {
        INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
        INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
        INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
        INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
        INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
        INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
        INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
        INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
        INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
        INIT_RAM_00
    };
    wire [35:0] word;
    assign DO = word[35:0];
    gowin_bsram #(
        .BYTE(9), .INIT(CONTENTS), .WIDTH_A(BIT_WIDTH), .READ_MODE_A(READ_MODE), .WRITE_MODE_A(WRITE_MODE)
    ) block (
        .CLKA(CLK), .CEA(CE && BLKSEL == BLK_SEL), .WREA(WRE), .OCEA(OCE), .RESETA(RESET), .ADA(AD), .DIA(DI),
        .DOA(word), .CLKB(1'b0), .CEB(1'b0), .WREB(1'b0), .OCEB(1'b0), .RESETB(1'b0), .ADB(14'd0), .DIB(36'd0), .DOB()
    );
endmodule

module DPX9B #(
    parameter READ_MODE0 = 1'b0, parameter READ_MODE1 = 1'b0, parameter WRITE_MODE0 = 2'b00, parameter WRITE_MODE1 = 2'b00,
    parameter BIT_WIDTH_0 = 18, parameter BIT_WIDTH_1 = 18, parameter BLK_SEL_0 = 3'b000, parameter BLK_SEL_1 = 3'b000,
    parameter RESET_MODE = "SYNC",
    parameter [287:0] INIT_RAM_00 = 0, parameter [287:0] INIT_RAM_01 = 0,
    parameter [287:0] INIT_RAM_02 = 0, parameter [287:0] INIT_RAM_03 = 0,
    parameter [287:0] INIT_RAM_04 = 0, parameter [287:0] INIT_RAM_05 = 0,
    parameter [287:0] INIT_RAM_06 = 0, parameter [287:0] INIT_RAM_07 = 0,
    parameter [287:0] INIT_RAM_08 = 0, parameter [287:0] INIT_RAM_09 = 0,
    parameter [287:0] INIT_RAM_0A = 0, parameter [287:0] INIT_RAM_0B = 0,
    parameter [287:0] INIT_RAM_0C = 0, parameter [287:0] INIT_RAM_0D = 0,
    parameter [287:0] INIT_RAM_0E = 0, parameter [287:0] INIT_RAM_0F = 0,
    parameter [287:0] INIT_RAM_10 = 0, parameter [287:0] INIT_RAM_11 = 0,
    parameter [287:0] INIT_RAM_12 = 0, parameter [287:0] INIT_RAM_13 = 0,
    parameter [287:0] INIT_RAM_14 = 0, parameter [287:0] INIT_RAM_15 = 0,
    parameter [287:0] INIT_RAM_16 = 0, parameter [287:0] INIT_RAM_17 = 0,
    parameter [287:0] INIT_RAM_18 = 0, parameter [287:0] INIT_RAM_19 = 0,
    parameter [287:0] INIT_RAM_1A = 0, parameter [287:0] INIT_RAM_1B = 0,
    parameter [287:0] INIT_RAM_1C = 0, parameter [287:0] INIT_RAM_1D = 0,
    parameter [287:0] INIT_RAM_1E = 0, parameter [287:0] INIT_RAM_1F = 0,
    parameter [287:0] INIT_RAM_20 = 0, parameter [287:0] INIT_RAM_21 = 0,
    parameter [287:0] INIT_RAM_22 = 0, parameter [287:0] INIT_RAM_23 = 0,
    parameter [287:0] INIT_RAM_24 = 0, parameter [287:0] INIT_RAM_25 = 0,
    parameter [287:0] INIT_RAM_26 = 0, parameter [287:0] INIT_RAM_27 = 0,
    parameter [287:0] INIT_RAM_28 = 0, parameter [287:0] INIT_RAM_29 = 0,
    parameter [287:0] INIT_RAM_2A = 0, parameter [287:0] INIT_RAM_2B = 0,
    parameter [287:0] INIT_RAM_2C = 0, parameter [287:0] INIT_RAM_2D = 0,
    parameter [287:0] INIT_RAM_2E = 0, parameter [287:0] INIT_RAM_2F = 0,
    parameter [287:0] INIT_RAM_30 = 0, parameter [287:0] INIT_RAM_31 = 0,
    parameter [287:0] INIT_RAM_32 = 0, parameter [287:0] INIT_RAM_33 = 0,
    parameter [287:0] INIT_RAM_34 = 0, parameter [287:0] INIT_RAM_35 = 0,
    parameter [287:0] INIT_RAM_36 = 0, parameter [287:0] INIT_RAM_37 = 0,
    parameter [287:0] INIT_RAM_38 = 0, parameter [287:0] INIT_RAM_39 = 0,
    parameter [287:0] INIT_RAM_3A = 0, parameter [287:0] INIT_RAM_3B = 0,
    parameter [287:0] INIT_RAM_3C = 0, parameter [287:0] INIT_RAM_3D = 0,
    parameter [287:0] INIT_RAM_3E = 0, parameter [287:0] INIT_RAM_3F = 0
) (
    output [17:0] DOA, DOB, input [17:0] DIA, DIB, input [2:0] BLKSELA, BLKSELB, input [13:0] ADA, ADB,
    input WREA, WREB, CLKA, CLKB, CEA, CEB, OCEA, OCEB, RESETA, RESETB
);
    localparam [64*288-1:0] CONTENTS = {
        INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
        INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
        INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
        INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
        INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
        INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
        INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
        INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
        INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
        INIT_RAM_00
    };
    wire [35:0] word_a, word_b;
    assign DOA = word_a[17:0];
    assign DOB = word_b[17:0];
    gowin_bsram #(
        .BYTE(9), .INIT(CONTENTS), .WIDTH_A(BIT_WIDTH_0), .READ_MODE_A(READ_MODE0), .WRITE_MODE_A(WRITE_MODE0),
        .WIDTH_B(BIT_WIDTH_1), .READ_MODE_B(READ_MODE1), .WRITE_MODE_B(WRITE_MODE1)
    ) block (
        .CLKA(CLKA), .CEA(CEA && BLKSELA == BLK_SEL_0), .WREA(WREA), .OCEA(OCEA), .RESETA(RESETA), .ADA(ADA),
        .DIA({18'd0, DIA}), .DOA(word_a),
        .CLKB(CLKB), .CEB(CEB && BLKSELB == BLK_SEL_1), .WREB(WREB), .OCEB(OCEB), .RESETB(RESETB), .ADB(ADB),
        .DIB({18'd0, DIB}), .DOB(word_b)
    );
endmodule

module SDPX9B #(
    parameter READ_MODE = 1'b0, parameter BIT_WIDTH_0 = 36, parameter BIT_WIDTH_1 = 36,
    parameter BLK_SEL_0 = 3'b000, parameter BLK_SEL_1 = 3'b000, parameter RESET_MODE = "SYNC",
    parameter [287:0] INIT_RAM_00 = 0, parameter [287:0] INIT_RAM_01 = 0,
    parameter [287:0] INIT_RAM_02 = 0, parameter [287:0] INIT_RAM_03 = 0,
    parameter [287:0] INIT_RAM_04 = 0, parameter [287:0] INIT_RAM_05 = 0,
    parameter [287:0] INIT_RAM_06 = 0, parameter [287:0] INIT_RAM_07 = 0,
    parameter [287:0] INIT_RAM_08 = 0, parameter [287:0] INIT_RAM_09 = 0,
    parameter [287:0] INIT_RAM_0A = 0, parameter [287:0] INIT_RAM_0B = 0,
    parameter [287:0] INIT_RAM_0C = 0, parameter [287:0] INIT_RAM_0D = 0,
    parameter [287:0] INIT_RAM_0E = 0, parameter [287:0] INIT_RAM_0F = 0,
    parameter [287:0] INIT_RAM_10 = 0, parameter [287:0] INIT_RAM_11 = 0,
    parameter [287:0] INIT_RAM_12 = 0, parameter [287:0] INIT_RAM_13 = 0,
    parameter [287:0] INIT_RAM_14 = 0, parameter [287:0] INIT_RAM_15 = 0,
    parameter [287:0] INIT_RAM_16 = 0, parameter [287:0] INIT_RAM_17 = 0,
    parameter [287:0] INIT_RAM_18 = 0, parameter [287:0] INIT_RAM_19 = 0,
    parameter [287:0] INIT_RAM_1A = 0, parameter [287:0] INIT_RAM_1B = 0,
    parameter [287:0] INIT_RAM_1C = 0, parameter [287:0] INIT_RAM_1D = 0,
    parameter [287:0] INIT_RAM_1E = 0, parameter [287:0] INIT_RAM_1F = 0,
    parameter [287:0] INIT_RAM_20 = 0, parameter [287:0] INIT_RAM_21 = 0,
    parameter [287:0] INIT_RAM_22 = 0, parameter [287:0] INIT_RAM_23 = 0,
    parameter [287:0] INIT_RAM_24 = 0, parameter [287:0] INIT_RAM_25 = 0,
    parameter [287:0] INIT_RAM_26 = 0, parameter [287:0] INIT_RAM_27 = 0,
    parameter [287:0] INIT_RAM_28 = 0, parameter [287:0] INIT_RAM_29 = 0,
    parameter [287:0] INIT_RAM_2A = 0, parameter [287:0] INIT_RAM_2B = 0,
    parameter [287:0] INIT_RAM_2C = 0, parameter [287:0] INIT_RAM_2D = 0,
    parameter [287:0] INIT_RAM_2E = 0, parameter [287:0] INIT_RAM_2F = 0,
    parameter [287:0] INIT_RAM_30 = 0, parameter [287:0] INIT_RAM_31 = 0,
    parameter [287:0] INIT_RAM_32 = 0, parameter [287:0] INIT_RAM_33 = 0,
    parameter [287:0] INIT_RAM_34 = 0, parameter [287:0] INIT_RAM_35 = 0,
    parameter [287:0] INIT_RAM_36 = 0, parameter [287:0] INIT_RAM_37 = 0,
    parameter [287:0] INIT_RAM_38 = 0, parameter [287:0] INIT_RAM_39 = 0,
    parameter [287:0] INIT_RAM_3A = 0, parameter [287:0] INIT_RAM_3B = 0,
    parameter [287:0] INIT_RAM_3C = 0, parameter [287:0] INIT_RAM_3D = 0,
    parameter [287:0] INIT_RAM_3E = 0, parameter [287:0] INIT_RAM_3F = 0
) (
    output [35:0] DO, input [35:0] DI, input [2:0] BLKSELA, BLKSELB, input [13:0] ADA, ADB,
    input CLKA, CLKB, CEA, CEB, OCE, RESETA, RESETB
);
    localparam [64*288-1:0] CONTENTS = {
        INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
        INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
        INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
        INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
        INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
        INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
        INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
        INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
        INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
        INIT_RAM_00
    };
    wire [35:0] word;
    assign DO = word[35:0];
    gowin_bsram #(
        .BYTE(9), .INIT(CONTENTS), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .READ_MODE_B(READ_MODE)
    ) block (
        .CLKA(CLKA), .CEA(CEA && BLKSELA == BLK_SEL_0), .WREA(1'b1), .OCEA(1'b0), .RESETA(RESETA), .ADA(ADA),
        .DIA(DI), .DOA(),
        .CLKB(CLKB), .CEB(CEB && BLKSELB == BLK_SEL_1), .WREB(1'b0), .OCEB(OCE), .RESETB(RESETB), .ADB(ADB),
        .DIB(36'd0), .DOB(word)
    );
endmodule

// MULT18X18: A * B, signed where ASIGN and BSIGN say so, through the registers that are on; the signs have none.
module MULT18X18 #(
    parameter AREG = 1'b0, parameter BREG = 1'b0, parameter OUT_REG = 1'b0, parameter PIPE_REG = 1'b0,
    parameter ASIGN_REG = 1'b0, parameter BSIGN_REG = 1'b0, parameter SOA_REG = 1'b0, parameter MULT_RESET_MODE = "SYNC"
) (
    input [17:0] A, SIA, B, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output [35:0] DOUT, output [17:0] SOA, SOB
);
    reg [17:0] a_q = 0, b_q = 0;
    reg [35:0] pipe_q = 0, out_q = 0;
    wire [17:0] a = AREG ? a_q : A, b = BREG ? b_q : B;
    wire signed [18:0] a_wide = {ASIGN & a[17], a}, b_wide = {BSIGN & b[17], b};
    wire signed [37:0] product = a_wide * b_wide;
    wire [35:0] pipe = PIPE_REG ? pipe_q : product[35:0];
    assign DOUT = OUT_REG ? out_q : pipe;
    assign SOA = a;
    assign SOB = b;
    initial if (ASIGN_REG || BSIGN_REG || SOA_REG || MULT_RESET_MODE != "SYNC") begin
        $display("MULT18X18: a setting that is not modelled");
        $fatal;
    end
    always @(posedge CLK) begin
        if (CE) begin
            a_q <= A;
            b_q <= B;
            pipe_q <= product[35:0];
            out_q <= pipe;
        end
        if (RESET) begin
            a_q <= 0;
            b_q <= 0;
            pipe_q <= 0;
            out_q <= 0;
        end
    end
endmodule

// rPLL as a wire: the design's clock is the oscillator's, locked after a few cycles.
module rPLL #(
    parameter FCLKIN = "", parameter DEVICE = "", parameter IDIV_SEL = 0, parameter FBDIV_SEL = 0, parameter ODIV_SEL = 0,
    parameter DYN_IDIV_SEL = "", parameter DYN_FBDIV_SEL = "", parameter DYN_ODIV_SEL = "", parameter CLKFB_SEL = ""
) (
    input CLKIN, CLKFB, RESET, RESET_P, input [5:0] FBDSEL, IDSEL, ODSEL, input [3:0] DUTYDA, PSDA, FDLY,
    output CLKOUT, LOCK
);
    reg [2:0] count = 0;
    assign CLKOUT = CLKIN;
    assign LOCK = &count;
    always @(posedge CLKIN) if (!LOCK) count <= count + 1;
endmodule
