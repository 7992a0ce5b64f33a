"""The command line: help, usage errors, every bad input in one line, and nothing half-written."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

from boards.build import BuildResult, Counts
from boards.seeds import SeedResult, SeedResults
from qtt_hw import flow
from qtt_hw.cli import main, show
from qtt_hw.graph import Graph
from qtt_hw.graph.file import save
from rtl_gen.prediction import Prediction

OPTIONS = "options = { edge = 8, classes = 3, per_class = 20 }\n"
TOML = """
[model]
name = "voxtt"
args = { widths = [4, 4], strides = [2, 1], ranks = 2, head = "average" }
[data]
block = 2
OPTIONS[train]
epochs = 1
batch = 16
threads = 1
[quant]
epochs = 1
batch = 16
calibration = 1
reestimate = 1
""".replace("OPTIONS", OPTIONS)
VERBS = ("train", "quantize", "compress", "freeze", "eval", "check", "plan", "emit", "cosim", "build", "demo")

NET = """
from torch import nn
class Plain(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 27, 2))
class Bent(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv3d(1, 4, 3), nn.Softmax(1), nn.Flatten(), nn.Linear(4 * 27, 2))
"""


class Ran(NamedTuple):
    """What a call of `qtt` left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


class Qtt:
    """`qtt` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ran(code, *self._capsys.readouterr())

    def refuses(self, *arguments: object, code: int = 1) -> str:
        """The single line of a call that must fail."""
        ran = self(*arguments)
        assert ran.code == code and ran.out == ""
        err = "".join(line for line in ran.err.splitlines(keepends=True) if not line.startswith("qtt: data: "))
        assert err.startswith("qtt: ") and err.count("\n") == 1 and err.endswith("\n")
        return err.strip()

    def json(self, *arguments: object) -> dict:
        """The object that a call prints with --json."""
        ran = self(*arguments, "--json")
        assert ran.code == 0, ran.err
        assert ran.out.count("\n") == 1
        found = json.loads(ran.out)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def qtt(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Qtt:
    # A slow machine would otherwise add lines about slow steps.
    monkeypatch.setattr(show, "LONG", float("inf"))
    return Qtt(capsys)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(TOML)
    return path


@pytest.fixture(scope="module")
def graph(config: Path) -> Graph:
    from qtt_hw.training.untrained import untrained

    return untrained(config).graph


@pytest.fixture(scope="module")
def qtt_file(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.qtt"
    save(graph, path)
    return path


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


# Help and usage


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(qtt: Qtt, verb: str) -> None:
    ran = qtt(verb, "--help")
    assert ran.code == 0 and ran.err == ""
    assert f"  Example:\n    qtt {verb} " in ran.out
    assert "--json" in ran.out


def test_help_lists_every_verb(qtt: Qtt) -> None:
    ran = qtt("--help")
    assert ran.code == 0
    assert all(f"\n  {verb} " in ran.out for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--help"),
        (["fly"], "fly"),
        (["eval", "model.qtt"], "--data"),
        (["eval", "model.qtt", "--data", "solids", "--splits", "test"], "--splits"),
        (["plan", "model.qtt", "--fps", "fast"], "--fps"),
        (["build", "b", "--seed", "-1"], "--seed"),
        (["build", "b", "--seed", "9" * 30], "--seed"),
        (["build", "b", "--seeds", "0"], "--seeds"),
        (["build", "b", "--seeds", "1001"], "--seeds"),
        (["cosim", "b", "--data", "solids", "--seed", "-1"], "--seed"),
        (["train", "c.toml", "--data", "solids", "--out", "r", "--seed", "-1"], "--seed"),
        (["train", "c.toml", "--data", "solids", "--out", "r", "--seed", str(1 << 32)], "--seed"),
        (["plan", "model.qtt", "--classes", "0"], "--classes"),
        (["plan", "model.qtt", "--classes", "9" * 30], "--classes"),
        (["compress", "voxtt", "--data", "solids", "--out", "o", "--trials", "0"], "--trials"),
        (["compress", "voxtt", "--data", "solids", "--out", "o", "--steps", "9" * 30], "--steps"),
        (["compress", "voxtt", "--data", "solids", "--out", "o", "--max-accuracy-drop", "-1"], "--max-accuracy-drop"),
        (["cosim", "b", "--data", "solids", "--engine", "iverilog"], "--engine"),
        (["emit", "model.qtt"], "-o"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_the_option(qtt: Qtt, arguments: list[str], named: str) -> None:
    assert named in qtt.refuses(*arguments, code=2)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["plan", "model.qtt", "--fps", "0"], "qtt: --fps 0: must be above 0"),
        (["plan", "model.qtt", "--clock-mhz", "-3"], "qtt: --clock-mhz -3: must be above 0"),
        (["build", "b", "--frequency", "0"], "qtt: --frequency 0: must be above 0"),
        (["plan", "model.qtt", "--fps", "nan"], "qtt: --fps nan: must be above 0"),
        (["plan", "model.qtt", "--fps", "inf"], "qtt: --fps inf: must be at most 1e+09"),
        (["plan", "model.qtt", "--fps", "1e300"], "qtt: --fps 1e+300: must be at most 1e+09"),
        (["plan", "model.qtt", "--fps", "1e-300"], "qtt: --fps 1e-300: must be at least 1e-06"),
        (["plan", "model.qtt", "--clock-mhz", "0"], "qtt: --clock-mhz 0: must be above 0"),
        (["plan", "model.qtt", "--clock-mhz", "inf"], "qtt: --clock-mhz inf: must be at most 10000"),
        (["build", "b", "--frequency", "nan"], "qtt: --frequency nan: must be above 0"),
        (["build", "b", "--frequency", "1e300"], "qtt: --frequency 1e+300: must be at most 10000"),
        (
            ["compress", "voxtt", "--data", "solids", "--out", "o", "--max-accuracy-drop", "inf"],
            "qtt: --max-accuracy-drop inf: must be at most 100",
        ),
        (
            ["check", "voxtt", "--input", "1,99999,99999,99999"],
            "qtt: --input 1,99999,99999,99999: has more than 67108864 values",
        ),
        (
            ["cosim", "b", "--data", "solids", "--samples", "few"],
            "qtt: --samples few: expected a number from 1, or all",
        ),
        (["cosim", "b", "--data", "solids", "--samples", "0"], "qtt: --samples 0: expected a number from 1, or all"),
        (["cosim", "b", "--data", "solids", "--samples", "-3"], "qtt: --samples -3: expected a number from 1, or all"),
        (
            ["check", "net.py:Net", "--input", "8,15"],
            "qtt: --input 8,15: expected C,D,H,W or C,H,W, numbers above 0, such as 8,15,15,15 or 3,32,32",
        ),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_option(qtt: Qtt, arguments: list[str], line: str) -> None:
    assert qtt.refuses(*arguments) == line


def test_a_result_that_could_not_be_written_is_refused_before_the_work(qtt: Qtt, qtt_file: Path) -> None:
    missing = qtt_file.parent / "nowhere" / "plan.json"
    assert qtt.refuses("plan", qtt_file, "-o", missing) == (
        f"qtt: -o {missing}: the folder {missing.parent} does not exist"
    )
    assert qtt.refuses("plan", qtt_file, "-o", qtt_file.parent).endswith("is a folder; give a file name")


def test_only_a_file_of_its_own_kind_is_replaced(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    thesis, plan = tmp_path / "thesis.txt", tmp_path / "plan.json"
    thesis.write_text("work")
    run = tmp_path / "run"
    build = ("cosim", tmp_path, "--data", "solids")
    for arguments, what in (
        (("plan", qtt_file, "-o", thesis), "-o {}: exists and is not a plan"),
        (("plan", qtt_file, "-o", qtt_file), "-o {}: exists and is not a plan"),
        (("freeze", run, "-o", thesis), "-o {}: exists and is not a model file"),
        ((*build, "--vcd", thesis), "--vcd {}: exists and is not a waveform"),
    ):
        line = qtt.refuses(*arguments)
        assert line == f"qtt: {what.format(arguments[-1])}; choose another name"
    assert thesis.read_text() == "work"
    plan.touch()
    first = qtt.json("plan", qtt_file, "-o", plan)
    assert first == qtt.json("plan", qtt_file, "-o", plan)
    assert {name: value for name, value in first.items() if name != "explanation"} == json.loads(plan.read_text())
    assert "holds no run.json" in qtt.refuses("freeze", run, "-o", qtt_file), "a model file is replaced"


# Model files


def _edited(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _verbs_on(path: Path, target: Path) -> list[list[object]]:
    return [
        ["eval", path, "--data", "solids"],
        ["plan", path, "-o", target / "plan.json"],
        ["emit", path, "-o", target / "build"],
    ]


def test_a_truncated_or_edited_model_is_refused_by_every_verb(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    whole = qtt_file.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for name, content, reason in (
        ("short.qtt", whole[: len(whole) // 2], "not a model file, or cut short"),
        ("edited.qtt", bytes(flipped), "its content does not match its digest; the file was changed or damaged"),
        ("empty.qtt", b"", "not a model file, or cut short"),
    ):
        path = _edited(tmp_path / name, content)
        target = tmp_path / f"out-{name}"
        target.mkdir()
        for arguments in _verbs_on(path, target):
            line = qtt.refuses(*arguments)
            assert str(path) in line and reason in line
        assert list(target.iterdir()) == []


def test_a_missing_model_is_named(qtt: Qtt, tmp_path: Path) -> None:
    for arguments in _verbs_on(tmp_path / "none.qtt", tmp_path):
        assert "none.qtt" in qtt.refuses(*arguments)
    assert list(tmp_path.iterdir()) == []


# Data


def test_data_of_another_shape_type_or_place_is_refused(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    y = np.arange(20) % 3
    other = tmp_path / "other.npz"
    np.savez(other, x=np.random.default_rng(0).integers(0, 2, (20, 8, 8, 9), np.uint8), y=y)
    halves = tmp_path / "halves.npz"
    np.savez(halves, x=np.full((20, 8, 8, 8), 0.5), y=y)
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = {
        other: "its samples are [8, 8, 9, 1] (D, H, W, C), small takes [8, 8, 8, 1]",
        halves: "expected whole numbers 0 to 255",
        empty: "expected modelnet10_vox30.npz, or class folders that hold .npy volumes",
        tmp_path / "none": "no such file or folder",
    }
    for source, reason in cases.items():
        line = qtt.refuses("eval", qtt_file, "--data", source)
        assert str(source) in line and reason in line
    assert "there is no split 'all'" in qtt.refuses("eval", qtt_file, "--data", "solids", "--split", "all")


def test_data_of_other_classes_is_refused(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "cats.npz"
    np.savez(path, x=rng.integers(0, 2, (40, 8, 8, 8), np.uint8), y=np.array(["cat", "dog"] * 20))
    assert qtt.refuses("eval", qtt_file, "--data", path).endswith(
        "its classes are cat, dog; small knows box, sphere, cone"
    )


# Training


@pytest.mark.parametrize("bits", [0, 40])
def test_bit_widths_out_of_range_are_refused(qtt: Qtt, config: Path, tmp_path: Path, bits: int) -> None:
    path = tmp_path / "bits.toml"
    path.write_text(config.read_text() + f"weight_bits = {bits}\n")
    for arguments in (["train", path, "--data", "solids", "--out", tmp_path / "run"], ["plan", path]):
        line = qtt.refuses(*arguments)
        assert f"{path}: quant.weight_bits: " in line and f"got {bits}" in line
    assert list(tmp_path.iterdir()) == [path]


def test_training_is_refused_before_it_begins(qtt: Qtt, config: Path, net: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    plain = tmp_path / "plain.toml"
    plain.write_text(config.read_text().replace(OPTIONS, ""))
    line = qtt.refuses("train", plain, "--data", tmp_path / "none.npz", "--out", run)
    assert "none.npz: no such file" in line
    bent = tmp_path / "bent.toml"
    bent.write_text('[model]\nname = "net.py:Bent"\n[quant]\n')
    np.savez(tmp_path / "own.npz", x=np.random.default_rng(0).integers(0, 2, (40, 5, 5, 5), np.uint8), y=[0, 1] * 20)
    line = qtt.refuses("train", bent, "--data", tmp_path / "own.npz", "--out", run)
    assert "net.py:Bent: 1 (Softmax)" in line
    assert "accelerator must be cpu or cuda" in qtt.refuses(
        "train", config, "--data", "solids", "--out", tmp_path / "x", "--accelerator", "tpu"
    )
    assert not (tmp_path / "x").exists()


def test_a_folder_without_a_run_is_not_frozen(qtt: Qtt, tmp_path: Path) -> None:
    assert "holds no run.json" in qtt.refuses("freeze", tmp_path, "-o", tmp_path / "model.qtt")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_in_training_is_one_line_and_the_shells_code(
    qtt: Qtt, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qtt_hw.training as training
    from qtt_hw.training.stop import Interrupted

    def stop(*_: object, **__: object) -> None:
        raise Interrupted("run", 15)

    monkeypatch.setattr(training, "train", stop)
    line = qtt.refuses("train", config, "--data", "solids", "--out", tmp_path / "run", code=143)
    assert line == "qtt: run: stopped by SIGTERM; the same command goes on from here"

    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", press)
    assert qtt.refuses("train", config, "--data", "solids", "--out", "run", code=130) == "qtt: interrupted"


def test_a_fault_of_the_program_is_not_hidden(qtt: Qtt, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import qtt_hw.training as training

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(training, "train", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        qtt("train", config, "--data", "solids", "--out", "run")


# Checking


def test_check_names_what_cannot_be_lowered(qtt: Qtt, net: Path) -> None:
    found = qtt.json("check", f"{net}:Plain", "--input", "1,5,5,5")
    assert found["supported"] is True and [row["layer"] for row in found["layers"]] == ["0", "1", "2", "3"]
    ran = qtt("check", f"{net}:Bent", "--input", "1,5,5,5", "--json")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert found["supported"] is False
    assert [row["layer"] for row in found["layers"] if not row["supported"]] == ["1"]
    assert ran.err.startswith(f"qtt: {net}:Bent: 1 (Softmax) ") and ran.err.count("\n") == 1


ODD = """
from torch import nn
def odd():
    net = nn.Sequential()
    names = ("argmax", "größe", "[/red]", "[bold]", "a b", "input")
    layers = (nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.Conv3d(2, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3))
    for name, layer in zip(names, layers):
        net.add_module(name, layer)
    return net
