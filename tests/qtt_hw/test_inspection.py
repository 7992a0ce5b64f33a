"""What `inspect` finds in a run whose faulty layer is known, what it proposes, and that the proposal is trained."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from qtt_hw.data import Splits, load
from qtt_hw.freezing import freeze_run
from qtt_hw.graph.file import load as load_model
from qtt_hw.inspection import InspectResult, inspect, is_inspection, is_proposal
from qtt_hw.training import load_config, train
from qtt_hw.training.config import Config, config_from

NET = """
from torch import nn
def Net():
    return nn.Sequential(
        nn.Conv3d(1, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm3d(8), nn.ReLU(),
        nn.Conv3d(8, 8, 3, padding=1, bias=False), nn.BatchNorm3d(8), nn.ReLU(),
        nn.AvgPool3d(2), nn.Flatten(), nn.Linear(64, 3),
    )
"""
CONTENT: dict[str, Any] = {
    "model": {"name": "net.py:Net"},
    "data": {"validation": 0.25},
    "train": {"epochs": 10, "batch": 16, "lr": 1e-2, "threads": 1},
    "quant": {"weight_bits": 8, "epochs": 0, "batch": 16, "layers": {"0": {"weight_bits": 2}}},
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load("solids:8", classes=3, per_class=80, validation=0.25)


@pytest.fixture(scope="module")
def run(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained to tell solids apart; then its first layer has 2 bits, all else 8."""
    folder = tmp_path_factory.mktemp("inspected")
    (folder / "net.py").write_text(NET)
    train(config_from(CONTENT, "faulty", folder / "faulty.toml"), splits, folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def found(run: Path, splits: Splits) -> InspectResult:
    output = run.parent / "inspection.json"
    result = inspect(run, splits, byte_budget=1200, output=output, config=run.parent / "bits.toml")
    assert is_inspection(output) and InspectResult.model_validate(json.loads(output.read_text())) == result
    return result


def test_the_layer_of_few_bits_is_found(found: InspectResult) -> None:
    first, *others = found.layers
    assert (first.layer, first.stages, first.weights, first.weight_bits) == ("0", ["0"], 8 * 27, 2)
    assert first.alone.loss > 2 * first.alone.loss_error and first.without.loss < 0
    assert all(abs(layer.alone.loss) < 0.2 * first.alone.loss for layer in others)
    assert first.weights_alone == first.bits[2] and abs(first.bits[8].loss) < 0.1 * first.bits[2].loss
    assert abs(first.activations_alone.loss) < 0.1 * first.alone.loss
    assert found.quantized.loss > found.in_float.loss and found.in_float.accuracy > 0.8
    assert (found.phase, found.samples, found.validation_samples) == ("quantized", 60, 60)
    assert abs(found.as_trained.loss) < 0.05 * (found.quantized.loss - found.in_float.loss)


def test_a_proposal_keeps_to_the_budget_and_is_trained_as_it_stands(
    found: InspectResult, run: Path, splits: Splits
) -> None:
    proposal = found.proposal
    assert proposal is not None and proposal.weight_bytes <= 1200 and found.tried == [proposal]
    assert proposal.bits["0"] > 2 and proposal.level.loss < found.quantized.loss and proposal.lossless
    path = run.parent / "bits.toml"
    assert is_proposal(path) and f"{found.command}\n" in path.read_text()
    config = load_config(path)
    assert config.quant is not None
    assert {name: bits.weight_bits for name, bits in config.quant.layers.items()} == proposal.bits
    assert tomllib.loads(found.toml or "")["quant"]["layers"] == tomllib.loads(path.read_text())["quant"]["layers"]
    train(config, splits, run.parent / "again", start=run)
    model = freeze_run(run.parent / "again", run.parent / "again.qtt").model
    graph = load_model(model)
    assert graph.weight_bytes == proposal.weight_bytes
    assert {node.source: node.weight_bits for node in graph.nodes if node.weight_bits} == proposal.bits


def test_without_a_budget_the_fewest_bits_without_loss(run: Path, splits: Splits) -> None:
    config = config_from({**CONTENT, "quant": {**CONTENT["quant"], "layers": {}}}, "whole", run.parent / "whole.toml")
    train(config, splits, run.parent / "whole", start=run)
    found = inspect(run.parent / "whole", splits, samples=40)
    proposal = found.proposal
    assert proposal is not None and proposal.lossless and proposal.weight_bytes < found.weight_bytes
    assert proposal in found.tried and found.tried == sorted(found.tried, key=lambda p: p.weight_bytes)
    # Bisection: what was tried below it loses something.
    assert not any(tried.lossless for tried in found.tried if tried.weight_bytes < proposal.weight_bytes)
    assert found.samples == 40 and " --samples 40" in found.command


def test_a_float_run_is_calibrated_and_the_same_each_time(run: Path, splits: Splits) -> None:
    plain = Config.model_validate(
        {name: CONTENT[name] for name in ("model", "data", "train")} | {"source": run.parent / "p.toml"}
    )
    train(plain, splits, run.parent / "plain")
    first, second = (inspect(run.parent / "plain", splits, byte_budget=1500) for _ in range(2))
    assert first.model_copy(update={"seconds": second.seconds}) == second
    assert first.phase == "float" and {layer.weight_bits for layer in first.layers} == {4}


def test_what_cannot_be_inspected_is_one_line(run: Path, splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no run.json"):
        inspect(tmp_path, splits)
    with pytest.raises(ValueError, match="samples must be above 0"):
        inspect(run, splits, samples=0)
    with pytest.raises(
        ValueError, match=r"^\S*/run: no bits by layer store 20 bytes or fewer; the least that can be are 651$"
    ):
        inspect(run, splits, byte_budget=20, samples=8)
    with pytest.raises(
        ValueError, match=r"bits.toml: names net.py relative to its folder; write the configuration into"
    ):
        inspect(run, splits, config=tmp_path / "bits.toml")
    with pytest.raises(ValueError, match=r"solids: its samples are \[6, 6, 6, 1\]"):
        inspect(run, load("solids:6", classes=3, per_class=10))
    with pytest.raises(ValueError, match=r"its classes are|has 2 classes"):
        inspect(run, load("solids:8", classes=2, per_class=10))
