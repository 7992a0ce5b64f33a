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
