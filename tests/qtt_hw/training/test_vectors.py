"""Networks of vectors, trained from a configuration and quantised: as their users write them, with no flattening."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qtt_hw.freezing import freeze_run
from qtt_hw.graph.file import load
from qtt_hw.planning import plan
from qtt_hw.training import train

NET = """
from torch import nn
def Net():
    return nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
"""
TOML = """
model = { name = "net.py:Net" }
data = { format = "images" }
train = { epochs = 4, batch = 16, lr = 1e-2, threads = 1 }
quant = { epochs = 1, batch = 16, lr = 1e-3 }
"""


def test_from_a_configuration_to_a_plan(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    y = np.arange(240) % 3
    x = (draw.integers(0, 90, (240, 12)) + 80 * y[:, None]).astype(np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=y)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "vectors.toml").write_text(TOML)
    found = train(tmp_path / "vectors.toml", tmp_path / "own.npz", tmp_path / "run")
    assert found.validation_accuracy > 0.6
    freeze_run(tmp_path / "run", tmp_path / "model.qtt")
    before = plan(tmp_path / "vectors.toml", "ecp5-25f", data=tmp_path / "own.npz")
    assert plan(load(tmp_path / "model.qtt"), "ecp5-25f").cycles == before.cycles
