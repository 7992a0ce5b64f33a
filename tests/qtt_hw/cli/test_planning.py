"""The verb plan: of models, configurations and networks, its table, its steps, and what does not fit."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qtt_hw.cli import main
from tests.qtt_hw.cli.calls import OPTIONS, TOML, Qtt


def test_a_plan_of_a_configuration_is_that_of_its_model(qtt: Qtt, config: Path, qtt_file: Path, tmp_path: Path) -> None:
    before, after = qtt.json("plan", config, "-o", tmp_path / "before.json"), qtt.json("plan", qtt_file)
    assert before == after
    explanation = before.pop("explanation")
    assert before == json.loads((tmp_path / "before.json").read_text())
    assert set(explanation) == {"lanes", "occupancy", "limit", "stages", "neighbours"}
    assert set(explanation["limit"]) == {"kind", "stage", "cycles", "share"}
    assert set(explanation["stages"][0]) == {"stage", "lanes", "occupancy", "busy", "reason"}
    assert set(explanation["neighbours"]) == {"smaller", "larger", "budgets"}
    for name in ("cycles", "multipliers", "dsps", "brams", "luts", "utilization", "rom_bits"):
        assert name in before
    given = qtt.json("plan", config, "--input", "8,4,4,4", "--classes", "3")
    assert given["cycles"] == before["cycles"]


def test_a_plan_s_table_says_why_in_a_hundred_columns(
    qtt: Qtt, qtt_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    args = ("plan", qtt_file, "--fps", "50000")
    shown = qtt(*args).out
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert all(text in shown for text in ("why not smaller", "rate set by", "to be faster", "occupancy", "this one"))
    explanation = qtt.json(*args)["explanation"]
    reasons = [stage["reason"] for stage in explanation["stages"]]
    assert any(reasons) and all(reason in shown for reason in reasons if reason is not None)
    assert f"{explanation['occupancy']:.1%} of {explanation['lanes']} lanes" in shown


def test_plans_beside_a_plan_can_be_left_out(qtt: Qtt, qtt_file: Path) -> None:
    assert "plans beside it" not in qtt("plan", qtt_file, "--no-neighbours").out
    assert qtt.json("plan", qtt_file, "--no-neighbours")["explanation"]["neighbours"] is None


def test_a_configuration_without_shape_is_not_planned(qtt: Qtt, config: Path, tmp_path: Path) -> None:
    path = tmp_path / "bare.toml"
    path.write_text(TOML.replace(OPTIONS, ""))
    assert qtt.refuses("plan", path).endswith("planning needs data, or an input shape C,D,H,W and classes")
    assert qtt.json("plan", path, "--data", "solids:8")["model"] == "bare"


def test_a_model_file_is_planned_without_data(qtt: Qtt, qtt_file: Path) -> None:
    assert "--data solids: is for a configuration; " in qtt.refuses("plan", qtt_file, "--data", "solids")


def test_an_unknown_device_names_the_known_ones(qtt: Qtt, qtt_file: Path) -> None:
    assert qtt.refuses("plan", qtt_file, "--device", "mx9").endswith(
        "device 'mx9' is not known; known are ecp5-12f, ecp5-25f, ecp5-45f, ecp5-85f, up5k, "
        "gw1nr-9c, gw2ar-18c, generic, xc7a35t, xc7a100t, none"
    )


@pytest.mark.long
def test_a_network_that_fits_with_engines_alone_is_told_so(qtt: Qtt) -> None:
    line = qtt.refuses("plan", "models/voxtt-modelnet10.qtt", "--device", "gw1nr-9c", "--fps", "20")
    assert "luts 333 % of the usable 6480" in line
    assert "holds it without engines; " in line
    assert line.endswith("; with engines (--engines) it fits, at 1395198 cycles, 72 frames a second")
    line = qtt.refuses("plan", "models/voxtt-modelnet10.qtt", "--device", "up5k")
    assert "; engines (--engines) do not help; " in line
    assert "engines" not in qtt.refuses("plan", "models/voxtt-modelnet10.qtt", "--device", "up5k", "--engines")


def test_a_device_too_small_is_told_by_how_much_with_the_nearest_plan(qtt: Qtt, tmp_path: Path) -> None:
    path = tmp_path / "wide.toml"
    path.write_text(TOML.replace("widths = [4, 4]", "widths = [96, 96, 96, 96]").replace("[2, 1]", "[1, 1, 1, 1]"))
    target = tmp_path / "plan.json"
    line = qtt.refuses("plan", path, "--device", "ecp5-12f", "-o", target)
    assert "does not fit ecp5-12f (" in line and "% of the usable" in line
    assert "it fits ecp5-" in line
    line = qtt.refuses("plan", path, "--device", "ecp5-85f", "--fps", "3e6", "-o", target)
    assert "3e+06 frames a second at 100 MHz does not fit ecp5-85f" in line
    assert "cycles are wanted, stage " in line and "the nearest plan that fits takes " in line
    assert not target.exists()


@pytest.mark.parametrize("verb", ["plan", "emit"])
def test_planning_names_its_steps(
    qtt: Qtt, qtt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    steps: list[str] = []

    @contextlib.contextmanager
    def recorded() -> Iterator[Callable[..., None]]:
        yield lambda step, done=0, total=0, text="": steps.append(step)

    monkeypatch.setattr(f"qtt_hw.cli.{'planning' if verb == 'plan' else 'hardware'}.progress", recorded)
    monkeypatch.setattr("rtl_gen.cycles.ROUNDS", 5)
    assert qtt(verb, qtt_file, "-o", tmp_path / "out").code == 0
    found = list(dict.fromkeys(steps))
    assert found[:3] == [verb, "search", "prediction of cycles"]
    assert found[3:5] == (["explanation", "neighbours"] if verb == "plan" else found[3:5])


def test_plan_takes_vectors_and_no_shape_beside_a_model_s_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\ndef Net():\n    return nn.Linear(4, 3)\n")
    call = ["plan", f"{tmp_path}/net.py:Net", "--input", "4", "--classes", "3", "--no-neighbours", "--json"]
    assert main(call) == 0
    assert json.loads(capsys.readouterr().out)["cycles"]
    for option, value in (("--input", "1,8,8,8"), ("--classes", "3")):
        assert main(["plan", "models/voxtt-modelnet10.qtt", option, value]) == 1
        assert capsys.readouterr().err.startswith(f"qtt: {option} {value}: is for a configuration")