def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(3))
class Raises(nn.Module):
    def __init__(self):
        raise KeyError("width")
"""


def test_check_shows_any_name_as_it_is_and_never_a_traceback(qtt: Qtt, tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(ODD, encoding="utf-8")
    found = qtt("check", f"{path}:odd", "--input", "1,3,3,3")
    assert found.code == 0
    assert all(name in found.out for name in ("argmax", "größe", "[/red]", "[bold]", "a b", "input"))
    ran = qtt("check", f"{path}:lazy", "--input", "1,5,5")
    assert ran.code == 1 and ran.err.count("\n") == 1
    assert ran.err.endswith("odd.py:lazy: 0 (LazyConv2d) has no weights before its first input; run the model on one\n")
    assert qtt.refuses("check", f"{path}:Raises", "--input", "1,5,5").endswith("odd.py:14: Raises: KeyError: 'width'")


def test_check_needs_a_network_and_its_shape(qtt: Qtt, net: Path, config: Path) -> None:
    assert "input shape C,D,H,W" in qtt.refuses("check", f"{net}:Plain")
    assert "has no class or function Gone" in qtt.refuses("check", f"{net}:Gone", "--input", "1,5,5,5")
    assert "nor in the zoo, voxtt" in qtt.refuses("check", "vgg")
    assert qtt.json("check", "voxtt-tiny")["supported"] is True
    assert qtt.json("check", config, "--input", "8,4,4,4")["supported"] is True


# Planning


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


def test_a_warning_is_one_line(qtt: Qtt, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "import warnings\nfrom torch import nn\n\n\ndef Net():\n"
        "    warnings.simplefilter('always')\n    warnings.warn('too\\nlarge')\n"
        "    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.Flatten(), nn.Linear(108, 2))\n"
    )
    ran = qtt("check", f"{path}:Net", "--input", "1,5,5,5")
    assert ran.code == 0 and ran.err == "qtt: warning: too large\n"


def test_an_unknown_device_names_the_known_ones(qtt: Qtt, qtt_file: Path) -> None:
    assert qtt.refuses("plan", qtt_file, "--device", "xc7").endswith(
        "device 'xc7' is not known; known are ecp5-12f, ecp5-25f, ecp5-45f, ecp5-85f, none"
    )


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


# Emission, simulation, synthesis


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
    assert "holds no demonstration" in qtt.refuses("demo", "-o", tmp_path)


def test_an_unknown_board_is_refused(qtt: Qtt, tmp_path: Path) -> None:
    line = qtt.refuses("build", tmp_path, "--board", "ulx4s")
    assert "ulx4s" in line and "ulx3s-85f" in line


# Results


def test_eval_prints_what_the_function_returns(qtt: Qtt, qtt_file: Path, graph: Graph) -> None:
    import qtt_hw

    found = qtt.json("eval", qtt_file, "--data", "solids")
    read = found.pop("dataset")
    assert found == qtt_hw.evaluate(graph, "solids").model_dump(mode="json")
    assert (read["sample_shape"], read["labels"]) == ([8, 8, 8, 1], ["box", "sphere", "cone"])
    assert (read["train"], read["validation"], read["test"]) == (540, 60, 300)
    assert (found["samples"], found["weight_bytes"]) == (300, graph.weight_bytes)
    assert 0 <= found["accuracy"] <= 1
    ran = qtt("eval", qtt_file, "--data", "solids")
    assert f"{found['accuracy']:.4f}" in ran.out
    assert ran.err.startswith(
        "qtt: data: solids: generated in 8 voxels along each edge; samples D, H, W, C = 8, 8, 8, 1 "
    )
    assert ran.err.count("\n") == 1


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


def test_what_a_users_file_prints_does_not_reach_stdout(qtt: Qtt, tmp_path: Path) -> None:
    path = tmp_path / "loud.py"
    path.write_text("print('loud')\n" + NET)
    ran = qtt("check", f"{path}:Plain", "--input", "1,5,5,5", "--json")
    assert json.loads(ran.out)["supported"] is True and ran.err == "loud\n"


def test_long_steps_leave_a_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "LONG", 0.0)
    with show.progress() as step:
        step("first", 1, 2)
        step("first", 2, 2)
        step("second", text="something")
        print("printed")
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.splitlines() == ["first: 2/2 in 0 s", "printed", "second: in 0 s"]


class _Timer:
    """In place of threading.Timer: goes off when it is told to."""

    started: ClassVar[list[_Timer]] = []

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self.seconds, self.action, self.daemon, self.cancelled = seconds, action, False, False

    def start(self) -> None:
        self.started.append(self)

    def cancel(self) -> None:
        self.cancelled = True


def test_a_step_that_takes_long_is_named_while_it_lasts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds after it has begun, off a terminal, whether it tells of progress or not; not after it has ended."""
    monkeypatch.setattr(show.threading, "Timer", _Timer)
    monkeypatch.setattr(_Timer, "started", [])
    with pytest.raises(ValueError, match="broken"), show.progress() as step:
        step("search", text="between 17 and 99 cycles")
        (search,) = _Timer.started
        step("search", text="between 17 and 40 cycles")
        assert (search.seconds, search.daemon) == (2.0, True) and _Timer.started == [search]
        search.action()
        step("depths of FIFOs", 1, 3)
        assert search.cancelled
        step("Verilog")
        raise ValueError("broken")
    assert all(timer.cancelled for timer in _Timer.started) and len(_Timer.started) == 3
    assert capsys.readouterr().err.splitlines() == ["search: between 17 and 40 cycles ..."]


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


