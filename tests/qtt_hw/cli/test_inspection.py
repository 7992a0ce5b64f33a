"""The verb inspect: what it prints, and what it refuses before it works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qtt_hw.cli.show import size
from qtt_hw.training import train
from tests.qtt_hw.cli.calls import Qtt


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    train(config, "solids", folder)
    return folder


def test_tables_and_json_say_the_same(qtt: Qtt, run: Path, tmp_path: Path) -> None:
    output, config = tmp_path / "found.json", tmp_path / "bits.toml"
    given = ["inspect", run, "--data", "solids", "--bytes", "0.32k"]
    ran = qtt(*given, "-o", output, "--config", config)
    assert ran.code == 0, ran.err
    found = json.loads(output.read_text())
    bits = found["proposal"]["bits"]
    assert found["byte_budget"] == 320 and found["proposal"]["weight_bytes"] <= 320
    lines = ran.out.splitlines()
    for layer in found["layers"]:
        (row, at_bits) = [line for line in lines if line.strip().startswith(layer["layer"] + " ")]
        assert f"{layer['alone']['loss']:+.4f} +- {layer['alone']['loss_error']:.4f}" in row
        assert f"{layer['bits']['2']['loss']:+.4f}" in at_bits
    fragment = [line.split("bits", 1)[-1].strip() if "[quant" in line else line.strip() for line in lines]
    assert "[quant.layers]" in fragment
    assert all(f'"{name}" = {{ weight_bits = {width} }}' in fragment for name, width in bits.items())
    printed = qtt.json(*given)
    del printed["dataset"]
    assert {**printed, "seconds": 0} == {**found, "seconds": 0}
    # Written again in place of its own, and of nothing else.
    assert qtt(*given, "-o", output, "--config", config).code == 0
    (tmp_path / "own.toml").write_text("[model]\n")
    assert "exists and is not what qtt inspect wrote" in qtt.refuses(*given, "--config", tmp_path / "own.toml")
    assert "exists and is not an inspection" in qtt.refuses(*given, "-o", tmp_path / "own.toml")


def test_nothing_proposed_is_said(qtt: Qtt, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qtt_hw.training.proposal import Proposals

    monkeypatch.setattr(Proposals, "lossless", lambda self: None)
    ran = qtt("inspect", run, "--data", "solids", "--config", tmp_path / "bits.toml")
    assert ran.code == 1 and "nothing: 0 choices of fewer bits all lose something" in ran.out
    assert "so " in ran.err and "bits.toml is not written; --bytes proposes some" in ran.err
    assert not (tmp_path / "bits.toml").exists()


def test_wrong_values_are_refused(qtt: Qtt, run: Path) -> None:
    given = ["inspect", run, "--data", "solids"]
    assert "--bytes many: expected bytes such as 16000, 16k or 16Ki" in qtt.refuses(*given, "--bytes", "many")
    assert "--phase must be quantized or float, got half" in qtt.refuses(*given, "--phase", "half")
    assert "--samples" in qtt.refuses(*given, "--samples", "0", code=2)


@pytest.mark.parametrize(
    ("text", "found"), [("16000", 16000), ("16k", 16000), ("16Ki", 16384), ("1.5kB", 1500), ("1M", 10**6)]
)
def test_sizes(text: str, found: int) -> None:
    assert size("--bytes", text) == found


@pytest.mark.parametrize("text", ["", "k", "-3", "0", "0.0001", "1e3", "9" * 40, "16 g", "\u0661k"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="^--bytes"):
        size("--bytes", text)
