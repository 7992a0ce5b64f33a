"""All verbs alike: help, usage errors, and models that are damaged or missing."""

from __future__ import annotations

from pathlib import Path

import pytest

import qtt_hw
from tests.qtt_hw.cli.calls import Qtt

VERBS = ("train", "quantize", "compress", "freeze", "eval", "inspect")
VERBS += ("check", "plan", "emit", "cosim", "build", "run", "board", "report", "demo")


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
        (["report", "model.qtt"], "-o"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_the_option(qtt: Qtt, arguments: list[str], named: str) -> None:
    assert named in qtt.refuses(*arguments, code=2)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["plann"], "No such command 'plann'; did you mean plan?; see qtt --help"),
        (["zzz"], "No such command 'zzz'; see qtt --help"),
        (["plan", "m", "--devise", "x"], "No such option: --devise; did you mean --device?; see qtt plan --help"),
        (["--verison"], "No such option: --verison; did you mean --version?; see qtt --help"),
    ],
)
def test_a_typo_gets_what_may_have_been_meant(qtt: Qtt, arguments: list[str], line: str) -> None:
    assert qtt.refuses(*arguments, code=2) == f"qtt: {line}"


def test_of_a_choice_too(qtt: Qtt) -> None:
    line = qtt.refuses("cosim", "b", "--data", "solids", "--engine", "icurus", code=2)
    assert line.endswith("; did you mean icarus?; see qtt cosim --help")


def test_the_version_is_the_packages(qtt: Qtt) -> None:
    assert qtt("--version") == (0, f"qtt {qtt_hw.__version__}\n", "")


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
