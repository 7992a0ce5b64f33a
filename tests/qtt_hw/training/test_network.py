from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from qtt_hw.data import Splits, load
from qtt_hw.evaluation import accuracy
from qtt_hw.graph import Add
from qtt_hw.graph.file import load as load_model
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.nn import QTTConv3d, TTConv3d
from qtt_hw.training import freeze_run, train
from qtt_hw.training.config import Config
from qtt_hw.training.network import build_model
from qtt_hw.training.sections import DataConfig, ModelConfig

SPEC = input_spec((8, 8, 8, 1), 2)

FILE = """
from torch import nn
class Net(nn.Module):
    def __init__(self, width=4, activation="ReLU", more=()):
        super().__init__()
        self.conv = nn.Conv3d(8, width, 3, padding=1)
        self.act = getattr(nn, activation)(*more)
        self.pool = nn.AvgPool3d(4)
        self.flat = nn.Flatten()
        self.linear = nn.Linear(width, 3)
    def forward(self, x):
        return self.linear(self.flat(self.pool(self.act(self.conv(x)))))
def number():
    return 3
def fails():
    return {}["width"]
class Asserts(nn.Module):
    def __init__(self):
        super().__init__()
        assert False
class Several(Net):
    def forward(self, x):
        return super().forward(x), x
class Missing(Net):
    def forward(self, x):
        return self.gone(x)
def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(3))
"""


def made(path: Path, name: str = "net.py:Net", classes: int = 3, **options: object) -> nn.Module:
    (path / "net.py").write_text(FILE)
    config = Config(model=ModelConfig(name=name, **options), source=path / "c.toml")  # type: ignore[arg-type]
    return build_model(config, SPEC, classes, 0)


def test_zoo_network_takes_shape_and_classes_from_the_data(tmp_path: Path) -> None:
    model = made(tmp_path, "voxtt-tiny", classes=5)
    assert model(torch.zeros(2, 8, 4, 4, 4)).shape == (2, 5)
    again = made(tmp_path, "voxtt-tiny", classes=5)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_file_with_arguments_and_ranks(tmp_path: Path) -> None:
    assert made(tmp_path, args={"width": 6}).conv.weight.shape[0] == 6
    torch.manual_seed(0)
    model = made(tmp_path, ranks={"conv": (4, 4, 4, 4)})
    assert isinstance(model.conv, TTConv3d) and model.conv.ranks == (4, 4, 4, 4) and model.conv.bias is not None
    # More channels than a train's last rank can be: the end is part of the next, and the rank is that of its channels.
    wide = made(tmp_path, args={"width": 240}, ranks={"conv": (8, 2, 2, 240)})
    assert isinstance(wide.conv, TTConv3d) and wide.conv.ranks == (8, 2, 2, 240) and wide.conv.ends == (False, False)
    again = made(tmp_path, "voxtt-tiny", ranks={"features.block2.conv": (3, 4, 4, 3)})
    assert again.get_submodule("features.block2.conv").ranks == (3, 4, 4, 3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "resnet"}, "there is no network 'resnet' in the zoo: it has voxtt.*; did you mean resnet"),
        ({"name": "voxtt-tiny", "args": {"depth": 3}}, "voxtt-tiny: .*unexpected keyword argument 'depth'"),
        ({"name": "voxtt", "args": {"widths": [4], "strides": [1, 2]}}, "voxtt: 2 strides for 1 blocks"),
        ({"name": "voxtt", "args": {"head": "max"}}, "head must be tt, average or linear, got 'max'"),
        ({"name": "net.py:None"}, "net.py: has no class or function None"),
        ({"name": "other.py:Net"}, "other.py: no such file"),
        ({"name": "net.py:number"}, "net.py:number: made a int, expected a torch.nn.Module"),
        ({"name": "net.py:fails"}, r"net.py:\d+: fails: KeyError: 'width'$"),
        ({"name": "net.py:Asserts"}, r"net.py:\d+: Asserts: AssertionError: without a message$"),
        ({"name": "net.py:Several"}, "net.py:Several: gives a tuple, not the logits alone$"),
        ({"name": "net.py:Missing"}, r"net.py:Missing: cannot run on .*: AttributeError: .*no attribute 'gone'"),
        ({"name": "net.py:lazy"}, r"net.py:lazy: cannot run on an input of \[1, 8, 4, 4, 4\]: "),
        ({"args": {"depth": 3}}, "net.py:Net: .*unexpected keyword argument 'depth'"),
        ({"classes": 4}, r"net.py:Net: gives \[1, 3\] for one sample, the data has 4 classes"),
        ({"ranks": {"linear": (2,)}}, "linear is a Linear, ranks are for TTConv3d and Conv3d"),
        ({"ranks": {"conv9": (2,)}}, "the network has no layer 'conv9'"),
        (
            {"ranks": {"conv": (9999,) * 4}},
            r"model.ranks: conv: 9999 is above 8, .*; the largest of all are \[8, 24, 12, 4\]",
        ),
        (
            {"ranks": {"conv": (8, 24, 12, 4)}},
            "model.ranks: conv: .* has 1584 parameters, more than the 864 of the dense layer: lower them",
        ),
        (
            {"name": "voxtt-tiny", "ranks": {"features.block2.conv": (16, 48, 48, 17)}},
            "model.ranks: features.block2.conv: 17 is above 16",
        ),
        ({"name": "voxtt-tiny", "args": {"ranks": 9999}}, "voxtt: block2: .*ranks: 9999 is above 48"),
        ({"name": "voxtt", "args": {"head_ranks": 9999}}, "voxtt: head: .*ranks: 9999 is above"),
    ],
)
def test_errors(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        made(tmp_path, **options)
    assert "\n" not in str(error.value)


def test_an_input_that_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FILE)
    config = Config(model=ModelConfig(name="net.py:Net"), source=tmp_path / "c.toml")
    with pytest.raises(ValueError, match=r"net.py:Net: cannot run on an input of \[1, 1, 8, 8, 8\]"):
        build_model(config, input_spec((8, 8, 8, 1)), 3, 0)


