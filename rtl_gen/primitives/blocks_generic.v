// Behaviour of the Xilinx 7 block RAMs, which yosys knows only as black boxes, for the settings that synthesis uses; a
// setting that is not modelled stops the simulation.
//
// A block RAM is LANES * 1024 bytes of 8 bits, and a bit of parity to each. A port of a width below 9 reads and writes
// bits of a byte, others so many bytes, and of simple dual-port ones the data pins of both ports are one word.
module xilinx_bram #(
    parameter LANES = 2, parameter [LANES*8192-1:0] INIT = 0, parameter [LANES*1024-1:0] INITP = 0,
    parameter READ_A = 0, parameter READ_B = 0, parameter WRITE_A = 0, parameter WRITE_B = 0,
    parameter MODE_A = 0, parameter MODE_B = 0
) (
    input CLKA, CLKB, ENA, ENB, RSTA, RSTB, input [14:0] ADA, ADB, input [7:0] WEA, WEB,
    input [63:0] DIA, DIB, input [7:0] DIPA, DIPB, output reg [63:0] DOA, DOB, output reg [7:0] DOPA, DOPB
);
    reg [7:0] bytes [0:LANES*1024-1];
    reg parity [0:LANES*1024-1];
    integer i, n_a, n_b;
    initial begin
        for (i = 0; i < LANES * 1024; i = i + 1) begin
            bytes[i] = INIT[8 * i +: 8];
            parity[i] = INITP[i];
        end
        DOA = 0; DOB = 0; DOPA = 0; DOPB = 0;
    end

    always @(posedge CLKA) if (ENA) begin
        // 0 reads what was there, 1 what is written, 2 nothing while it writes.
        if (MODE_A == 0 || !(|WEA) || WRITE_A == 0) begin
            if (READ_A >= 9) for (n_a = 0; n_a < READ_A / 9; n_a = n_a + 1) begin
                DOA[8 * n_a +: 8] <= bytes[ADA[14:3] / (READ_A / 9) * (READ_A / 9) + n_a];
                DOPA[n_a] <= parity[ADA[14:3] / (READ_A / 9) * (READ_A / 9) + n_a];
            end else if (READ_A == 4) DOA[3:0] <= bytes[ADA[14:3]][{ADA[2], 2'd0} +: 4];
            else if (READ_A == 2) DOA[1:0] <= bytes[ADA[14:3]][{ADA[2:1], 1'd0} +: 2];
            else if (READ_A == 1) DOA[0] <= bytes[ADA[14:3]][ADA[2:0]];
        end else if (MODE_A == 1) begin
            DOA <= DIA;
            DOPA <= DIPA;
        end
        if (WRITE_A >= 9) begin
            for (n_a = 0; n_a < WRITE_A / 9; n_a = n_a + 1) if (WEA[n_a]) begin
                bytes[ADA[14:3] / (WRITE_A / 9) * (WRITE_A / 9) + n_a] <= DIA[8 * n_a +: 8];
                parity[ADA[14:3] / (WRITE_A / 9) * (WRITE_A / 9) + n_a] <= DIPA[n_a];
            end
        end else if (WEA[0]) begin
            if (WRITE_A == 4) bytes[ADA[14:3]][{ADA[2], 2'd0} +: 4] <= DIA[3:0];
            if (WRITE_A == 2) bytes[ADA[14:3]][{ADA[2:1], 1'd0} +: 2] <= DIA[1:0];
            if (WRITE_A == 1) bytes[ADA[14:3]][ADA[2:0]] <= DIA[0];
        end
        if (RSTA) begin
            DOA <= 0;
            DOPA <= 0;
        end
    end

    always @(posedge CLKB) if (ENB) begin
        // 0 reads what was there, 1 what is written, 2 nothing while it writes.
        if (MODE_B == 0 || !(|WEB) || WRITE_B == 0) begin
            if (READ_B >= 9) for (n_b = 0; n_b < READ_B / 9; n_b = n_b + 1) begin
                DOB[8 * n_b +: 8] <= bytes[ADB[14:3] / (READ_B / 9) * (READ_B / 9) + n_b];
                DOPB[n_b] <= parity[ADB[14:3] / (READ_B / 9) * (READ_B / 9) + n_b];
            end else if (READ_B == 4) DOB[3:0] <= bytes[ADB[14:3]][{ADB[2], 2'd0} +: 4];
            else if (READ_B == 2) DOB[1:0] <= bytes[ADB[14:3]][{ADB[2:1], 1'd0} +: 2];
            else if (READ_B == 1) DOB[0] <= bytes[ADB[14:3]][ADB[2:0]];
        end else if (MODE_B == 1) begin
            DOB <= DIB;
            DOPB <= DIPB;
        end
        if (WRITE_B >= 9) begin
            for (n_b = 0; n_b < WRITE_B / 9; n_b = n_b + 1) if (WEB[n_b]) begin
                bytes[ADB[14:3] / (WRITE_B / 9) * (WRITE_B / 9) + n_b] <= DIB[8 * n_b +: 8];
                parity[ADB[14:3] / (WRITE_B / 9) * (WRITE_B / 9) + n_b] <= DIPB[n_b];
            end
        end else if (WEB[0]) begin
            if (WRITE_B == 4) bytes[ADB[14:3]][{ADB[2], 2'd0} +: 4] <= DIB[3:0];
            if (WRITE_B == 2) bytes[ADB[14:3]][{ADB[2:1], 1'd0} +: 2] <= DIB[1:0];
            if (WRITE_B == 1) bytes[ADB[14:3]][ADB[2:0]] <= DIB[0];
        end
        if (RSTB) begin
            DOB <= 0;
            DOPB <= 0;
        end
    end
endmodule

module RAMB18E1 #(
    parameter DOA_REG = 0, parameter DOB_REG = 0, parameter RAM_MODE = "TDP", parameter INIT_A = 0, parameter INIT_B = 0,
    parameter SRVAL_A = 0, parameter SRVAL_B = 0, parameter READ_WIDTH_A = 0, parameter READ_WIDTH_B = 0,
    parameter WRITE_WIDTH_A = 0, parameter WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "WRITE_FIRST", parameter WRITE_MODE_B = "WRITE_FIRST",
    parameter IS_CLKARDCLK_INVERTED = 0, parameter IS_CLKBWRCLK_INVERTED = 0,
    parameter IS_ENARDEN_INVERTED = 0, parameter IS_ENBWREN_INVERTED = 0,
    parameter IS_RSTRAMARSTRAM_INVERTED = 0, parameter IS_RSTRAMB_INVERTED = 0,
    parameter IS_RSTREGARSTREG_INVERTED = 0, parameter IS_RSTREGB_INVERTED = 0,
    parameter INITP_00 = 256'd0, parameter INITP_01 = 256'd0, parameter INITP_02 = 256'd0,
    parameter INITP_03 = 256'd0, parameter INITP_04 = 256'd0, parameter INITP_05 = 256'd0,
    parameter INITP_06 = 256'd0, parameter INITP_07 = 256'd0,
    parameter INIT_00 = 256'd0, parameter INIT_01 = 256'd0, parameter INIT_02 = 256'd0,
    parameter INIT_03 = 256'd0, parameter INIT_04 = 256'd0, parameter INIT_05 = 256'd0,
    parameter INIT_06 = 256'd0, parameter INIT_07 = 256'd0, parameter INIT_08 = 256'd0,
    parameter INIT_09 = 256'd0, parameter INIT_0A = 256'd0, parameter INIT_0B = 256'd0,
    parameter INIT_0C = 256'd0, parameter INIT_0D = 256'd0, parameter INIT_0E = 256'd0,
    parameter INIT_0F = 256'd0, parameter INIT_10 = 256'd0, parameter INIT_11 = 256'd0,
    parameter INIT_12 = 256'd0, parameter INIT_13 = 256'd0, parameter INIT_14 = 256'd0,
    parameter INIT_15 = 256'd0, parameter INIT_16 = 256'd0, parameter INIT_17 = 256'd0,
    parameter INIT_18 = 256'd0, parameter INIT_19 = 256'd0, parameter INIT_1A = 256'd0,
    parameter INIT_1B = 256'd0, parameter INIT_1C = 256'd0, parameter INIT_1D = 256'd0,
    parameter INIT_1E = 256'd0, parameter INIT_1F = 256'd0, parameter INIT_20 = 256'd0,
    parameter INIT_21 = 256'd0, parameter INIT_22 = 256'd0, parameter INIT_23 = 256'd0,
    parameter INIT_24 = 256'd0, parameter INIT_25 = 256'd0, parameter INIT_26 = 256'd0,
    parameter INIT_27 = 256'd0, parameter INIT_28 = 256'd0, parameter INIT_29 = 256'd0,
    parameter INIT_2A = 256'd0, parameter INIT_2B = 256'd0, parameter INIT_2C = 256'd0,
    parameter INIT_2D = 256'd0, parameter INIT_2E = 256'd0, parameter INIT_2F = 256'd0,
    parameter INIT_30 = 256'd0, parameter INIT_31 = 256'd0, parameter INIT_32 = 256'd0,
    parameter INIT_33 = 256'd0, parameter INIT_34 = 256'd0, parameter INIT_35 = 256'd0,
    parameter INIT_36 = 256'd0, parameter INIT_37 = 256'd0, parameter INIT_38 = 256'd0,
    parameter INIT_39 = 256'd0, parameter INIT_3A = 256'd0, parameter INIT_3B = 256'd0,
    parameter INIT_3C = 256'd0, parameter INIT_3D = 256'd0, parameter INIT_3E = 256'd0,
    parameter INIT_3F = 256'd0
) (
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input [13:0] ADDRARDADDR, ADDRBWRADDR, input [15:0] DIADI, DIBDI, input [1:0] DIPADIP, DIPBDIP,
    input [1:0] WEA, input [3:0] WEBWE,
    output [15:0] DOADO, DOBDO, output [1:0] DOPADOP, DOPBDOP
);
    localparam [16383:0] CONTENTS = {
        INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
        INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
        INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
        INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
        INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
        INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
        INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
        INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
    };
    localparam [2047:0] PARITIES = {
        INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    };
    localparam WIDE_READ = RAM_MODE == "SDP" && READ_WIDTH_A == 36;
    localparam WIDE_WRITE = RAM_MODE == "SDP" && WRITE_WIDTH_B == 36;
    wire [63:0] do_a, do_b;
    wire [7:0] dop_a, dop_b;
    assign DOADO = do_a[15:0];
    assign DOPADOP = dop_a[1:0];
    assign DOBDO = WIDE_READ ? do_a[31:16] : do_b[15:0];
    assign DOPBDOP = WIDE_READ ? dop_a[3:2] : dop_b[1:0];
    initial if (DOA_REG || DOB_REG || IS_ENARDEN_INVERTED || IS_ENBWREN_INVERTED || IS_RSTRAMARSTRAM_INVERTED
                || IS_RSTRAMB_INVERTED) begin
        $display("RAMB18E1: a setting that is not modelled");
        $fatal;
    end
    xilinx_bram #(
        .LANES(2), .INIT(CONTENTS), .INITP(PARITIES), .READ_A(READ_WIDTH_A), .READ_B(READ_WIDTH_B),
        .WRITE_A(WRITE_WIDTH_A), .WRITE_B(WRITE_WIDTH_B),
        .MODE_A(WRITE_MODE_A == "READ_FIRST" ? 0 : WRITE_MODE_A == "WRITE_FIRST" ? 1 : 2),
        .MODE_B(WRITE_MODE_B == "READ_FIRST" ? 0 : WRITE_MODE_B == "WRITE_FIRST" ? 1 : 2)
    ) block (
        .CLKA(CLKARDCLK ^ IS_CLKARDCLK_INVERTED[0]), .CLKB(CLKBWRCLK ^ IS_CLKBWRCLK_INVERTED[0]),
        .ENA(ENARDEN), .ENB(ENBWREN), .RSTA(RSTRAMARSTRAM), .RSTB(RSTRAMB),
        .ADA({1'b0, ADDRARDADDR}), .ADB({1'b0, ADDRBWRADDR}),
        .WEA({6'd0, WEA}), .WEB({4'd0, WEBWE}),
        .DIA({48'd0, DIADI}), .DIPA({6'd0, DIPADIP}),
        .DIB(WIDE_WRITE ? {32'd0, DIBDI, DIADI} : {48'd0, DIBDI}),
        .DIPB(WIDE_WRITE ? {4'd0, DIPBDIP, DIPADIP} : {6'd0, DIPBDIP}),
        .DOA(do_a), .DOB(do_b), .DOPA(dop_a), .DOPB(dop_b)
    );
endmodule

module RAMB36E1 #(
    parameter DOA_REG = 0, parameter DOB_REG = 0, parameter RAM_MODE = "TDP", parameter RAM_EXTENSION_A = "NONE", parameter RAM_EXTENSION_B = "NONE",
    parameter INIT_A = 0, parameter INIT_B = 0,
    parameter SRVAL_A = 0, parameter SRVAL_B = 0, parameter READ_WIDTH_A = 0, parameter READ_WIDTH_B = 0,
    parameter WRITE_WIDTH_A = 0, parameter WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "WRITE_FIRST", parameter WRITE_MODE_B = "WRITE_FIRST",
    parameter IS_CLKARDCLK_INVERTED = 0, parameter IS_CLKBWRCLK_INVERTED = 0,
    parameter IS_ENARDEN_INVERTED = 0, parameter IS_ENBWREN_INVERTED = 0,
    parameter IS_RSTRAMARSTRAM_INVERTED = 0, parameter IS_RSTRAMB_INVERTED = 0,
    parameter IS_RSTREGARSTREG_INVERTED = 0, parameter IS_RSTREGB_INVERTED = 0,
    parameter INITP_00 = 256'd0, parameter INITP_01 = 256'd0, parameter INITP_02 = 256'd0,
    parameter INITP_03 = 256'd0, parameter INITP_04 = 256'd0, parameter INITP_05 = 256'd0,
    parameter INITP_06 = 256'd0, parameter INITP_07 = 256'd0, parameter INITP_08 = 256'd0,
    parameter INITP_09 = 256'd0, parameter INITP_0A = 256'd0, parameter INITP_0B = 256'd0,
    parameter INITP_0C = 256'd0, parameter INITP_0D = 256'd0, parameter INITP_0E = 256'd0,
    parameter INITP_0F = 256'd0,
    parameter INIT_00 = 256'd0, parameter INIT_01 = 256'd0, parameter INIT_02 = 256'd0,
    parameter INIT_03 = 256'd0, parameter INIT_04 = 256'd0, parameter INIT_05 = 256'd0,
    parameter INIT_06 = 256'd0, parameter INIT_07 = 256'd0, parameter INIT_08 = 256'd0,
    parameter INIT_09 = 256'd0, parameter INIT_0A = 256'd0, parameter INIT_0B = 256'd0,
    parameter INIT_0C = 256'd0, parameter INIT_0D = 256'd0, parameter INIT_0E = 256'd0,
    parameter INIT_0F = 256'd0, parameter INIT_10 = 256'd0, parameter INIT_11 = 256'd0,
    parameter INIT_12 = 256'd0, parameter INIT_13 = 256'd0, parameter INIT_14 = 256'd0,
    parameter INIT_15 = 256'd0, parameter INIT_16 = 256'd0, parameter INIT_17 = 256'd0,
    parameter INIT_18 = 256'd0, parameter INIT_19 = 256'd0, parameter INIT_1A = 256'd0,
    parameter INIT_1B = 256'd0, parameter INIT_1C = 256'd0, parameter INIT_1D = 256'd0,
    parameter INIT_1E = 256'd0, parameter INIT_1F = 256'd0, parameter INIT_20 = 256'd0,
    parameter INIT_21 = 256'd0, parameter INIT_22 = 256'd0, parameter INIT_23 = 256'd0,
    parameter INIT_24 = 256'd0, parameter INIT_25 = 256'd0, parameter INIT_26 = 256'd0,
    parameter INIT_27 = 256'd0, parameter INIT_28 = 256'd0, parameter INIT_29 = 256'd0,
    parameter INIT_2A = 256'd0, parameter INIT_2B = 256'd0, parameter INIT_2C = 256'd0,
    parameter INIT_2D = 256'd0, parameter INIT_2E = 256'd0, parameter INIT_2F = 256'd0,
    parameter INIT_30 = 256'd0, parameter INIT_31 = 256'd0, parameter INIT_32 = 256'd0,
    parameter INIT_33 = 256'd0, parameter INIT_34 = 256'd0, parameter INIT_35 = 256'd0,
    parameter INIT_36 = 256'd0, parameter INIT_37 = 256'd0, parameter INIT_38 = 256'd0,
    parameter INIT_39 = 256'd0, parameter INIT_3A = 256'd0, parameter INIT_3B = 256'd0,
    parameter INIT_3C = 256'd0, parameter INIT_3D = 256'd0, parameter INIT_3E = 256'd0,
    parameter INIT_3F = 256'd0, parameter INIT_40 = 256'd0, parameter INIT_41 = 256'd0,
    parameter INIT_42 = 256'd0, parameter INIT_43 = 256'd0, parameter INIT_44 = 256'd0,
    parameter INIT_45 = 256'd0, parameter INIT_46 = 256'd0, parameter INIT_47 = 256'd0,
    parameter INIT_48 = 256'd0, parameter INIT_49 = 256'd0, parameter INIT_4A = 256'd0,
    parameter INIT_4B = 256'd0, parameter INIT_4C = 256'd0, parameter INIT_4D = 256'd0,
    parameter INIT_4E = 256'd0, parameter INIT_4F = 256'd0, parameter INIT_50 = 256'd0,
    parameter INIT_51 = 256'd0, parameter INIT_52 = 256'd0, parameter INIT_53 = 256'd0,
    parameter INIT_54 = 256'd0, parameter INIT_55 = 256'd0, parameter INIT_56 = 256'd0,
    parameter INIT_57 = 256'd0, parameter INIT_58 = 256'd0, parameter INIT_59 = 256'd0,
    parameter INIT_5A = 256'd0, parameter INIT_5B = 256'd0, parameter INIT_5C = 256'd0,
    parameter INIT_5D = 256'd0, parameter INIT_5E = 256'd0, parameter INIT_5F = 256'd0,
    parameter INIT_60 = 256'd0, parameter INIT_61 = 256'd0, parameter INIT_62 = 256'd0,
    parameter INIT_63 = 256'd0, parameter INIT_64 = 256'd0, parameter INIT_65 = 256'd0,
    parameter INIT_66 = 256'd0, parameter INIT_67 = 256'd0, parameter INIT_68 = 256'd0,
    parameter INIT_69 = 256'd0, parameter INIT_6A = 256'd0, parameter INIT_6B = 256'd0,
    parameter INIT_6C = 256'd0, parameter INIT_6D = 256'd0, parameter INIT_6E = 256'd0,
    parameter INIT_6F = 256'd0, parameter INIT_70 = 256'd0, parameter INIT_71 = 256'd0,
    parameter INIT_72 = 256'd0, parameter INIT_73 = 256'd0, parameter INIT_74 = 256'd0,
    parameter INIT_75 = 256'd0, parameter INIT_76 = 256'd0, parameter INIT_77 = 256'd0,
    parameter INIT_78 = 256'd0, parameter INIT_79 = 256'd0, parameter INIT_7A = 256'd0,
    parameter INIT_7B = 256'd0, parameter INIT_7C = 256'd0, parameter INIT_7D = 256'd0,
    parameter INIT_7E = 256'd0, parameter INIT_7F = 256'd0
) (
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input CASCADEINA, CASCADEINB, output CASCADEOUTA, CASCADEOUTB,
    input [15:0] ADDRARDADDR, ADDRBWRADDR, input [31:0] DIADI, DIBDI, input [3:0] DIPADIP, DIPBDIP,
    input [3:0] WEA, input [7:0] WEBWE,
    output [31:0] DOADO, DOBDO, output [3:0] DOPADOP, DOPBDOP
);
    localparam [32767:0] CONTENTS = {
        INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78,
        INIT_77, INIT_76, INIT_75, INIT_74, INIT_73, INIT_72, INIT_71, INIT_70,
        INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68,
        INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60,
        INIT_5F, INIT_5E, INIT_5D, INIT_5C, INIT_5B, INIT_5A, INIT_59, INIT_58,
        INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50,
        INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48,
        INIT_47, INIT_46, INIT_45, INIT_44, INIT_43, INIT_42, INIT_41, INIT_40,
        INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
        INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
        INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
        INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
        INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
        INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
        INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
        INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
    };
    localparam [4095:0] PARITIES = {
        INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08,
        INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    };
    localparam WIDE_READ = RAM_MODE == "SDP" && READ_WIDTH_A == 72;
    localparam WIDE_WRITE = RAM_MODE == "SDP" && WRITE_WIDTH_B == 72;
    wire [63:0] do_a, do_b;
    wire [7:0] dop_a, dop_b;
    assign DOADO = do_a[31:0];
    assign DOPADOP = dop_a[3:0];
    assign DOBDO = WIDE_READ ? do_a[63:32] : do_b[31:0];
    assign DOPBDOP = WIDE_READ ? dop_a[7:4] : dop_b[3:0];
    initial if (DOA_REG || DOB_REG || IS_ENARDEN_INVERTED || IS_ENBWREN_INVERTED || IS_RSTRAMARSTRAM_INVERTED
                || IS_RSTRAMB_INVERTED) begin
        $display("RAMB36E1: a setting that is not modelled");
        $fatal;
    end
    xilinx_bram #(
        .LANES(4), .INIT(CONTENTS), .INITP(PARITIES), .READ_A(READ_WIDTH_A), .READ_B(READ_WIDTH_B),
        .WRITE_A(WRITE_WIDTH_A), .WRITE_B(WRITE_WIDTH_B),
        .MODE_A(WRITE_MODE_A == "READ_FIRST" ? 0 : WRITE_MODE_A == "WRITE_FIRST" ? 1 : 2),
        .MODE_B(WRITE_MODE_B == "READ_FIRST" ? 0 : WRITE_MODE_B == "WRITE_FIRST" ? 1 : 2)
    ) block (
        .CLKA(CLKARDCLK ^ IS_CLKARDCLK_INVERTED[0]), .CLKB(CLKBWRCLK ^ IS_CLKBWRCLK_INVERTED[0]),
        .ENA(ENARDEN), .ENB(ENBWREN), .RSTA(RSTRAMARSTRAM), .RSTB(RSTRAMB),
        .ADA(ADDRARDADDR[14:0]), .ADB(ADDRBWRADDR[14:0]),
        .WEA({4'd0, WEA}), .WEB(WEBWE),
        .DIA({32'd0, DIADI}), .DIPA({4'd0, DIPADIP}),
        .DIB(WIDE_WRITE ? {DIBDI, DIADI} : {32'd0, DIBDI}),
        .DIPB(WIDE_WRITE ? {DIPBDIP, DIPADIP} : {4'd0, DIPBDIP}),
        .DOA(do_a), .DOB(do_b), .DOPA(dop_a), .DOPB(dop_b)
    );
endmodule
