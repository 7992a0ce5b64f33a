import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec, golden
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.plan.derive import derived
from sim.cosim import _job, _runs, cosim


def test_a_sound_design_is_equal_and_its_cycles_are_as_predicted(small_build: Any) -> None:
    told: list[tuple[object, ...]] = []
    result = cosim(
        small_build(), small_build.samples(20), processes=2, progress=lambda *report, **_: told.append(report)
    )
    assert result.equal and result.first_difference is None and result.failure is None
    assert (result.samples, result.engine, result.stalls) == (20, "verilator", False)
    assert (result.cycles, result.latency) == (9, 8)
    assert (result.predicted_cycles, result.predicted_latency) == (9, 8)
    assert result.cycles_equal is True
    assert told[0] == ("compiling the simulation",) and told[-1] == ("simulating", 20, 20)


def test_up_to_128_samples_are_one_run_whatever_the_processors(small_build: Any) -> None:
    x = small_build.samples(300)
    result = cosim(small_build(), x[:128], processes=4)
    assert (result.runs, result.run_length) == (1, 128)
    assert result.simulated_cycles == 128 * 9 - 1 + 1000, "back to back, and the quiet cycles behind"
    found = [cosim(small_build(), x, stalls=True, seed=7, processes=count) for count in (1, 4)]
    assert (found[0].runs, found[0].run_length) == (3, 128)
    assert found[0].model_dump(exclude={"seconds"}) == found[1].model_dump(exclude={"seconds"})
    whole = cosim(small_build(), x, run_length=300)
    assert (whole.runs, whole.simulated_cycles) == (1, 300 * 9 - 1 + 1000)


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize(
    "faults", [{"point": ((3, -2, 7), (-4, 1, 4))}, {"hang_at": 3}, {"late_at": 2}, {"repeat": True}, {"shift": 1}]
)
def test_what_is_found_is_the_same_on_any_number_of_processors(
    small_build: Any, faults: dict[str, Any], stalls: bool
) -> None:
    """Every run has the fault; which one is the first to end must not matter."""
    x = small_build.samples(31, seed=3)
    found = [cosim(small_build(**faults), x, stalls=stalls, run_length=6, processes=count) for count in (1, 2, 5)]
    one, *others = (result.model_dump(exclude={"seconds"}) for result in found)
    assert others == [one, one] and one["runs"] == 6
    assert not found[0].equal or found[0].first_cycle_difference is not None or (stalls and "late_at" in faults)


def test_a_run_s_stalls_depend_on_the_seed_and_its_first_sample_alone(small_build: Any) -> None:
    def seeds(count: int, length: int, seed: int) -> dict[int, int]:
        job = _job(small_build(), small_build.samples(count), True, seed)
        return {run.first: run.seed for run in _runs(job, length)}

    few, many = seeds(40, 20, 5), seeds(300, 20, 5)
    assert few == {first: many[first] for first in (0, 20)} and few[0] == 5
    longer = seeds(300, 100, 5)
    assert longer == {first: many[first] for first in (0, 100, 200)}
    others = [seeds(300, 20, seed) for seed in (5, 6, 2**32 - 1)]
    assert len({seed for found in others for seed in found.values()}) == 3 * 15


def test_a_wrong_prediction_is_not_a_difference_but_is_told(small_build: Any) -> None:
    result = cosim(small_build(extra_wait=1), small_build.samples(4))
    assert result.equal
    assert (result.cycles, result.latency, result.predicted_cycles) == (10, 9, 9)
    assert result.cycles_equal is False


def test_the_first_inference_that_is_late_is_named(small_build: Any) -> None:
    """Also where the last intervals are as predicted again, and by its number in its run and of all."""
    result = cosim(small_build(late_at=3), small_build.samples(9), processes=1)
    assert result.equal and (result.cycles, result.latency) == (9, 8) and result.periodic
    assert result.cycles_equal is False and result.first_cycle_difference is not None
    assert result.first_cycle_difference.model_dump() == {"sample": 3, "inference": 3, "predicted": 35, "simulated": 36}
    assert str(result.first_cycle_difference).startswith("sample 3 ended in cycle 36, predicted is 35")
    result = cosim(small_build(late_at=3), small_build.samples(9)[3:], run_length=3)
    assert result.cycles_equal is True and result.first_cycle_difference is None
    result = cosim(small_build(late_at=3), small_build.samples(12), run_length=6)  # both runs are late
    assert result.first_cycle_difference is not None and result.first_cycle_difference.sample == 3


def test_one_sample_is_compared_too(small_build: Any) -> None:
    assert cosim(small_build(), small_build.samples(1)).cycles_equal is True
    late = cosim(small_build(extra_wait=1), small_build.samples(1))
    assert (late.equal, late.cycles_equal, late.cycles, late.latency) == (True, False, None, 9)


