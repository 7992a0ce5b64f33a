// Copied by qtt-hw. Whoever generated the design may use, change and relicense it without any condition.
// 18 x 18 signed multiplier, three registers deep, for tools that put such registers into a multiplier block: the
// attributes are Vivado's, Quartus' and GowinSynthesis'.
module qtt_multiplier (
    input  wire               clk,
    input  wire signed [17:0] a,
    input  wire signed [17:0] b,
    output wire signed [35:0] p
);
    reg signed [17:0] a_q, b_q;
    (* use_dsp = "yes", multstyle = "dsp", syn_dspstyle = "dsp" *)
    reg signed [35:0] p_q;
    reg signed [35:0] p_qq;
    always @(posedge clk) begin
        a_q  <= a;
        b_q  <= b;
        p_q  <= a_q * b_q;
        p_qq <= p_q;
    end
    assign p = p_qq;
endmodule
