"""A run small enough to be trained in a second, in every phase."""

from __future__ import annotations

import pytest

from qtt_hw.data import Splits, load
from qtt_hw.training.config import Config, load_config

TOML = """
[model]
name = "voxtt"
args = { widths = [4, 4], strides = [1, 2], ranks = 2, head = "average" }
[data]
block = 2
augmentation = { flips = [0.5, 0.5, 0.5], shifts = [1, 1, 1] }
[train]
epochs = 2
batch = 8
lr = 1e-2
ema = 0.9
label_smoothing = 0.1
checkpoint_steps = 4
threads = 1
[teacher]
dense = true
epochs = 2
batch = 8
[quant]
epochs = 4
batch = 8
lr = 1e-2
calibration = 2
reestimate = 2
"""


@pytest.fixture(scope="session")
def solids() -> Splits:
    return load("solids:8", classes=3, per_class=20)


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(TOML)
    return load_config(path)