def test_an_inference_that_never_ends_is_not_as_predicted(small_build: Any) -> None:
    result = cosim(small_build(hang_at=2), small_build.samples(4))
    assert result.failure is not None and result.cycles_equal is False
    assert str(result.first_cycle_difference).startswith("sample 2 did not end, predicted is 26")


def test_a_transient_and_a_period_are_compared(small_build: Any, tmp_path: Path) -> None:
    build = tmp_path / "uneven"
    shutil.copytree(small_build(late_at=3), build)
    manifest = json.loads((build / "manifest.json").read_text())
    for predicted, first in (
        ({"ends": [8, 17, 26, 36], "intervals": [9]}, None),
        ({"ends": [8, 17, 26, 36], "intervals": [9, 9, 10]}, 6),
        ({"ends": [8], "intervals": [9, 9, 10]}, 6),
        ({"ends": [8, 17, 27], "intervals": [9]}, 2),
    ):
        (build / "manifest.json").write_text(json.dumps(manifest | {"predicted": predicted}))
        result = cosim(build, small_build.samples(8), processes=1)
        found = result.first_cycle_difference
        assert (None if found is None else found.sample) == first and result.cycles_equal is (first is None)
        assert len(result.intervals) == len(predicted["intervals"])


def test_version_1_knows_of_the_latency_and_the_last_interval(small_build: Any, tmp_path: Path) -> None:
    build = tmp_path / "old"
    shutil.copytree(small_build(late_at=3), build)
    manifest = json.loads((build / "manifest.json").read_text())
    for latency, interval, first in ((8, 9, None), (9, 9, 0), (8, 10, 8)):
        predicted = {"interval": interval, "latency": latency}
        (build / "manifest.json").write_text(json.dumps(manifest | {"version": 1, "predicted": predicted}))
        found = cosim(build, small_build.samples(9), processes=1).first_cycle_difference
        assert (None if found is None else found.sample) == first
        assert cosim(build, small_build.samples(2)).cycles_equal is (latency == 8)


def test_uneven_intervals_of_a_generated_design(tmp_path: Path) -> None:
    """12, 7 and 9 cycles in turn: every one as predicted, in both processes."""
    edge = Edge((2, 1, 1, 1), Format(3, True, 0))
    weight = as_integers(np.array([[[1], [-2]], [[3], [1]]]).reshape(2, 2, 1, 1, 1))
    kernel = Format(3, True, 0, narrow=True)
    node = Contraction(
        "only", (INPUT,), "only", Window((2, 1, 1), (2, 1, 1)), weight, kernel, Requantizer(edge.format, 1)
    )
    graph = Graph("uneven", InputSpec(edge, edge.shape), (node,))
    spec = spec_of(node, (edge,), Folding(simd=1, pe=1, lanes=1, ring=4, queue=3, multiplier="logic"), ECP5)
    emit(graph, tmp_path / "build", derived(graph, [spec], "ecp5-25f", 100.0), taps=True)
    x = np.random.default_rng(1).integers(-4, 4, (23, *edge.shape))
    result = cosim(tmp_path / "build", x, processes=2)
    assert result.equal and result.cycles_equal is True and result.periodic
    assert sorted(result.intervals) == sorted(result.predicted.intervals) == [7, 9, 12]
    assert result.cycles == result.predicted_cycles == Fraction(28, 3)
    content = json.loads(result.model_dump_json())
    assert content["predicted"]["mean"] == {"numerator": 28, "denominator": 3}
    assert content["cycles"] == content["predicted_cycles"] == 28 / 3


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


def test_other_samples_and_folders_are_refused_in_one_line(small_build: Any, tmp_path: Path) -> None:
    build = small_build()
    with pytest.raises(ValueError, match=r"samples of shape \[1, 2, 3, 4\] given, .* takes \[1, 2, 3, 3\]$"):
        cosim(build, np.zeros((2, 1, 2, 3, 4), int))
    with pytest.raises(ValueError, match=r"outside -8 to 7$"):
        cosim(build, np.full((2, 1, 2, 3, 3), 8))
    with pytest.raises(ValueError, match=r"no samples given$"):
        cosim(build, np.zeros((0, 1, 2, 3, 3), int))
    with pytest.raises(ValueError, match=r"^engine 'iverilog' is not known; known are verilator, icarus, cocotb, py"):
        cosim(build, small_build.samples(1), engine="iverilog")  # type: ignore[arg-type]
    for name, value in (("seed", -1), ("seed", 2**32), ("run_length", 0)):
        with pytest.raises(ValueError, match=rf"^{name} must be [01] to 4294967295, got {value}$"):
            cosim(build, small_build.samples(1), **{name: value})
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
