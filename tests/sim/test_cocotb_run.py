from typing import Any

import pytest

from sim.cosim import cosim


def test_cocotb_agrees_with_the_batch_harness(small_build: Any) -> None:
    told: list[tuple[object, ...]] = []
    x = small_build.samples(30)
    result = cosim(small_build(), x, engine="cocotb", progress=lambda *report, **_: told.append(report))
    assert result.equal and result.engine == "cocotb"
    assert (result.cycles, result.latency, result.cycles_equal) == (9, 8, True)
    assert told[-1] == ("simulating", 30, 30)


@pytest.mark.parametrize("stalls", [("sparse", "none"), ("bursty", "mostly"), ("mostly", "bursty")])
def test_stalls_change_nothing_but_time(small_build: Any, stalls: tuple[str, str]) -> None:
    result = cosim(small_build(), small_build.samples(12), engine="cocotb", stalls=stalls, seed=5)
    assert result.equal and result.cycles_equal is None
    assert result.simulated_cycles > 12 * 9 + 1000


def test_a_difference_is_the_batch_harness_s(small_build: Any) -> None:
    x = small_build.samples(4)
    x[:2] = 0
    batch = cosim(small_build(shift=3), x)
    result = cosim(small_build(shift=3), x, engine="cocotb")
    assert not result.equal
    assert result.first_difference == batch.first_difference is not None
    assert result.first_difference.sample == 2


def test_a_design_that_does_not_compile_is_one_line(small_build: Any) -> None:
    build = small_build(extra_wait=5)
    (build / "design.v").write_text("module qtt_top(input clk; endmodule\n")
    with pytest.raises(ValueError, match=r"^.*: Verilator could not compile the design: %Error: design\.v:1:"):
        cosim(build, small_build.samples(1), engine="cocotb")
