// Behaviour of the iCE40 blocks that yosys knows only as black boxes: the PLL, as a wire. The design's clock is the
// oscillator's, locked after a few cycles.
module SB_PLL40_PAD #(
    parameter FEEDBACK_PATH = "", parameter DIVR = 0, parameter DIVF = 0, parameter DIVQ = 0, parameter FILTER_RANGE = 0
) (
    input PACKAGEPIN, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK
);
    reg [2:0] count = 0;
    assign PLLOUTGLOBAL = PACKAGEPIN;
    assign LOCK = &count;
    always @(posedge PACKAGEPIN) if (!LOCK) count <= count + 1;
endmodule

module SB_PLL40_CORE #(
    parameter FEEDBACK_PATH = "", parameter DIVR = 0, parameter DIVF = 0, parameter DIVQ = 0, parameter FILTER_RANGE = 0
) (
    input REFERENCECLK, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK
);
    reg [2:0] count = 0;
    assign PLLOUTGLOBAL = REFERENCECLK;
    assign LOCK = &count;
    always @(posedge REFERENCECLK) if (!LOCK) count <= count + 1;
endmodule
