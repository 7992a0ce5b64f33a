"""The engine to which what nobody set is unknown: it agrees with the others, and finds what they cannot."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import sim.toolchain
from rtl_gen.manifest import Manifest
from sim import icarus
from sim.cosim import cosim
from sim.icarus import available, compile_icarus, without_initial_values

pytestmark = pytest.mark.skipif(not available(), reason="Icarus Verilog is missing: apt-get install iverilog")


def test_it_agrees_with_the_batch_harness(small_build: Any) -> None:
    told: list[tuple[object, ...]] = []
    x = small_build.samples(150)
    result = cosim(small_build(), x, engine="icarus", progress=lambda *report, **_: told.append(report))
    assert result.equal and result.engine == "icarus"
    assert (result.cycles, result.latency, result.cycles_equal) == (9, 8, True)
    assert (result.runs, result.run_length, told[-1]) == (2, 128, ("simulating", 150, 150))


@pytest.mark.parametrize("stalls", [("sparse", "none"), ("bursty", "mostly"), ("mostly", "bursty")])
def test_stalls_change_nothing_but_time(small_build: Any, stalls: tuple[str, str]) -> None:
    result = cosim(small_build(), small_build.samples(12), engine="icarus", stalls=stalls, seed=5)
    assert result.equal and result.cycles_equal is None
    assert result.simulated_cycles > 12 * 9 + 1000


def test_a_difference_is_the_batch_harness_s(small_build: Any) -> None:
    x = small_build.samples(4)
    x[:2] = 0
    batch = cosim(small_build(shift=3), x)
    result = cosim(small_build(shift=3), x, engine="icarus")
    assert not result.equal
    assert result.first_difference == batch.first_difference is not None


@pytest.mark.parametrize("fault", ["unset", "peeking"])
def test_what_only_unknown_values_show(small_build: Any, fault: str) -> None:
    build, x = small_build(**{fault: True}), small_build.samples(2)
    assert cosim(build, x).equal
    result = cosim(build, x, engine="icarus")
    assert result.failure is not None and result.failure.endswith("a bit of an output is unknown (x or z)")


def test_a_design_that_does_not_compile_is_one_line(small_build: Any) -> None:
    build = small_build(extra_wait=6)
    (build / "design.v").write_text("module qtt_top(input clk; endmodule\n")
    with pytest.raises(
        ValueError, match=r"^\S+: Icarus Verilog could not compile the design: design\.v:1: error: [^\n]*$"
    ):
        cosim(build, small_build.samples(1), engine="icarus")


def test_a_missing_program_is_named(small_build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim.toolchain.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=r"^engine icarus needs Icarus Verilog: the program iverilog is not on PATH"):
        cosim(small_build(), small_build.samples(1), engine="icarus")


def test_values_are_taken_from_registers_and_written_memories_alone() -> None:
    text = """module a (clk);
  reg \\$auto$verilog_backend.cc:1$1 ;
  initial \\$auto$verilog_backend.cc:1$1  <= 0;
  reg [3:0] count;
  initial count = 4'h0;
  reg [3:0] rom [1:0];
  initial begin
    rom[0] = 4'h1;
    rom[1] = 4'h2;
  end
  reg [3:0] \\ram$1  [1:0];
  initial begin
    \\ram$1 [0] = 4'h0;
    \\ram$1 [1] = 4'h0;
  end
  always @(posedge clk) begin
    \\ram$1 [count] <= count;
  end
endmodule
"""
    left = without_initial_values(text)
    kept = [line for line in text.splitlines() if "initial count" not in line]
    start = kept.index("  reg [3:0] \\ram$1  [1:0];") + 1
    assert left.splitlines() == kept[:start] + kept[start + 4 :]


def test_every_run_stalls_in_a_way_of_its_own(small_build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    real = icarus.speaking

    def noted(command: Any, *rest: Any, **options: Any) -> Any:
        given.extend(argument for argument in command(3) if argument.startswith("+seed="))
        return real(command, *rest, **options)

    monkeypatch.setattr(icarus, "speaking", noted)
    found = [
        cosim(small_build(), small_build.samples(8), engine="icarus", stalls=True, seed=seed, run_length=2, processes=1)
        for seed in (5, 5 + (1 << 31))
    ]
    assert all(result.equal for result in found) and len(set(given)) == len(given) == 8
    assert found[0].simulated_cycles != found[1].simulated_cycles


def test_a_port_of_another_width_than_the_manifest_s_is_refused(small_build: Any, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(small_build(), build)
    content = json.loads((build / "manifest.json").read_text())
    content["input"]["lane_bits"] += 1
    (build / "manifest.json").write_text(json.dumps(content))
    message = "the manifest's ports are not the design's: Port .* expects 12 bits, got 15"
    with pytest.raises(ValueError, match=message):
        compile_icarus(build, Manifest.load(build))
