// Copied by qtt-hw. Whoever generated the design may use, change and relicense it without any condition.
// 16 x 16 signed multiplier, three registers deep: the behavioural model for simulators.
module qtt_multiplier (
    input  wire               clk,
    input  wire signed [15:0] a,
    input  wire signed [15:0] b,
    output reg  signed [31:0] p
);
    reg signed [15:0] a_q, b_q;
    reg signed [31:0] p_q;
    always @(posedge clk) begin
        a_q <= a;
        b_q <= b;
        p_q <= a_q * b_q;
        p   <= p_q;
    end
endmodule

// Two products of 8 x 8 bits, two registers deep; `b0` and `b1` are signed.
module qtt_multiplier_pair #(
    parameter A_SIGNED = 1'b1
) (
    input  wire        clk,
    input  wire [ 7:0] a0,
    input  wire [ 7:0] b0,
    input  wire [ 7:0] a1,
    input  wire [ 7:0] b1,
    output reg  [15:0] p0,
    output reg  [15:0] p1
);
    reg signed [8:0] a0_q, a1_q;
    reg signed [7:0] b0_q, b1_q;
    wire signed [16:0] product_0 = a0_q * b0_q;
    wire signed [16:0] product_1 = a1_q * b1_q;
    always @(posedge clk) begin
        a0_q <= {A_SIGNED & a0[7], a0};
        a1_q <= {A_SIGNED & a1[7], a1};
        b0_q <= b0;
        b1_q <= b1;
        p0   <= product_0[15:0];
        p1   <= product_1[15:0];
    end
endmodule

// A memory of one port, 16384 x 16 bits: a word is read a cycle later; what is read in a cycle of a write is undefined.
module qtt_single_port (
    input  wire        clk,
    input  wire [13:0] address,
    input  wire [15:0] data,
    input  wire        write,
    output reg  [15:0] q
);
    reg [15:0] words [0:16383];
    always @(posedge clk) begin
        if (write) words[address] <= data;
        q <= write ? 16'hxxxx : words[address];
    end
endmodule
