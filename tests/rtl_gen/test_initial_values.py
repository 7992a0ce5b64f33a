"""Initial values leave declarations; triggers are assigned when every process waits, and nothing else changes."""

from rtl_gen.initial_values import in_initial_statements

WRITTEN = """module top (clk, q);
  reg \\$auto$verilog_backend.cc:2355:dump_module$1  = 0;
  reg \\$1 ;
  output [3:0] q;
  reg [3:0] q = 4'h7;
  reg \\a.b  = 1'h0;
  (* ram_style = "block" *)
  reg [7:0] memory [1:0];
  initial begin
    memory[0] = 8'h00;
    memory[1] = 8'h01;
  end
  wire plain = 1'h1;
  always @(posedge clk)
    q <= 4'h1;
endmodule
"""

WANTED = """module top (clk, q);
  reg \\$auto$verilog_backend.cc:2355:dump_module$1 ;
  initial \\$auto$verilog_backend.cc:2355:dump_module$1  <= 0;
  reg \\$1 ;
  output [3:0] q;
  reg [3:0] q;
  initial q = 4'h7;
  reg \\a.b ;
  initial \\a.b  = 1'h0;
  (* ram_style = "block" *)
  reg [7:0] memory [1:0];
  initial begin
    memory[0] = 8'h00;
    memory[1] = 8'h01;
  end
  wire plain = 1'h1;
  always @(posedge clk)
    q <= 4'h1;
endmodule
"""


def test_declarations_with_a_value_become_statements():
    assert in_initial_statements(WRITTEN) == WANTED
    assert in_initial_statements(WANTED) == WANTED
