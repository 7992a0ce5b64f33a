"""From a user's dense network to a plan, on generated solids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from boards.devices import Device
from qtt_hw.cli import main
from qtt_hw.compression import compress, configuration
from qtt_hw.ir.file import load
from qtt_hw.train.config import load_config
from rtl_gen.plan.plan import load_plan

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(8, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(),
            nn.Conv3d(6, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(),
            nn.Conv3d(8, 8, 3, stride=2, padding=1), nn.BatchNorm3d(8), nn.ReLU(),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 3))
    def forward(self, x):
        return self.head(self.body(x))
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


def test_a_user_s_network_becomes_a_model_and_a_plan(source: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "out", set()
    arguments = {"device": "ecp5-25f", "max_accuracy_drop": 60.0, "trials": 4, "steps": 3}
    found = compress(source, "solids:8", out, **arguments, progress=lambda step, *rest: told.add(step))  # type: ignore[arg-type]
    assert found.met and found.dense_cycles is not None and found.cycles <= found.dense_cycles
    assert found.parameters <= found.dense_parameters and found.drop == pytest.approx(
        100 * (found.dense_accuracy - found.accuracy), abs=1e-3
    )
    graph, plan = load(out / "model.qtt"), load_plan(out / "plan.json")
    assert plan.cycles == found.cycles and graph.weight_bytes == found.weight_bytes
    assert {"dense float", "ranks"} <= told
    front = json.loads((out / "front.json").read_text())
    assert front["points"] and (out / "front.png").stat().st_size > 1000
    assert compress(source, "solids:8", out, **arguments) == found  # type: ignore[arg-type]


def test_the_verb(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    # The same folder again, with nothing allowed: what it says is an error, and the results stand.
    code = main([*verb, "--max-accuracy-drop", "0"])
    assert code == (0 if json.loads((tmp_path / "o" / "result.json").read_text())["met"] else 1)


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
    bare = load_config(source).changed("bare", {"model": {"name": "net.py:Bare"}})
    with pytest.raises(ValueError, match="has nothing to compress: no convolution behind its first"):
        compress(bare, "solids:8", tmp_path / "bare")
    with pytest.raises(ValueError, match="no trial fits tiny"):
        compress(source, "solids:8", tmp_path / "t", device=Device("tiny", 2, 1, 1000), trials=2, steps=1)