@pytest.mark.usefixtures("default_signals")
def test_sigterm_removes_what_is_half_written(
    qtt: Qtt, qtt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rtl_gen.emit

    def kill(*_: object, **__: object) -> None:
        assert any(path.name.startswith(".build.") for path in tmp_path.iterdir())
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(rtl_gen.emit, "save_plan", kill)
    assert qtt.refuses("emit", qtt_file, "-o", tmp_path / "build", code=143) == "qtt: terminated"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_in_the_middle_of_emission_is_one_line_and_leaves_nothing(
    qtt_file: Path, tmp_path: Path, number: signal.Signals, word: str
) -> None:
    command = [sys.executable, "-m", "qtt_hw", "emit", str(qtt_file), "-o", str(tmp_path / "build")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while not any(path.name.startswith(".build.") for path in tmp_path.iterdir()):
            assert child.poll() is None
            time.sleep(0.001)
        child.send_signal(number)
        out, err = child.communicate(timeout=120)
    steps, said = err.splitlines()[:-1], err.splitlines()[-1]  # steps are told of where they take over two seconds
    assert (child.returncode, out, said) == (128 + number, "", f"qtt: {word}")
    assert not any("Traceback" in step for step in steps) and len(steps) <= 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("default_signals")
def test_a_sigterm_that_was_ignored_stays_ignored(
    qtt: Qtt, qtt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rtl_gen.emit

    save = rtl_gen.emit.save_plan
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    monkeypatch.setattr(rtl_gen.emit, "save_plan", lambda *given: (os.kill(os.getpid(), signal.SIGTERM), save(*given)))
    qtt("emit", qtt_file, "-o", tmp_path / "build")
    assert (tmp_path / "build" / "manifest.json").is_file()


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
