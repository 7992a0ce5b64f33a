// Copied by qtt-hw. Whoever generated the design may use, change and relicense it without any condition.
// 16 x 16 signed multiplier, three registers deep: one SB_MAC16 with its input, partial and product registers on.
module qtt_multiplier (
    input  wire        clk,
    input  wire [15:0] a,
    input  wire [15:0] b,
    output wire [31:0] p
);
    SB_MAC16 #(
        .A_REG(1'b1), .B_REG(1'b1), .A_SIGNED(1'b1), .B_SIGNED(1'b1), .MODE_8x8(1'b0),
        .TOP_8x8_MULT_REG(1'b1), .BOT_8x8_MULT_REG(1'b1), .PIPELINE_16x16_MULT_REG1(1'b1),
        .PIPELINE_16x16_MULT_REG2(1'b1), .TOPOUTPUT_SELECT(2'b11), .BOTOUTPUT_SELECT(2'b11)
    ) block (
        .CLK(clk), .CE(1'b1), .A(a), .B(b), .C(16'd0), .D(16'd0), .O(p),
        .AHOLD(1'b0), .BHOLD(1'b0), .CHOLD(1'b0), .DHOLD(1'b0), .OHOLDTOP(1'b0), .OHOLDBOT(1'b0),
        .IRSTTOP(1'b0), .IRSTBOT(1'b0), .ORSTTOP(1'b0), .ORSTBOT(1'b0), .OLOADTOP(1'b0), .OLOADBOT(1'b0),
        .ADDSUBTOP(1'b0), .ADDSUBBOT(1'b0), .CI(1'b0), .ACCUMCI(1'b0), .SIGNEXTIN(1'b0)
    );
endmodule

// Two products of 8 x 8 bits, two registers deep, in one SB_MAC16; `b0` and `b1` are signed.
module qtt_multiplier_pair #(
    parameter A_SIGNED = 1'b1
) (
    input  wire        clk,
    input  wire [ 7:0] a0,
    input  wire [ 7:0] b0,
    input  wire [ 7:0] a1,
    input  wire [ 7:0] b1,
    output wire [15:0] p0,
    output wire [15:0] p1
);
    SB_MAC16 #(
        .A_REG(1'b1), .B_REG(1'b1), .A_SIGNED(A_SIGNED), .B_SIGNED(1'b1), .MODE_8x8(1'b1),
        .TOP_8x8_MULT_REG(1'b1), .BOT_8x8_MULT_REG(1'b1), .PIPELINE_16x16_MULT_REG1(1'b1),
        .PIPELINE_16x16_MULT_REG2(1'b0), .TOPOUTPUT_SELECT(2'b10), .BOTOUTPUT_SELECT(2'b10)
    ) block (
        .CLK(clk), .CE(1'b1), .A({a1, a0}), .B({b1, b0}), .C(16'd0), .D(16'd0), .O({p1, p0}),
        .AHOLD(1'b0), .BHOLD(1'b0), .CHOLD(1'b0), .DHOLD(1'b0), .OHOLDTOP(1'b0), .OHOLDBOT(1'b0),
        .IRSTTOP(1'b0), .IRSTBOT(1'b0), .ORSTTOP(1'b0), .ORSTBOT(1'b0), .OLOADTOP(1'b0), .OLOADBOT(1'b0),
        .ADDSUBTOP(1'b0), .ADDSUBBOT(1'b0), .CI(1'b0), .ACCUMCI(1'b0), .SIGNEXTIN(1'b0)
    );
endmodule

// A memory of one port, 16384 x 16 bits: one SB_SPRAM256KA.
module qtt_single_port (
    input  wire        clk,
    input  wire [13:0] address,
    input  wire [15:0] data,
    input  wire        write,
    output wire [15:0] q
);
    SB_SPRAM256KA block (
        .CLOCK(clk), .ADDRESS(address), .DATAIN(data), .MASKWREN(4'b1111), .WREN(write), .CHIPSELECT(1'b1),
        .STANDBY(1'b0), .SLEEP(1'b0), .POWEROFF(1'b1), .DATAOUT(q)
    );
endmodule
