"""From a user's dense network to a plan, on generated solids."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import qtt_hw
from qtt_hw import compression
from qtt_hw.cli import main
from qtt_hw.compression import CompressResult, _compressing, compress
from qtt_hw.folders import COMPRESSION, MARKER, RUN, claim
from qtt_hw.graph import Contraction
from qtt_hw.graph.file import load
from qtt_hw.locks import Busy, locked
from qtt_hw.training import train
from qtt_hw.training.compressed import compressible, left_dense
from qtt_hw.training.config import config_from, configuration, load_config
from qtt_hw.training.rank_search import Point
from qtt_hw.training.sections import CompressSection
from qtt_hw.user_code import load_name
from rtl_gen.families import Device
from rtl_gen.plan.plan import load_plan

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(8, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(),
            nn.Conv3d(6, 24, 3, padding=1), nn.BatchNorm3d(24), nn.ReLU(),
            nn.Conv3d(24, 24, 3, padding=1), nn.BatchNorm3d(24), nn.ReLU(),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(24, 3))
    def forward(self, x):
        return self.head(self.body(x))
class Bottleneck(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.relu = nn.Conv3d(8, 24, 1), nn.ReLU()
        self.narrow, self.conv, self.widen = nn.Conv3d(24, 16, 1), nn.Conv3d(16, 16, 3, padding=1), nn.Conv3d(16, 48, 1)
        self.shortcut, self.pool, self.linear = nn.Conv3d(24, 48, 1), nn.AdaptiveAvgPool3d(1), nn.Linear(48, 3)
    def forward(self, x):
        x = self.relu(self.first(x))
        y = self.widen(self.relu(self.conv(self.relu(self.narrow(x)))))
        return self.linear(self.pool(self.relu(y + self.shortcut(x))).flatten(1))
def Perceptron():
    return nn.Sequential(nn.Flatten(), nn.Linear(512, 48), nn.ReLU(), nn.Linear(48, 3))
class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv3d(8, 6, 3, padding=1), nn.AdaptiveAvgPool3d(1)
        self.flat, self.linear = nn.Flatten(), nn.Linear(6, 3)
    def forward(self, x):
        return self.linear(self.flat(self.pool(self.conv(x))))
"""

