"""Networks whose first layer reads one channel, planned on devices: what such a layer caps them at.

    python -m bench.first_layers -o results/first-layers.json

VoxNet (doi 10.1109/IROS.2015.7353481) at a quarter of its width reads 32^3 voxels, ResNet-10 with three dimensions, as
MONAI has it, at an eighth of its width 16^3; both untrained, 8-bit weights and activations. A word of the input is a
position or several, one word a cycle.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.report import command, figures
from bench.rows import append_row, made_by
from qtt_hw.planning import explain_plan
from qtt_hw.process import run_command
from qtt_hw.training.config import Config
from qtt_hw.training.sections import ModelConfig, QuantSection


class VoxNet(nn.Module):
    """Two convolutions of `width` channels, a pool, and two linear layers; the published one has 32 and 128."""

    def __init__(self, classes: int = 10, width: int = 8, hidden: int = 32) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv3d(1, width, 5, stride=2), nn.ReLU(), nn.Conv3d(width, width, 3), nn.ReLU(), nn.MaxPool3d(2)
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(width * 6**3, hidden), nn.ReLU(), nn.Linear(hidden, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Two convolutions of 3 x 3 x 3 with batch norm, and a shortcut."""

    def __init__(self, taken: int, made: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(taken, made, 3, stride, 1, bias=False), nn.BatchNorm3d(made), nn.ReLU())
        self.second = nn.Sequential(nn.Conv3d(made, made, 3, 1, 1, bias=False), nn.BatchNorm3d(made))
        same = taken == made and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv3d(taken, made, 1, stride), nn.BatchNorm3d(made))
        )
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.second(self.first(x)) + self.shortcut(x))  # type: ignore[no-any-return]


class ResNet10(nn.Module):
    """A stem of 7 x 7 x 7 and four blocks of `width` channels and up; the published one has 64."""

    def __init__(self, classes: int = 10, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(1, width, 7, 2, 3, bias=False), nn.BatchNorm3d(width), nn.ReLU(), nn.MaxPool3d(3, 2, 1)
        )
        self.stages = nn.Sequential(Block(width, width, 1), *(Block(width << n, width << (n + 1), 2) for n in range(3)))
        self.head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8 * width, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(self.stem(x)))  # type: ignore[no-any-return]


#: By name: the size of the volume that a network reads, and devices that hold its weights.
NETWORKS = {"VoxNet": (32, ("ecp5-25f", "ecp5-85f")), "ResNet10": (16, ("ecp5-85f",))}


def planned(network: str, device: str) -> dict[str, Any]:
    """The row of a network on a device."""
    config = Config(model=ModelConfig(name=f"{__file__}:{network}"), quant=QuantSection(weight_bits=8))
    edge, _ = NETWORKS[network]
    plan, told = explain_plan(config, device, input_shape=(1, edge, edge, edge), classes=10, neighbours=False)
    return {
        "network": network,
        "device": device,
        **figures(plan),
        "occupancy": told.occupancy,
        "limit": told.limit.model_dump(mode="json"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.first_layers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    for network, (_, devices) in NETWORKS.items():
        for device in devices:
            row = planned(network, device) | made_by(command(given.output))
            if given.output is not None:
                append_row(given.output, row, ("network", "device"))
            print(json.dumps(row))


if __name__ == "__main__":
    sys.exit(run_command("bench.first_layers", main, whole=True))
