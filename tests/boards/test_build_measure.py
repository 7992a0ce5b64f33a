from pathlib import Path
from typing import get_args

import pytest

from boards.build import measure
from boards.place import Placer

BLOCK = """
module block(input clk, input signed [17:0] a, input signed [17:0] b, output reg signed [35:0] sum);
    reg signed [17:0] x, y;
    always @(posedge clk) begin
        x <= a;
        y <= b;
        sum <= sum + x * y;
    end
endmodule
"""


@pytest.fixture
def block(tmp_path: Path) -> Path:
    path = tmp_path / "block.v"
    path.write_text(BLOCK, encoding="utf-8")
    return path


@pytest.mark.parametrize("placer", get_args(Placer))
def test_measure_of_a_multiply_accumulate(block: Path, tmp_path: Path, placer: Placer) -> None:
    told: set[str] = set()
    result = measure([block], "block", placer=placer, work=tmp_path / "work", progress=lambda step, **_: told.add(step))
    assert (result["dsps"], result["brams"], result["ffs"]) == (1, 0, 72)
    assert result["luts"] >= 36
    path = result["critical_path"]
    assert path["total_ns"] == pytest.approx(path["logic_ns"] + path["routing_ns"], abs=2e-3)
    assert result["fmax_mhz"] == pytest.approx(1000 / path["total_ns"], rel=1e-2)
    assert 50 < result["fmax_mhz"] < 200, "an unregistered multiplier"
    assert path["start"] and path["end"]
    assert told == {"synthesis", "place and route"}
    assert (tmp_path / "work" / "report.json").is_file()
    log = (tmp_path / "work" / "nextpnr.log").read_text(encoding="utf-8")
    assert ("router2" in log) == (placer == "static") and result["placer"] == placer


def test_a_design_that_does_not_fit_says_by_how_much(tmp_path: Path) -> None:
    lanes = "\n".join(
        f"reg signed [17:0] x{i}; reg signed [35:0] p{i};\n"
        f"always @(posedge clk) begin x{i} <= {'a' if i == 0 else f'x{i - 1} ^ p{i - 1}'}; p{i} <= x{i} * b; end"
        for i in range(30)
    )
    path = tmp_path / "wide.v"
    path.write_text(
        "module wide(input clk, input signed [17:0] a, input signed [17:0] b, output signed [35:0] q);\n"
        f"{lanes}\nassign q = p29;\nendmodule\n",
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match=r"does not fit ecp5-25f: 30 multipliers \(MULT18X18D\) of 28, 2 too many$"):
        measure([path], "wide", device="ecp5-25f")


def test_errors_are_one_line(block: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^device 'ecp5-99f' is not known; known are ecp5-12f, .*none; did you mean ecp5-[0-9]+f\?$"
    ):
        measure([block], "block", device="ecp5-99f")
    with pytest.raises(ValueError, match=r"^yosys failed: ERROR: Module `other' not found!?$"):
        measure([block], "other")
    with pytest.raises(ValueError, match=r"missing\.v: there is no such Verilog file$"):
        measure([tmp_path / "missing.v"], "block")
    with pytest.raises(ValueError, match=r"^device 'none' cannot be placed"):
        measure([block], "block", device="none")
