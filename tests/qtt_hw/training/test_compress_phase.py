"""Whole runs with learning-compression: no pre-training, resumed, tuned, quantised, started from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from qtt_hw.data import Splits
from qtt_hw.graph import golden
from qtt_hw.graph.preprocess import preprocess
from qtt_hw.nn import TTConv3d
from qtt_hw.training import TrainResult, float_model, frozen_graph, train
from qtt_hw.training.config import Config, load_config
from qtt_hw.training.store import RunStore

TOML = """
[model]
name = "voxtt"
args = { widths = [6, 8], strides = [1, 2], ranks = 2, head = "average", dense = true }
[data]
block = 2
[train]
epochs = 0
checkpoint_steps = 3
threads = 1
[compress]
epochs = 4
pairs = 3
batch = 8
lr = 1e-2
mu = 1e-2
[compress.ranks]
"blocks.1.conv" = [3, 3, 3, 3]
[tune]
epochs = 1
batch = 8
lr = 1e-3
[quant]
epochs = 2
batch = 8
calibration = 2
reestimate = 2
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, solids: Splits) -> Config:
    from qtt_hw.training.network import build_model

    path = tmp_path_factory.mktemp("config") / "compressed.toml"
    path.write_text(TOML.replace('"blocks.1.conv"', '"x"'))
    bare = load_config(path).changed("bare", {}, without=["compress", "tune"])
    network = build_model(bare, bare.data.input_spec(solids), 3, 0)
    second = [name for name, layer in network.named_modules() if isinstance(layer, torch.nn.Conv3d)][1]
    path.write_text(TOML.replace("blocks.1.conv", second))
    return load_config(path)


@pytest.fixture(scope="module")
def whole(config: Config, solids: Splits, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    folder = tmp_path_factory.mktemp("run") / "whole"
    return folder, train(config, solids, folder)


def test_every_phase(whole: tuple[Path, TrainResult], config: Config, solids: Splits) -> None:
    folder, result = whole
    assert list(result.phases) == ["float", "compress", "tune", "quantized"]
    made = result.phases["compress"].compressed
    assert config.compress is not None and made is not None
    assert made.ranks == config.compress.ranks and 0.0 < made.distance < 1.0
    assert made.parameters < result.phases["float"].parameters
    assert result.phases["tune"].parameters == result.parameters == made.parameters
    (layer,) = made.ranks
    for phase in ("compressed", "tune"):
        assert isinstance(float_model(folder, phase=phase).get_submodule(layer), TTConv3d)
    log = [line for line in (folder / "log.jsonl").read_text().splitlines() if '"compress"' in line]
    assert len(log) == 4 and all('"distance"' in line and '"penalty"' in line and '"mu"' in line for line in log)
    graph = frozen_graph(folder)
    assert sum(node.source == layer for node in graph.nodes) == 5
    x = preprocess(graph.input, solids.validation.x)
    scores = golden.run(graph, x)[graph.nodes[-1].name].reshape(len(x), -1)
    assert float((scores.argmax(axis=1) == solids.validation.y).mean()) == result.validation_accuracy


def test_killed_in_an_l_step_it_ends_the_same(
    whole: tuple[Path, TrainResult], config: Config, solids: Splits, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def progress(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        if step == "train: compress" and done == total // 2 + 1:
            raise Killed

    with pytest.raises(Killed):
        train(config, solids, tmp_path / "run", progress=progress)
    train(config, solids, tmp_path / "run")
    for phase in ("compress", "compressed", "tune", "quantized"):
        ours, theirs = (RunStore(folder).load_model(phase)[0] for folder in (tmp_path / "run", whole[0]))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs), phase


def test_a_quantised_run_starts_from_the_compressed_network(
    whole: tuple[Path, TrainResult], config: Config, solids: Splits, tmp_path: Path
) -> None:
    same = train(config, solids, tmp_path / "same", start=whole[0])
    assert list(same.phases) == ["quantized"]
    ours, theirs = frozen_graph(tmp_path / "same"), frozen_graph(whole[0])
    x = preprocess(ours.input, solids.validation.x[:8])
    last = ours.nodes[-1].name
    assert np.array_equal(golden.run(ours, x)[last], golden.run(theirs, x)[last])


def test_compression_starts_from_a_float_run(config: Config, solids: Splits, tmp_path: Path) -> None:
    dense = config.changed("dense", {"train": {"epochs": 1, "batch": 8}}, without=["compress", "tune", "quant"])
    train(dense, solids, tmp_path / "dense")
    ours = config.changed("ours", {"train": {"epochs": 1, "batch": 8}})
    result = train(ours, solids, tmp_path / "run", start=tmp_path / "dense")
    assert list(result.phases) == ["compress", "tune", "quantized"]
    with pytest.raises(ValueError, match="holds no finished float model to start from"):
        train(ours.changed("o", {"compress": {"mu": 0.5}}), solids, tmp_path / "o", start=tmp_path / "run")


def test_without_tuning_the_last_c_step_s_network_is_quantised(config: Config, solids: Splits, tmp_path: Path) -> None:
    plain = config.changed("plain", {"compress": {"epochs": 2, "pairs": 1}}, without=["tune"])
    result = train(plain, solids, tmp_path / "run")
    assert list(result.phases) == ["float", "compress", "quantized"]
    assert len(frozen_graph(tmp_path / "run").nodes) > len(frozen_graph(tmp_path / "run").labels)


def test_nothing_to_compress_is_told_before_training(config: Config, solids: Splits, tmp_path: Path) -> None:
    other = config.changed("other", {"compress": {"layers": ["gone"]}})
    with pytest.raises(ValueError, match="compress: the network has no layer 'gone'"):
        train(other, solids, tmp_path / "run")
    many = config.changed("many", {"train": {"epochs": 1}, "compress": {"pairs": 1000, "growth": 1.0}})
    with pytest.raises(ValueError, match="compress: 1000 pairs need as many steps, 4 epochs have"):
        train(many, solids, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match=r"tune trains what compress has made"):
        config.changed("bad", {}, without=["compress"])
    coded = {"form": "both", "bits": 4}
    with pytest.raises(ValueError, match="tune would train codes away; leave it out"):
        config.changed("coded", {"compress": coded})