def test_an_unsupported_layer_is_found_before_the_first_epoch(config: Config, solids: Splits, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FILE)
    model = ModelConfig(name="net.py:Net", args={"activation": "GroupNorm", "more": [2, 4]})
    bad = config.model_copy(update={"model": model, "source": tmp_path / "c.toml", "teacher": None})

    def never(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        raise AssertionError("trained")

    with pytest.raises(ValueError, match="net.py:Net: act .*GroupNorm.*is not supported"):
        train(bad, solids, tmp_path / "run", progress=never)
    good = bad.model_copy(update={"model": ModelConfig(name="net.py:Net")})
    assert train(good, solids, tmp_path / "good").phases["quantized"].epochs == 4


def test_modes_may_stand_in_another_order() -> None:
    layer = "features.conv2_1.conv"

    def net(path: str) -> QTTConv3d:
        model = ModelConfig(name="qttnet_small", args={"ranks": 4}, paths={layer: path})
        found = build_model(Config(model=model), input_spec((30, 30, 30, 1)), 10, 0).get_submodule(layer)
        assert isinstance(found, QTTConv3d)
        return found

    own, turned = net("0 1-2"), net("0 1-2 of 4,2 to 8,4")
    assert (own.in_modes, own.out_modes) == ((2, 4), (4, 8)) and (turned.in_modes, turned.out_modes) == ((4, 2), (8, 4))
    assert turned.ranks == own.ranks and str(turned.path) == "0 1-2" and turned.training
    for text, message in (
        ("0 1-2 of 8,1 to 4,8", r"model.paths: features.conv2_1.conv: in_modes \[8, 1\] are not \[2, 4\] in another"),
        ("0 1-2 of 4,2", "modes are written as in"),
    ):
        with pytest.raises(ValueError, match=message):
            net(text)


PLANAR = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.pool = nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(4, 3)
    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(self.norm(self.conv(x)) + x)
        return self.linear(self.pool(x).flatten(1))
"""


def test_a_2d_network_is_trained_on_samples_of_depth_one(config: Config, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(PLANAR)
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.integers(0, 80, (90, 1, 6, 6, 1)) + 80 * y[:, None, None, None, None]
    np.savez(tmp_path / "own.npz", x=x.astype(np.uint8), y=y)
    planar = config.model_copy(
        update={
            "model": ModelConfig(name="net.py:Net"),
            "source": tmp_path / "c.toml",
            "teacher": None,
            "data": DataConfig(),
        }
    )
    splits = load(tmp_path / "own.npz")
    result = train(planar, splits, tmp_path / "run")
    assert result.phases["quantized"].epochs == 4
    graph = load_model(freeze_run(tmp_path / "run", tmp_path / "model.qtt"))
    assert graph.input.sample_shape == (1, 6, 6, 1) and any(isinstance(node, Add) for node in graph.nodes)
    assert accuracy(graph, splits.validation) == result.validation_accuracy
