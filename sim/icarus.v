// The bench of Icarus Verilog: feeds the words of input.hex into module `harness` and writes every transfer as a line.
//
// vvp bench.vvp +output=FILE +words_in=N +words_out=N +drain=D +watchdog=W +seed=S +source_stop=P +source_go=P
//     +sink_stop=P +sink_go=P [+from=C +to=C]
//
// Lines: stream and cycle of a sample's first input transfer (stream 0); stream, cycle and word, hexadecimal, of the
// output (1) and the taps (2 and up); and as the last one "end", status, cycle, last and taken, as module stream_rules
// tells them. The payload is unknown while it is not valid. File `waves` has the cycles from C to C, after which the run
// ends; in each the clock rises first, and inputs change a unit of time later.
`timescale 1ns/1ns
`define WALK(NAME) \
    NAME``_random = NAME``_random * 32'd1664525 + 32'd1013904223; \
    if (NAME``_stop != 0 && {1'b0, NAME``_random[31:24]} < (NAME``_stalled ? NAME``_go : NAME``_stop)) \
        NAME``_stalled = !NAME``_stalled;
`define SHOW \
    if (waves && !shown && now >= from) begin \
        shown = 1; \
        $dumpfile("waves"); \
        $dumpvars(`SHOWN); \
    end \
    now = now + 1;

module bench;
    reg clk, rst, i_valid, o_ready;
    reg [`INPUT_BITS-1:0] i_payload;
    wire i_ready, o_valid;
    wire [`OUTPUT_BITS-1:0] o_payload;
    `TAP_SIGNALS
    reg [63:0] words_in, words_out, drain, watchdog;
    wire [2:0] status;
    wire [63:0] cycle, last, taken, given;
    harness harness (
        .clk(clk), .rst(rst), .i_payload(i_payload), .i_valid(i_valid), .i_ready(i_ready),
        .o_payload(o_payload), .o_valid(o_valid), .o_ready(o_ready), `TAP_PORTS
        .words_in(words_in), .words_out(words_out), .drain(drain), .watchdog(watchdog),
        .status(status), .cycle(cycle), .last(last), .taken(taken), .given(given)
    );

    reg [8*64-1:0] path;
    reg [63:0] sent, seed;
    reg [31:0] source_random, sink_random;
    reg [8:0] source_stop, source_go, sink_stop, sink_go;
    reg source_stalled, sink_stalled, holding, read, waves, shown;
    reg signed [63:0] from, to, now;
    integer words, transfers, i;

    initial begin
        read = $value$plusargs("output=%s", path) && $value$plusargs("seed=%d", seed)
            && $value$plusargs("words_in=%d", words_in) && $value$plusargs("words_out=%d", words_out)
            && $value$plusargs("drain=%d", drain) && $value$plusargs("watchdog=%d", watchdog)
            && $value$plusargs("source_stop=%d", source_stop) && $value$plusargs("source_go=%d", source_go)
            && $value$plusargs("sink_stop=%d", sink_stop) && $value$plusargs("sink_go=%d", sink_go);
        words = $fopen("input.hex", "r");
        transfers = $fopen(path, "w");
        if (!read || words == 0 || transfers == 0) begin
            $display("bench: an argument or a file is missing");
            $finish;
        end
        waves = $value$plusargs("from=%d", from) && $value$plusargs("to=%d", to);
        shown = 0;
        now = -(`RESET + `SETTLE);
        seed = seed * 64'h9e3779b97f4a7c15 + 64'h632be59bd9b4e019;  // other seeds give other pairs
        source_random = seed[63:32];
        sink_random = seed[31:0];
        source_stalled = 0;
        sink_stalled = 0;
        holding = 0;
        sent = 0;
        i_valid = 0;
        i_payload = {`INPUT_BITS{1'bx}};
        o_ready = 0;
        clk = 0;
        #1;
        for (i = 0; i < `RESET + `SETTLE; i = i + 1) begin
            rst = i < `RESET;
            `SHOW
            #(`HALF - 1) clk = 0;
            #`HALF clk = 1;
            #1;
        end
        while (status === 3'd0 && (!waves || now <= to)) begin
            if (!holding) begin
                `WALK(source)
                holding = sent < words_in && !source_stalled;
                i_valid = holding;
                if (holding) i = $fscanf(words, "%h", i_payload);
                else i_payload = {`INPUT_BITS{1'bx}};
            end
            `WALK(sink)
            o_ready = !sink_stalled;
            `SHOW
            #(`HALF - 1) clk = 0;
            #`HALF;
            if (holding && i_ready === 1'b1) begin
                if (sent % `INPUT_WORDS == 0) $fwrite(transfers, "0 %0d\n", cycle);
                sent = sent + 1;
                holding = 0;
            end
            if (o_valid === 1'b1 && o_ready) $fwrite(transfers, "1 %0d %h\n", cycle, o_payload);
            `TAP_RECORDS
            clk = !waves || now <= to;
            #1;
        end
        $fwrite(transfers, "end %0d %0d %0d %0d\n", status, cycle, last, taken);
        $finish;
    end
endmodule