TOML = """
[model]
name = "net.py:Net"
[data]
block = 2
options = { classes = 3, per_class = 20 }
[train]
epochs = 4
batch = 8
lr = 1e-2
threads = 1
[quant]
weight_bits = 4
epochs = 2
batch = 8
calibration = 2
reestimate = 2
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    path = tmp_path / "dense.toml"
    path.write_text(TOML)
    return path


def test_a_user_s_network_becomes_a_model_and_a_plan(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that one of the two trials that come first cuts ranks low enough to matter in a small network.
    monkeypatch.setattr("qtt_hw.training.rank_search.STEP", 0.09)
    out, told = tmp_path / "out", set()
    small = Device("small", 28, 9, 24288)
    arguments = {"device": small, "max_accuracy_drop": 60.0, "trials": 2, "steps": 3}
    found = compress(source, "solids:8", out, **arguments, progress=lambda step, *rest, **words: told.add(step))  # type: ignore[arg-type]
    assert found.met and found.dense_cycles is not None and found.cycles < found.dense_cycles
    assert found.ranks and found.parameters < found.dense_parameters
    assert found.drop == pytest.approx(100 * (found.dense_accuracy - found.accuracy), abs=1e-3)
    graph, plan = load(out / "model.qtt"), load_plan(out / "plan.json")
    assert plan.cycles == found.cycles and graph.weight_bytes == found.weight_bytes
    trains = {stage.name.rsplit(".", 1)[0] for stage in graph.nodes if stage.name.endswith(".d")}
    assert trains == set(found.ranks)
    assert {"dense, train: float", "ranks", "plan"} <= told
    assert {step.split(" ")[-1] for step in told if step.startswith("trial")} == {"compress", "tune", "quantized"}
    front = json.loads((out / "front.json").read_text())
    assert len(front["points"]) == len(found.front) and (out / "front.png").stat().st_size > 1000
    assert compress(source, "solids:8", out, **arguments) == found  # type: ignore[arg-type]
    layers = {layer.layer: layer for layer in found.layers}
    assert list(layers) == ["body.0", "body.3", "body.6", "head.2"]
    assert {name: layer.ranks for name, layer in layers.items() if layer.ranks} == found.ranks
    assert layers["body.0"].why == "is the first convolution"
    assert layers["head.2"].why == "has 72 weights, a linear layer takes part from 4096 on"
    saved = sum(layer.dense_parameters - layer.parameters for layer in layers.values())
    assert saved == found.dense_parameters - found.parameters > 0


def test_a_bottleneck_s_pointwise_layers_become_trains(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qtt_hw.training.rank_search.STEP", 0.09)
    config = load_config(source).changed("narrow", {"model": {"name": "net.py:Bottleneck"}, "train": {"epochs": 1}})
    small, out = Device("small", 28, 20, 24288), tmp_path / "out"
    found = compress(config, "solids:8", out, device=small, max_accuracy_drop=100.0, trials=2, steps=1)
    assert set(found.ranks) == {"narrow", "conv", "widen", "shortcut"}
    assert found.ranks["narrow"][0] == 24  # all of its channels, where a train of 24 by 16 has ranks of at most 16
    assert load(out / "model.qtt").weight_bytes == found.weight_bytes


def test_large_linear_layers_become_two(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtt_hw.training.rank_search.STEP", 0.09)
    config = load_config(source).changed("mlp", {"model": {"name": "net.py:Perceptron"}, "train": {"epochs": 1}})
    small, out = Device("small", 28, 20, 24288), tmp_path / "out"
    found = compress(config, "solids:8", out, device=small, max_accuracy_drop=100.0, trials=2, steps=1)
    ((rank,),) = found.ranks.values()
    assert [node.name for node in load(out / "model.qtt").nodes] == ["1.first", "1.last", "3"]
    first, last = found.layers
    assert (first.layer, first.ranks, first.parameters) == ("1", (rank,), rank * 560 + 48)
    assert last.why == "has 144 weights, a linear layer takes part from 4096 on"
    assert found.parameters == first.parameters + last.parameters


@pytest.mark.long
def test_a_larger_device_in_the_same_folder_searches_anew(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="no trial fits tiny"):
        compress(source, "solids:8", out, device=Device("tiny", 2, 1, 1000), trials=2, steps=1)
    found = compress(source, "solids:8", out, device="ecp5-25f", max_accuracy_drop=100.0, trials=2, steps=1)
    assert found.met and found.accuracy > 0.0 and all(point.accuracy > 0.0 for point in found.front)


def test_a_network_in_a_folder_of_its_own(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "net.py").rename(tmp_path / "sub" / "net.py")
    monkeypatch.chdir(tmp_path)
    config = configuration("sub/net.py:Net")
    assert config.name == "net" and config.folder == Path("sub")
    options = {
        "data": {"block": 2, "options": {"classes": 3, "per_class": 20}},
        "train": {"epochs": 2, "batch": 8, "threads": 1},
    }
    short = config.changed(config.name, {**options, "quant": {"epochs": 1, "batch": 8}})
    found = compress(short, "solids:8", "out", device="ecp5-25f", max_accuracy_drop=100.0, trials=1, steps=1)
    assert Path(found.model).exists()


def test_a_finished_one_is_shown_when_its_weights_have_gone(source: Path, tmp_path: Path) -> None:
    net = load_name(tmp_path / "net.py", "Net")()
    torch.save(net.state_dict(), tmp_path / "w.pt")
    source.write_text(
        TOML.replace('"net.py:Net"', '"net.py:Net"\nweights = "w.pt"').replace("epochs = 4", "epochs = 1")
    )
    arguments = {"device": "ecp5-25f", "max_accuracy_drop": 100.0, "trials": 1, "steps": 1}
    found = compress(source, "solids:8", tmp_path / "out", **arguments)  # type: ignore[arg-type]
    (tmp_path / "w.pt").unlink()
    assert compress(source, "solids:8", tmp_path / "out", **arguments) == found  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="w.pt: No such file"):
        compress(source, "solids:8", tmp_path / "new", **arguments)  # type: ignore[arg-type]


def test_it_goes_on_as_the_dense_network_was_trained(source: Path) -> None:
    sgd = {"optimizer": "sgd", "lr": 0.2, "weight_decay": 5e-4, "momentum": 0.8, "ema": 0.9, "epochs": 10}
    config = load_config(source).changed("sgd", {"train": sgd})
    point = Point({"body.3": (2, 2, 2, 2)}, 0.9, 1, 1, 1, 1, 0)
    made = _compressing(config, point)
    for section in (made.compress, made.tune):
        assert section is not None and section.optimizer == "sgd" and section.lr == 0.05 and section.epochs == 5
        assert (section.weight_decay, section.momentum, section.ema, section.batch) == (5e-4, 0.8, 0.9, 8)
    for form, bits in (("both", 4), ("codes", None), ("tucker", None)):
        own = {"form": form, "bits": 4 if form != "tucker" else None}
        made = _compressing(load_config(source).changed("own", {"compress": own}), point)
        assert made.compress is not None and made.compress.ranks == point.ranks and made.compress.bits == bits
        assert made.compress.form == ("both" if form == "both" else "train")
        assert (made.tune is None) == (form == "both")
        config_from(made.model_dump(mode="json"), "run.json")  # it can be read again


@pytest.mark.long
def test_a_rate_that_is_enough(source: Path, tmp_path: Path) -> None:
    arguments = {"device": "ecp5-25f", "max_accuracy_drop": 100.0, "trials": 2, "steps": 1, "bits": 3, "epochs": 1}
    found = compress(source, "solids:8", tmp_path / "o", fps=2000.0, seed=3, **arguments)  # type: ignore[arg-type]
    assert 2000.0 <= found.frames_per_second < 20_000.0
    description = json.loads((tmp_path / "o" / "dense" / "run.json").read_text())["config"]
    assert (description["train"]["epochs"], description["train"]["seed"]) == (1, 3)
    graph = load(tmp_path / "o" / "model.qtt")
    assert {node.weight_bits for node in graph.nodes if isinstance(node, Contraction)} == {3}
    with pytest.raises(
        ValueError, match=r"no trial reaches 1e\+07 frames a second on ecp5-25f at 100 MHz, the fastest "
    ):
        compress(source, "solids:8", tmp_path / "o", fps=1e7, seed=3, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fps must be above 0, got 0"):
        compress(source, "solids:8", tmp_path / "o", fps=0.0)


def test_each_layer_that_stays_dense_has_its_reason() -> None:
    net = nn.Sequential(
        nn.Linear(1, 1),
        nn.Conv3d(4, 8, 3, groups=2),
        nn.Conv3d(8, 8, 3),
        nn.Conv3d(8, 8, 3, dilation=(1, 2, 2)),
        nn.Conv3d(8, 8, 3, padding=1, padding_mode="reflect"),
        nn.Conv3d(8, 8, 3),
        nn.BatchNorm3d(8),
        nn.Linear(8, 3),
    )
    assert left_dense(net, None) == {
        "0": "has 1 weights, a linear layer takes part from 4096 on",
        "1": "has 2 groups of channels; trains are of convolutions without",
        "2": "is the first convolution",
        "4": "has padding_mode 'reflect'",
        "7": "has 24 weights, a linear layer takes part from 4096 on",
    }

    class Plain(nn.Conv3d):
        def __init__(self) -> None:
            super().__init__(8, 8, 3)

    class Bent(nn.Conv3d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 2

    derived = nn.Sequential(nn.Conv3d(8, 8, 1), Plain(), Bent(8, 8, 3))
    assert compressible(derived) == ("1",)
    assert left_dense(derived, None)["2"] == "trains are for Conv2d, Conv3d and Linear, not Bent"
    named = CompressSection(layers=("2",))
    assert left_dense(net, named)["5"] == "is none of compress.layers" and "2" not in left_dense(net, named)


class Functional(nn.Module):
    """Weights that forward takes itself, beside layers made of several parts."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.scale = nn.Parameter(torch.ones(5, 8, 1, 1)), nn.Parameter(torch.ones(1, 5, 1, 1))
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
        self.body.register_parameter("matrix", nn.Parameter(torch.ones(4, 5)))
        self.several = nn.ParameterList([nn.Parameter(torch.ones(4, 4))])
        self.train_of_cores, self.mixed = qtt_hw.TTLinear((2, 2), (2, 2), 2), nn.MultiheadAttention(4, 2)


