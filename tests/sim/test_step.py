from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim.step
from qtt_hw.graph import golden
from sim.cosim import cosim


def test_stepping_shows_every_cycle(small_build: Any, tmp_path: Path) -> None:
    x = small_build.samples(2)
    expected = golden.run(small_build.graph(), x, intermediates=True)
    stepper = sim.step.open(small_build())
    assert (stepper.cycle, stepper.peek("i__valid"), stepper.peek("i__ready")) == (0, 0, 1)
    stepper.put(x[0])
    assert stepper.peek("i__valid") == 1
    assert stepper.peek("i__payload") == sum(int(v) % 16 << 4 * lane for lane, v in enumerate(x[0, 0, 0, 0]))
    stepper.step(5)
    assert (stepper.cycle, stepper.peek("o__valid"), len(stepper.taps["point"])) == (5, 0, 4)
    stepper.ready = False
    stepper.step(3)
    assert (stepper.cycle, stepper.peek("o__valid"), stepper.outputs) == (8, 1, [])
    assert stepper.peek("o__payload") == int(expected["head"][0].ravel()[0]) % 65536
    stepper.ready = True
    stepper.put(x[1])
    stepper.step(12)
    assert [cycle for cycle, _ in stepper.outputs] == [8, 9, 10, 17, 18, 19]
    assert stepper.starts == [0, 11]
    logits, best = stepper.results()
    np.testing.assert_array_equal(logits, expected["head"].reshape(2, 2))
    np.testing.assert_array_equal(best, np.argmax(logits, axis=1))
    with pytest.raises(
        ValueError, match=r"^port 'q' is not known; known are clk, rst, i__payload, .*tap_point__strobe"
    ):
        stepper.peek("q")


def test_the_stepping_engine_agrees_with_the_batch_harness(small_build: Any) -> None:
    x = small_build.samples(6)
    result = cosim(small_build(), x, engine="pyverilator")
    assert result.equal and result.engine == "pyverilator"
    assert (result.cycles, result.latency, result.cycles_equal) == (9, 8, True)
    assert cosim(small_build(), x, engine="pyverilator", stalls=True, seed=3).equal
    build = small_build(shift=3, hang_at=4)
    batch = cosim(build, x)
    stepped = cosim(build, x, engine="pyverilator")
    assert not stepped.equal
    assert stepped.first_difference == batch.first_difference is not None
    assert stepped.failure == batch.failure == "deadlock: no transfer after cycle 42, 4 of 6 samples came out"


def test_a_stepper_writes_waveforms(small_build: Any, tmp_path: Path) -> None:
    stepper = sim.step.open(small_build())
    stepper.trace(tmp_path / "waves.vcd")
    stepper.put(small_build.samples(1)[0])
    stepper.step(12)
    stepper.stop_trace()
    assert "tap_point__strobe" in (tmp_path / "waves.vcd").read_text()
