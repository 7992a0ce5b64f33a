"""Networks trained elsewhere become integer models: calibrated, trained on, by tensor and by channel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import qtt_hw
from qtt_hw.cli import main
from qtt_hw.data import Splits
from qtt_hw.graph.file import load
from qtt_hw.quantizing import quantization, quantize
from qtt_hw.training.config import Config
from qtt_hw.user_code import load_name

NET = """
from torch import nn
def Net():
    return nn.Sequential(
        nn.Conv3d(1, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm3d(8), nn.ReLU(),
        nn.Conv3d(8, 8, 3, padding=1, bias=False), nn.BatchNorm3d(8), nn.ReLU(),
        nn.AvgPool3d(2), nn.Flatten(), nn.Linear(64, 3),
    )
"""
DATA = {"classes": 3, "per_class": 120, "edge": 8}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Config.model_validate({"model": {"name": "x"}, "data": {"options": DATA}}).data.load("solids")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, splits: Splits) -> Path:
    """net.py and trained.pt, by a loop that knows nothing of this project; channels of sizes far apart."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "net.py").write_text(NET)
    torch.manual_seed(0)
    net: nn.Module = load_name(folder / "net.py", "Net")()
    x = torch.from_numpy(splits.train.x).permute(0, 4, 1, 2, 3).float()
    y = torch.from_numpy(splits.train.y).long()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    with torch.no_grad():  # the same function, as batch norm divides it out again
        spread = torch.logspace(-2, 1, 8)
        net[3].weight.mul_(spread.view(-1, 1, 1, 1, 1))
        net[4].running_mean.mul_(spread)
        net[4].running_var.mul_(spread.square())
    torch.save(net.state_dict(), folder / "trained.pt")
    return folder


def found(folder: Path, splits: Splits, output: Path, **how: object) -> qtt_hw.quantizing.QuantizeResult:
    return quantize(folder / "net.py:Net", splits, output, weights=folder / "trained.pt", **how)  # type: ignore[arg-type]


def test_eight_bits_lose_nothing_and_channels_scales_save_two(folder: Path, splits: Splits, tmp_path: Path) -> None:
    by_channel = found(folder, splits, tmp_path / "c.qtt")
    assert (by_channel.weight_bits, by_channel.activation_bits, by_channel.weight_scales) == (8, 8, "channel")
    assert by_channel.float_accuracy > 0.7 and by_channel.drop <= 6
    assert by_channel.drop == pytest.approx(100 * (by_channel.float_accuracy - by_channel.accuracy), abs=1e-3)
    graph = load(tmp_path / "c.qtt")
    assert (by_channel.stages, by_channel.weight_bytes) == (len(graph.nodes), graph.weight_bytes)
    # Spread by three decades, the smallest channels are 0 with one scale for all, whatever is done to batch norm.
    two = {scales: found(folder, splits, tmp_path / "t.qtt", weight_bits=2, weight_scales=scales) for scales in SCALES}
    assert two["channel"].accuracy > two["tensor"].accuracy


SCALES = ("tensor", "channel")


def test_training_goes_on_and_is_kept(folder: Path, splits: Splits, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    weights, run, output = tmp_path / "trained.pt", tmp_path / "run", tmp_path / "a.qtt"
    weights.write_bytes((folder / "trained.pt").read_bytes())
    how = {"weight_bits": 2, "activation_bits": 3, "epochs": 2, "lr": 1e-2, "seed": 4}

    def again(**more: int) -> qtt_hw.quantizing.QuantizeResult:
        return quantize(tmp_path / "net.py:Net", splits, output, weights=weights, run=run, **(how | more))  # type: ignore[arg-type]

    first = again()
    assert first.epochs == 2 and (run / "result.json").exists()
    assert again().digest == first.digest
    with pytest.raises(ValueError, match="run: was started with another config.train.seed"):
        again(seed=5)
    torch.save({name: value * 2 for name, value in torch.load(weights, weights_only=True).items()}, weights)
    with pytest.raises(ValueError, match="run: was started with another weights_digest"):
        again()
    with pytest.raises(ValueError, match="lr 0.01: is of training on, which has no epochs"):
        again(epochs=0)


def test_a_configuration_s_own_quantisation_holds(folder: Path, tmp_path: Path) -> None:
    path = folder / "own.toml"
    path.write_text(
        'model = { name = "net.py:Net", weights = "trained.pt" }\n[teacher]\ndense = true\n'
        "[quant]\nweight_bits = 3\nepochs = 9\n"
    )
    config = quantization(path)
    assert config.quant is not None and config.teacher is None and config.train.epochs == 0
    assert (config.quant.weight_bits, config.quant.weight_scales, config.quant.epochs) == (3, "tensor", 0)
    config = quantization(path, tmp_path / "w.pt", weight_bits=5, activation_bits=6, weight_scales="channel")
    assert config.quant is not None
    assert (config.quant.weight_bits, config.quant.activation_bits, config.quant.intermediate_bits) == (5, 6, 6)
    assert (config.folder / str(config.model.weights)).resolve() == (tmp_path / "w.pt").resolve()
    with pytest.raises(ValueError, match="no weights are given"):
        quantization("voxtt")


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "own.toml").write_text(
        'model = { name = "net.py:Net" }\ndata = { options = { classes = 3, edge = 8 } }\n'
    )
    call = ["quantize", str(folder / "own.toml"), "--data", "solids", "-o", str(tmp_path / "n.qtt"), "--json"]
    assert main([*call, "--weights", str(folder / "trained.pt"), "--bits", "4", "--scales", "channel"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["weight_bits"], made["weight_scales"]) == (4, "channel")
    assert load(tmp_path / "n.qtt").weight_bytes == made["weight_bytes"]
    for more, said in (
        (["--weights", str(tmp_path / "no.pt")], "no.pt: No such file"),
        (["--scales", "row", "--weights", "w.pt"], "--scales must be tensor or channel, got row"),
        ([], "no weights are given"),
    ):
        assert main([*call, *more]) == 1
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert said in line


@pytest.mark.parametrize("tensor", ["1.running_var", "4.running_mean", "3.weight", "8.bias"])
def test_weights_that_are_not_finite_are_refused_by_channel(
    tensor: str, folder: Path, splits: Splits, tmp_path: Path
) -> None:
    state = torch.load(folder / "trained.pt", weights_only=True)
    state[tensor][2] = torch.nan
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=rf"w.pt: {tensor}: holds a value that is not finite, first in channel 2$"):
        quantize(folder / "net.py:Net", splits, tmp_path / "a.qtt", weights=tmp_path / "w.pt")
    assert not (tmp_path / "a.qtt").exists()


def test_a_finished_run_is_shown_when_its_weights_have_gone(
    folder: Path, splits: Splits, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "own.toml").write_text(
        'model = { name = "net.py:Net", weights = "w.pt" }\ndata = { options = { classes = 3, edge = 8 } }\n'
    )
    (tmp_path / "w.pt").write_bytes((folder / "trained.pt").read_bytes())
    call = ["quantize", str(tmp_path / "own.toml"), "--data", "solids", "--run", str(tmp_path / "run"), "--json"]
    assert main([*call, "-o", str(tmp_path / "a.qtt")]) == 0
    made = json.loads(capsys.readouterr().out)
    (tmp_path / "w.pt").unlink()
    assert main([*call, "-o", str(tmp_path / "b.qtt")]) == 0
    assert json.loads(capsys.readouterr().out) == made | {"model": str(tmp_path / "b.qtt")}
    # What differs, or has not ended, is refused as ever.
    assert main([*call, "-o", str(tmp_path / "b.qtt"), "--bits", "4"]) == 1
    assert "run: was started with another config.quant.weight_bits (8, now 4)" in capsys.readouterr().err
    (tmp_path / "run" / "result.json").unlink()
    assert main([*call, "-o", str(tmp_path / "b.qtt")]) == 1
    assert "w.pt: No such file" in capsys.readouterr().err


def test_a_network_without_values_of_its_own_is_quantised(folder: Path, splits: Splits, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET + "Made = Net\ndef Net():\n    return Made().apply(empty)\n" + EMPTY)
    made = quantize(tmp_path / "net.py:Net", splits, tmp_path / "a.qtt", weights=folder / "trained.pt")
    assert made.digest == found(folder, splits, tmp_path / "b.qtt").digest


EMPTY = """
def empty(layer):
    for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False)):
        tensor.data.fill_(float("nan") if tensor.is_floating_point() else 0)
"""
