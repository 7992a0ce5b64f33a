"""The verbs emit, cosim and build: plans, folders and boards that do not fit, seeds, a late simulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from boards.build import BuildResult, Counts
from boards.seeds import SeedResult, SeedResults
from qtt_hw import flow
from rtl_gen.prediction import Prediction
from sim.icarus import available
from tests.qtt_hw.cli.calls import TOML, Qtt


def test_a_plan_of_another_model_is_refused(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    path = tmp_path / "other.toml"
    path.write_text(TOML.replace("widths = [4, 4]", "widths = [4]").replace("[2, 1]", "[2]"))
    assert qtt("plan", path, "-o", plan).code == 0
    line = qtt.refuses("emit", qtt_file, "--plan", plan, "-o", tmp_path / "build")
    assert f"{plan}: model: it is a plan of other, not of small" in line
    plan.write_text("{")
    assert str(plan) in qtt.refuses("emit", qtt_file, "--plan", plan, "-o", tmp_path / "build")
    assert not (tmp_path / "build").exists()


def test_a_build_says_what_its_seeds_came_to(qtt: Qtt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = [SeedResult(seed=seed, fmax_mhz=fmax) for seed, fmax in ((4, 101.5), (5, 120.25), (7, 99.0))]
    failed = SeedResult(seed=6, fmax_mhz=None, failure="nextpnr failed: ERROR: no route")
    counts = {"luts": 1, "ffs": 2, "dsps": 3, "brams": 4}
    predicted = Counts(dsps=3, brams=4, luts=5)
    given: list[dict[str, Any]] = []

    def build(folder: Path, board: str, **options: Any) -> BuildResult:
        given.append(options)
        results = SeedResults(tried=(*tried[:2], failed, tried[2])[: options["seeds"]], kept=5)
        clocks = {"clock_mhz": 100.0, "fmax_mhz": 120.25, "meets_timing": True}
        schedule = Prediction(ends=(8,), intervals=(9,))
        more = {"bitstream": "b.bit", "critical_path": (), "placer": "heap", "seconds": 1.0, "schedule": schedule}
        both = {"board": board, "device": "ecp5-85f", "seed": 5, "seeds": results, "predicted": predicted}
        return BuildResult.model_validate({**clocks, **counts, **more, **both})

    monkeypatch.setattr(flow, "build", build)
    ran = qtt("build", tmp_path, "--seed", 4, "--seeds", 4)
    assert ran.code == 0 and (given[0]["seed"], given[0]["seeds"]) == (4, 4)
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "seeds 4, seed 5 kept: 99.0 to 120.2 MHz, median 101.5" in lines
    assert "seed 6 nextpnr failed: ERROR: no route" in lines
    found = qtt.json("build", tmp_path, "--seed", 4, "--seeds", 4)["seeds"]
    assert (found["kept"], found["median_mhz"], found["least_mhz"], found["most_mhz"]) == (5, 101.5, 99.0, 120.25)
    assert [each["fmax_mhz"] for each in found["tried"]] == [101.5, 120.25, None, 99.0]
    assert "seeds" not in qtt("build", tmp_path).out and given[-1]["seeds"] == 1


def test_a_folder_that_is_no_build_is_refused_and_kept(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "mine.txt"
    kept.write_text("mine")
    assert "exists and is not a BUILD folder" in qtt.refuses("emit", qtt_file, "-o", tmp_path)
    assert "there is no manifest" in qtt.refuses("cosim", tmp_path, "--data", "solids")
    assert "manifest.json" in qtt.refuses("build", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_board_is_refused(qtt: Qtt, tmp_path: Path) -> None:
    line = qtt.refuses("build", tmp_path, "--board", "ulx4s")
    assert "ulx4s" in line and "ulx3s-85f" in line


def test_a_simulation_that_ends_later_than_predicted_fails(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    plan, build = tmp_path / "plan.json", tmp_path / "build"
    qtt("plan", qtt_file, "--device", "ecp5-85f", "-o", plan)
    qtt("emit", qtt_file, "--plan", plan, "-o", build)
    simulate = ("cosim", build, "--data", "solids", "--samples", "2")
    assert qtt.json(*simulate)["cycles_equal"] is True
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["predicted"]["ends"] = [end - 1 for end in manifest["predicted"]["ends"]]
    (build / "manifest.json").write_text(json.dumps(manifest))
    late = qtt(*simulate)
    assert late.code == 1 and "NO" in late.out
    assert f"qtt: {build}: not in the predicted cycle: sample 0 ended in cycle" in late.err


def test_waves_around_a_difference(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    if not available():
        pytest.skip("Icarus Verilog is missing: apt-get install iverilog")
    build, waves = tmp_path / "build", tmp_path / "w.fst"
    qtt("emit", qtt_file, "-o", build)
    simulate = ("cosim", build, "--data", "solids", "--engine", "icarus", "--waves", waves)
    equal = qtt(*simulate, "--samples", "1", "--around-difference")
    assert equal.code == 0 and "not written: there is no difference" in equal.out and not waves.exists()
    manifest = json.loads((build / "manifest.json").read_text())
    end = manifest["predicted"]["ends"][0] - 5
    manifest["predicted"]["ends"] = [before - 5 for before in manifest["predicted"]["ends"]]
    (build / "manifest.json").write_text(json.dumps(manifest))
    late = qtt(*simulate, "--samples", "1", "--around-difference", "--cycles", "40", "--json")
    found = json.loads(late.out)["waves"]
    assert late.code == 1 and found["file"] == str(waves)
    assert (found["first_cycle"], found["last_cycle"]) == (end - 40, end + 10)
    whole = qtt(*simulate)
    shown = "".join(whole.out.split())  # long lines are folded
    assert whole.code == 1 and f"gtkwave{tmp_path / 'w.gtkw'}" in shown
    assert f"surfer--command-file{tmp_path / 'w.sucl'}{waves}" in shown
    assert "samples2back" in shown, "of a whole run two, unless it is said how many"
    assert waves.stat().st_size > found["bytes"]


def test_options_of_waves_without_waves(qtt: Qtt, tmp_path: Path) -> None:
    simulate = ("cosim", tmp_path, "--data", "solids")
    assert qtt.refuses(*simulate, "--inside") == "qtt: --inside: wants --waves FILE"
    assert qtt.refuses(*simulate, "--around-difference") == "qtt: --around-difference: wants --waves FILE"
    line = qtt.refuses(*simulate, "--waves", tmp_path / "waves.vcd", "--cycles", "5")
    assert line == "qtt: --cycles 5: wants --around-difference"
    line = qtt.refuses(*simulate, "--waves", tmp_path / "waves.txt")
    assert line.endswith("waves.txt: end in .vcd, or in .fst, which is some ten times smaller")


def test_wrapped_and_made_for_other_weights(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    line = qtt.refuses("emit", qtt_file, "-o", build, "--like", tmp_path)
    assert line == f"qtt: {tmp_path}: was not made to take other weights; emit it with --exchangeable"
    found = qtt.json("emit", qtt_file, "-o", build, "--wrapper", "axi-stream", "--exchangeable")
    assert found["wrapper"] == {"kind": "axi-stream", "top": "qtt_axi", "source": "axi.v"} and found["exchangeable"]
    assert {"axi.v", "qtt_registers.h", "qtt_registers.py", "registers.md", "structure.json"} <= {
        path.name for path in build.iterdir()
    }
    shown = qtt("emit", qtt_file, "-o", tmp_path / "other", "--like", build)
    assert shown.code == 0 and "--like" in shown.out
    line = qtt.refuses("build", tmp_path / "other", "--placed-as", build)
    assert "build/ulx3s-85f: there is no bitstream; make it with `qtt build" in line
