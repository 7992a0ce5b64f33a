"""Bits by layer from the configuration to the RTL: trained, resumed, frozen, and equal at every stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import qtt_hw
from qtt_hw.data import Splits, load
from qtt_hw.graph import golden
from qtt_hw.training import Interrupted, load_config, load_run, train
from qtt_hw.training.batches import to_tensor

TOML = """
[model]
name = "voxtt"
args = { widths = [4, 6], strides = [2, 1], ranks = 3, head = "average" }
[data]
block = 2
[train]
epochs = 1
batch = 16
lr = 1e-2
threads = 1
[quant]
weight_bits = 4
epochs = 2
batch = 16
calibration = 2
reestimate = 2
[quant.layers]
"features.block1.conv" = { weight_bits = 8, activation_bits = 6 }
"features.block2.conv" = { weight_bits = 3, intermediate_bits = 5 }
"head.2" = { weight_bits = 6 }
"""

COMPRESS = """
[compress]
epochs = 1
pairs = 1
layers = ["features.block1.conv"]
ranks = { "features.block1.conv" = [2, 3, 3, 2] }
"""


@pytest.fixture(scope="module")
def solids() -> Splits:
    return load("solids:8", classes=3, per_class=20)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bits") / "bits.toml"
    path.write_text(TOML)
    return path


@pytest.fixture(scope="module")
def run(config: Path, solids: Splits) -> Path:
    """Trained in two parts, the first of which ends in the quantised phase."""

    def stop(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        if step == "train: quantized" and done == 4:
            raise Interrupted(config.parent, 15)

    with pytest.raises(Interrupted):
        train(config, solids, config.parent / "run", progress=stop)
    train(config, solids, config.parent / "run")
    return config.parent / "run"


def test_a_run_resumes_to_the_same_weights(config: Path, run: Path, solids: Splits) -> None:
    train(config, solids, config.parent / "whole")
    whole, resumed = (load_run(folder)[0].state_dict() for folder in (config.parent / "whole", run))
    assert all(torch.equal(whole[name], value) for name, value in resumed.items())
    other = config.parent / "other.toml"
    other.write_text(TOML.replace("weight_bits = 8", "weight_bits = 7"))
    with pytest.raises(ValueError, match=r"quant.layers.features.block1.conv.weight_bits \(8, now 7\)"):
        train(load_config(other).model_copy(update={"source": config.resolve()}), solids, run)


def test_the_integers_and_the_hardware_are_equal(run: Path, solids: Splits, tmp_path: Path) -> None:
    qtt_hw.freeze_run(run, tmp_path / "bits.qtt")
    graph = qtt_hw.load(tmp_path / "bits.qtt")
    widths: dict[str, set[int]] = {}
    for node in graph.nodes:
        if node.weight_bits:
            widths.setdefault(node.source, set()).add(node.weight_bits)
    assert widths == {"features.block1.conv": {8}, "features.block2.conv": {3}, "head.2": {6}}
    assert graph.edges["features.block1.conv"].format.bits == 6
    cores = [node.name for node in graph.nodes if node.source == "features.block2.conv"]
    assert [graph.edges[name].format.bits for name in cores] == [*[5] * (len(cores) - 1), 8] and len(cores) > 2

    prepared = load_run(run)[0]
    found = prepared.forward_all(to_tensor(graph.input, solids.test.x, torch.device("cpu")))
    expected = golden.run(graph, qtt_hw.preprocess(graph.input, solids.test.x), intermediates=True)
    assert list(found) == list(expected)
    for name, integers in expected.items():
        assert np.array_equal(found[name].permute(0, 2, 3, 4, 1).numpy(), integers), name

    qtt_hw.emit(graph, tmp_path / "build", qtt_hw.plan(graph, "ecp5-85f"), taps=True)
    result = qtt_hw.cosim(tmp_path / "build", solids)
    assert result.equal and result.cycles == result.predicted_cycles


@pytest.mark.parametrize("compressed", [False, True])
def test_an_unknown_layer_is_refused_before_training(solids: Splits, tmp_path: Path, compressed: bool) -> None:
    """But where layers are yet to be made: they have names only then."""
    path = tmp_path / "typo.toml"
    path.write_text(TOML.replace('"head.2"', '"haed.2"') + (COMPRESS if compressed else ""))

    def stop(*told: Any) -> None:
        raise Interrupted(tmp_path, 15)

    if compressed:
        with pytest.raises(Interrupted):
            train(path, solids, tmp_path / "run", progress=stop)
        return
    with pytest.raises(ValueError, match=r"no layer 'haed.2' that is quantised; did you mean 'head.2'\?"):
        train(path, solids, tmp_path / "run")
    assert not (tmp_path / "run").exists()
