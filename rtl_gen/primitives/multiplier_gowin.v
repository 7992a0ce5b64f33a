// Copied by qtt-hw. Whoever generated the design may use, change and relicense it without any condition.
// 18 x 18 signed multiplier, three registers deep: one MULT18X18 with its input, pipeline and output registers on.
// The ports are not declared signed: yosys would set aside the module for a second reading once it knows MULT18X18.
module qtt_multiplier (
    input  wire        clk,
    input  wire [17:0] a,
    input  wire [17:0] b,
    output wire [35:0] p
);
    MULT18X18 #(
        .AREG(1'b1), .BREG(1'b1), .PIPE_REG(1'b1), .OUT_REG(1'b1), .ASIGN_REG(1'b0), .BSIGN_REG(1'b0), .SOA_REG(1'b0),
        .MULT_RESET_MODE("SYNC")
    ) block (
        .CLK(clk), .CE(1'b1), .RESET(1'b0), .A(a), .B(b), .SIA(18'd0), .SIB(18'd0), .ASEL(1'b0), .BSEL(1'b0),
        .ASIGN(1'b1), .BSIGN(1'b1), .DOUT(p), .SOA(), .SOB()
    );
endmodule
