import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtt_hw.graph import golden
from sim.cosim import cosim


def test_a_sound_design_is_equal_and_its_cycles_are_as_predicted(small_build: Any) -> None:
    done: list[int] = []
    result = cosim(small_build(), small_build.samples(20), processes=2, progress=done.append)
    assert result.equal and result.first_difference is None and result.failure is None
    assert (result.samples, result.engine, result.stalls) == (20, "verilator", False)
    assert (result.cycles, result.latency) == (9, 8)
    assert (result.predicted_cycles, result.predicted_latency) == (9, 8)
    assert result.cycles_equal is True
    assert done[-1] == 20


def test_a_wrong_prediction_is_not_a_difference_but_is_told(small_build: Any) -> None:
    result = cosim(small_build(extra_wait=1), small_build.samples(4))
    assert result.equal
    assert (result.cycles, result.latency, result.predicted_cycles) == (10, 9, 9)
    assert result.cycles_equal is False


@pytest.mark.parametrize("seed", range(6))
def test_random_stalls_change_nothing_but_time(small_build: Any, seed: int) -> None:
    result = cosim(small_build(), small_build.samples(40, seed), stalls=True, seed=seed)
    assert result.equal and result.stalls
    assert result.cycles_equal is None
    assert result.simulated_cycles > 40 * 9


def _expected(small_build: Any, x: np.ndarray) -> dict[str, np.ndarray]:
    return golden.run(small_build.graph(), x, intermediates=True)


def test_a_wrong_weight_is_located_by_its_tap(small_build: Any) -> None:
    x = small_build.samples(3)
    x[:, ..., 0] = 0
    x[1, 0, 1, 2, 0] = -8
    build = small_build(point=((3, -2, 7), (-4, 1, 4)))
    result = cosim(build, x)
    assert not result.equal
    difference = result.first_difference
    assert difference is not None
    assert (difference.stage, difference.sample, difference.index) == ("point", 1, (0, 1, 2, 1))
    golden_value = int(_expected(small_build, x)["point"][1, 0, 1, 2, 1])
    assert (difference.expected, difference.got) == (golden_value, golden_value - 2)
    # sample 1 starts 9 cycles after sample 0; its last word is the sixth; the tap is registered
    assert difference.cycle == 9 + 5 + 1
    assert str(difference).startswith("stage point, sample 1, index [0, 1, 2, 1] (D, H, W, C), cycle 15: expected ")


def test_without_taps_the_logit_is_named_and_taps_are_advised(small_build: Any) -> None:
    x = small_build.samples(3)
    result = cosim(small_build(shift=3, taps=False), x)
    assert not result.equal and result.first_difference is not None
    assert result.first_difference.stage == "head"
    assert result.first_difference.sample == 0
    assert result.first_difference.expected == int(_expected(small_build, x)["head"][0].ravel()[0])
    assert result.hint == "only the output is compared: emit with taps to find the stage"


@pytest.mark.parametrize(
    ("faults", "stage"),
    [({"shift": 3}, "point"), ({"shift": 1}, "point"), ({"swap": True}, "point"), ({"lose": 9}, "head")],
)
def test_faults_differ(small_build: Any, faults: dict[str, Any], stage: str) -> None:
    result = cosim(small_build(**faults), small_build.samples(4))
    assert not result.equal
    assert result.first_difference is not None and result.first_difference.stage == stage


def test_a_deadlock_is_named_with_its_cycle(small_build: Any) -> None:
    result = cosim(small_build(hang_at=2), small_build.samples(5))
    assert not result.equal
    assert result.failure == "deadlock: no transfer after cycle 24, 2 of 5 samples came out"
    assert result.first_difference is not None
    assert (result.first_difference.sample, result.first_difference.got) == (2, None)


def test_a_payload_that_changes_while_it_waits_is_refused(small_build: Any) -> None:
    result = cosim(small_build(fickle=True), small_build.samples(5), stalls=("none", "mostly"))
    assert not result.equal
    assert result.failure is not None and "o__payload changed while" in result.failure


def test_a_word_too_much_is_a_difference(small_build: Any) -> None:
    result = cosim(small_build(repeat=True), small_build.samples(1))
    assert not result.equal and result.first_difference is not None
    assert (result.first_difference.sample, result.first_difference.expected) == (1, None)
    result = cosim(small_build(repeat=True), small_build.samples(3))
    assert not result.equal and result.first_difference is not None
    assert (result.first_difference.sample, result.first_difference.stage) == (1, "last")


def test_a_wrong_expectation_fails(small_build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = golden.run

    def wrong(*args: Any, **kwargs: Any) -> dict[str, np.ndarray]:
        results = real(*args, **kwargs)
        results["head"][-1].ravel()[1] += 1
        return results

    monkeypatch.setattr(golden, "run", wrong)
    result = cosim(small_build(), small_build.samples(4))
    assert not result.equal and result.first_difference is not None
    assert (result.first_difference.stage, result.first_difference.sample) == ("head", 3)
    assert result.first_difference.index == (0, 0, 0, 1)


def test_a_vcd_shows_the_cycles_around_the_difference(small_build: Any, tmp_path: Path) -> None:
    path = tmp_path / "waves.vcd"
    x = small_build.samples(200)
    x[:, ..., 0] = 0
    x[150, 0, 0, 0, 0] = 4
    result = cosim(small_build(point=((3, -2, 7), (-4, 1, 4))), x, vcd=path, processes=1)
    assert result.first_difference is not None and result.first_difference.sample == 150
    cycle = result.first_difference.cycle
    assert cycle == 150 * 9 + 1
    text = path.read_text()
    assert "tap_point__strobe" in text
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert times[0] >= 2 * (cycle - 400) - 1 and 2 * cycle in times and times[-1] <= 2 * (cycle + 101)


def test_other_samples_and_folders_are_refused_in_one_line(small_build: Any, tmp_path: Path) -> None:
    build = small_build()
    with pytest.raises(ValueError, match=r"samples of shape \[1, 2, 3, 4\] given, .* takes \[1, 2, 3, 3\]$"):
        cosim(build, np.zeros((2, 1, 2, 3, 4), int))
    with pytest.raises(ValueError, match=r"outside -8 to 7$"):
        cosim(build, np.full((2, 1, 2, 3, 3), 8))
    with pytest.raises(ValueError, match=r"no samples given$"):
        cosim(build, np.zeros((0, 1, 2, 3, 3), int))
    with pytest.raises(ValueError, match=r"^engine 'iverilog' is not known; known are verilator, cocotb, pyverilator$"):
        cosim(build, small_build.samples(1), engine="iverilog")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"manifest\.json: there is no manifest; make the folder with `qtt emit`$"):
        cosim(tmp_path, small_build.samples(1))


def test_a_model_other_than_the_one_that_was_emitted_is_refused(small_build: Any, tmp_path: Path) -> None:
    build = small_build(extra_wait=3)
    manifest = json.loads((build / "manifest.json").read_text())
    (build / "manifest.json").write_text(json.dumps({**manifest, "digest": "0" * 64}))
    with pytest.raises(ValueError, match=r"model\.qtt: digest .* emitted from 000000000000; emit it again$"):
        cosim(build, small_build.samples(1))


def test_a_design_of_other_widths_is_refused(small_build: Any) -> None:
    build = small_build(extra_wait=4)
    text = (build / "design.v").read_text().replace("output [16:0] o__payload", "output [17:0] o__payload")
    (build / "design.v").write_text(text)
    with pytest.raises(ValueError, match=r"Verilator could not compile the design: .*o__payload"):
        cosim(build, small_build.samples(1))
