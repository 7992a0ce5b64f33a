"""ROMs are found in the Verilog, left out of it, and replaced by patterns; a difference beside them has a name."""

from __future__ import annotations

import re

import pytest

from rtl_gen.contents import PATTERN, contents_of, patterned, refuse_difference, skeleton

TEXT = """// head
module qtt_top__a(clk);
  (* rom_style = "logic" *)
  reg [31:0] contents [1:0];
  initial begin
    contents[0] = 32'd4091412991;
    contents[1] = 32'd7;
  end
  (* ram_style = "block" *)
  reg [3:0] ring [1:0];
  initial begin
    ring[0] = 4'h0;
    ring[1] = 4'h0;
  end
endmodule

module qtt_top__b(clk);
  (* rom_style = "block" *)
  reg contents_0 [2:0];
  initial begin
    contents_0[0] = 1'h1;
    contents_0[1] = 1'h0;
    contents_0[2] = 1'h1;
  end
  assign x = 3;
endmodule
"""


def test_contents() -> None:
    a, b = contents_of(TEXT)
    assert (a.key, a.width, a.words) == ("qtt_top__a.contents", 32, (4091412991, 7))
    assert (b.key, b.width, b.words) == ("qtt_top__b.contents_0", 1, (1, 0, 1))


def test_a_skeleton_has_all_but_contents() -> None:
    other = TEXT.replace("32'd7", "32'd9").replace("contents_0[1] = 1'h0", "contents_0[1] = 1'h1")
    assert skeleton(other) == skeleton(TEXT) != TEXT
    assert "ring[0]" in skeleton(TEXT) and "contents [1:0]" in skeleton(TEXT)
    refuse_difference(TEXT, other, "build")


def test_patterns() -> None:
    text, roms = patterned(TEXT)
    assert [rom.key for rom in roms] == [rom.key for rom in contents_of(TEXT)]
    assert contents_of(text) == roms and all(len(rom.words) == PATTERN for rom in roms)
    assert text.count('rom_style = "block"') == 2 and "assign x = 3;" in text and "ring[0]" in text
    columns = {tuple(word >> bit & 1 for word in rom.words) for rom in roms for bit in range(rom.width)}
    assert len(columns) == 33
    assert patterned(TEXT.replace("32'd7", "32'd9"))[1] == roms, "whatever stood there"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("assign x = 3;", "assign x = 4;", "module qtt_top__b differs in more than the contents of ROMs"),
        ("reg [31:0]", "reg [30:0]", "module qtt_top__a differs in more than the contents of ROMs"),
        ("qtt_top__b", "qtt_top__c", "module qtt_top__b is there in one of the designs alone"),
        ("ring[1] = 4'h0", "ring[1] = 4'h1", "module qtt_top__a differs"),
    ],
)
def test_a_difference_has_a_name(old: str, new: str, line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"build: {line}")):
        refuse_difference(TEXT, TEXT.replace(old, new), "build")