def test_what_has_weights_goes_by_its_name() -> None:
    found = {layer.layer: layer for layer in compression._layers(Functional(), None, {})}
    assert {name: (layer.type, layer.parameters) for name, layer in found.items()} == {
        "kernel": ("Parameter", 40),
        "body.matrix": ("Parameter", 20),
        "body.0": ("Conv2d", 224),
        "body.1": ("Conv2d", 584),
        "several.0": ("Parameter", 16),
        "train_of_cores": ("TTLinear", 16),
        "mixed": ("MultiheadAttention", 80),
    }
    assert (
        found["kernel"].why
        == "is a parameter that forward takes itself; trains are for layers, Conv2d, Conv3d and Linear"
    )
    assert found["train_of_cores"].why == "is a tensor train already"
    assert found["mixed"].why == "trains are for Conv2d, Conv3d and Linear, not MultiheadAttention"


def test_the_verb(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verb = [
        "compress",
        str(source),
        "--data",
        "solids:8",
        "--out",
        str(tmp_path / "o"),
        "--trials",
        "2",
        "--steps",
        "1",
    ]
    assert main([*verb, "--max-accuracy-drop", "70", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["met"] and result["device"] == "ecp5-85f"
    assert len(result["front"]) >= 1
    assert main([*verb, "--max-accuracy-drop", "70"]) == 0
    assert "block RAMs" in capsys.readouterr().out
    # Too much was lost: an error, after what was made is shown.
    failed = CompressResult(**{**result, "met": False, "drop": 3.0})
    monkeypatch.setattr("qtt_hw.compression.compress", lambda *arguments, **options: failed)
    assert main([*verb, "--max-accuracy-drop", "1"]) == 1
    shown = capsys.readouterr()
    assert "3.00 points, 1 allowed" in shown.out
    assert "the accuracy drops by 3.00 points, more than 1" in shown.err


def test_what_can_be_given(source: Path) -> None:
    assert configuration(source) == load_config(source)
    assert configuration("resnet20").model.name == "resnet20"
    with pytest.raises(ValueError, match=r"neither a .toml nor file.py:Net nor in the zoo, voxtt"):
        configuration("alexnet")


def test_refusals(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device 'xc7' is not known; known are"):
        compress(source, "solids:8", tmp_path / "o", device="xc7")
    (tmp_path / "bad").mkdir()
    with pytest.raises(ValueError, match="is a folder; give the name of a journal file"):
        compress(source, "solids:8", tmp_path / "o", storage=tmp_path / "bad")
    untrained = load_config(source).changed("untrained", {"train": {"epochs": 0}})
    with pytest.raises(ValueError, match="untrained: train.epochs is 0; the dense network is trained first"):
        compress(untrained, "solids:8", tmp_path / "o")
    gone = load_config(source).changed("gone", {"compress": {"layers": ["gone"]}})
    with pytest.raises(ValueError, match="the network has no layer 'gone'"):
        compress(gone, "solids:8", tmp_path / "gone")
    bare = load_config(source).changed("bare", {"model": {"name": "net.py:Bare"}})
    with pytest.raises(ValueError, match="has nothing to compress: no convolution behind its first"):
        compress(bare, "solids:8", tmp_path / "bare")
    assert not any((tmp_path / name).exists() for name in ("o", "gone", "bare"))
    claim(tmp_path / "busy", COMPRESSION, "")
    with locked(tmp_path / "busy" / ".compress.lock", ""):
        with pytest.raises(Busy, match=f"busy: process {os.getpid()} on .* works on it$"):
            compress(source, "solids:8", tmp_path / "busy")
    claim(tmp_path / "run", RUN, "")
    with pytest.raises(ValueError, match="run: exists and is a training run, not a compression; choose another name$"):
        compress(source, "solids:8", tmp_path / "run")
    with pytest.raises(ValueError, match="busy: exists and is a compression, not a training run; choose another name$"):
        train(load_config(source), "solids:8", tmp_path / "busy")
    assert sorted(
        path.name for path in tmp_path.rglob("*") if path.is_file() and path.parent.name in ("busy", "run")
    ) == [
        MARKER,
        MARKER,
    ]


def test_without_matplotlib_a_front_is_written_and_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    compression._write_front(tmp_path, (), 0.9, "ecp5-25f")
    assert [path.name for path in tmp_path.iterdir()] == ["front.json"]
