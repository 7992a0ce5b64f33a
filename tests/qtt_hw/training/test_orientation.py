"""The classifier of turns: what it learns from, that training resumes with it, and that nothing of it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qtt_hw.data import Augmentation, Splits, augment
from qtt_hw.training import train
from qtt_hw.training.checkpoint import load_tensors
from qtt_hw.training.config import Config
from qtt_hw.training.network import build_model
from qtt_hw.training.orientation import Orientation
from qtt_hw.training.run import freeze_run
from qtt_hw.training.sections import OrientationConfig

CHANGES = {
    "data": {"augmentation": {"flips": [0.0, 0.0, 0.5], "rotation": "W", "turns": 12}},
    "orientation": {"layer": "head", "weight": 0.5},
}


def oriented(config: Config) -> Config:
    return config.changed("oriented", CHANGES, ["teacher"])


def test_it_reads_the_layers_input() -> None:
    network = nn.Sequential(nn.Conv3d(1, 4, 1), nn.AvgPool3d(2), nn.Flatten(), nn.Linear(4, 3)).train()
    x = torch.randn(5, 1, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    head = Orientation(network, OrientationConfig(layer="3", weight=0.5), 12, x[:1], 0)
    assert network.training and head.classifier.in_features == 4
    network(x)
    turned = torch.arange(5)
    loss = head(turned)
    assert torch.equal(loss, 0.5 * F.cross_entropy(head.classifier(network[:3](x)), turned))
    loss.backward()
    assert network[0].weight.grad is not None and network[3].weight.grad is None


def test_a_layer_that_is_not_there_is_named() -> None:
    network = nn.Sequential(nn.Conv3d(1, 4, 1))
    with pytest.raises(ValueError, match=r"^orientation.layer: the network has no layer 'head'$"):
        Orientation(network, OrientationConfig(), 12, torch.zeros(1, 1, 2, 2, 2), 0)


def test_nothing_of_it_is_kept(config: Config, solids: Splits, tmp_path: Path) -> None:
    how = oriented(config)
    result = train(how, solids, tmp_path / "run")
    kept = load_tensors(tmp_path / "run" / "float.safetensors")[0]
    plain = build_model(how, how.data.input_spec(solids), 3, 0)
    assert {name: value.shape for name, value in kept.items()} == {n: v.shape for n, v in plain.state_dict().items()}
    assert result.parameters == sum(parameter.numel() for parameter in plain.parameters())
    freeze_run(tmp_path / "run", tmp_path / "model.qtt")


def test_it_goes_on_to_the_same_bits(config: Config, solids: Splits, tmp_path: Path) -> None:
    how = oriented(config).changed("float", {}, ["quant"])
    train(how, solids, tmp_path / "whole")

    def kill(name: str, step: int, steps: int, text: str) -> None:
        if name == "train: float" and step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(how, solids, tmp_path / "cut", progress=kill)
    train(how, solids, tmp_path / "cut")
    whole, cut = (load_tensors(tmp_path / name / "float.safetensors")[0] for name in ("whole", "cut"))
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


def test_it_learns_to_tell_turns() -> None:
    corner = np.zeros((64, 8, 8, 8, 1), np.uint8)
    corner[:, 5:7, 2:6] = 1
    how, everyone = Augmentation(rotation="W"), np.arange(64)
    x = torch.from_numpy(augment(corner, how, 0, 0, everyone)).permute(0, 4, 1, 2, 3).float()
    turned = torch.from_numpy(how.turned(corner.shape[1:], 0, 0, everyone))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    head = Orientation(network, OrientationConfig(layer="2", weight=1.0), 4, x[:1], 0)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], 1e-2)
    losses = []
    for _ in range(30):
        network(x)
        loss = head(turned)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.2 and losses[-1] < 0.1
