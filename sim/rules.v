// The rules of a stream, watched in every engine alike: `status` is 0 while a run goes on and says then how it ended.
//   1 done      every input word was taken, every output word came, and after `drain` quiet cycles none too much
//   2 fell      o_valid fell before a transfer
//   3 changed   o_payload changed before a transfer
//   4 unknown   a bit of an output is x or z (in simulators that have them)
//   5 surplus   more output words than the input makes
//   6 left      every output word came, but input words were not taken
//   7 deadlock  no transfer for `watchdog` cycles before all that
// Cycle 0 is the first one in which a word may be offered, SETTLE clock edges after the last one with rst = 1. Once
// status is set nothing moves any more: `cycle` is the one that it was found in, `last` that of the last transfer.
module stream_rules #(parameter [63:0] SETTLE = 17, parameter BITS = 1) (
    input wire clk,
    input wire rst,
    input wire i_valid,
    input wire i_ready,
    input wire [BITS-1:0] o_payload,
    input wire o_valid,
    input wire o_ready,
    input wire strobe,              // of any tap
    input wire unknown,             // a bit of a tap is
    input wire [63:0] words_in,     // that are sent
    input wire [63:0] words_out,    // that they make
    input wire [63:0] drain,
    input wire [63:0] watchdog,
    output reg [2:0] status,
    output reg [63:0] cycle,
    output reg [63:0] last,
    output reg [63:0] taken,
    output reg [63:0] given
);
    reg waiting;
    reg [BITS-1:0] held;
    wire settling = cycle[63];
    wire take = i_valid & i_ready;
    wire give = o_valid & o_ready;
    wire [63:0] last_now = !settling && (take || give || strobe) ? cycle : last;
    wire [63:0] taken_now = taken + {63'd0, take};
    wire [63:0] given_now = given + {63'd0, give};
    wire [63:0] quiet = cycle - last_now;

    always @(posedge clk)
        if (rst) begin
            status <= 3'd0;
            cycle <= -SETTLE;
            last <= 64'd0;
            taken <= 64'd0;
            given <= 64'd0;
            waiting <= 1'b0;
            held <= {BITS{1'b0}};
        end else if (status == 3'd0) begin
            last <= last_now;
            taken <= taken_now;
            given <= given_now;
            waiting <= o_valid & !o_ready;
            held <= o_payload;
            if (unknown || ^{i_ready, o_valid, o_valid ? o_payload : {BITS{1'b0}}} === 1'bx) status <= 3'd4;
            else if (waiting && !o_valid) status <= 3'd2;
            else if (waiting && o_payload != held) status <= 3'd3;
            else if (given_now > words_out) status <= 3'd5;
            else if (!settling && quiet >= drain && given_now == words_out) status <= taken_now == words_in ? 3'd1 : 3'd6;
            else if (!settling && quiet >= watchdog) status <= 3'd7;
            else cycle <= cycle + 64'd1;
        end
endmodule
