"""What `plan` takes for a model, and what it says of names that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from qtt_hw.planning import is_file, plan

NET = """
from torch import nn
def Net():
    return nn.Sequential(nn.Conv3d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
"""


def test_a_network_of_a_file_is_planned_without_a_configuration(tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_text(NET)
    found = plan(f"{source}:Net", "ecp5-25f", input_shape=(2, 4, 4, 4), classes=3)
    assert found.cycles > 0 and [stage.stage for stage in found.stages] == ["0", "3"]
    with pytest.raises(ValueError, match=r"net.py:Net: before training, planning needs data, or an input shape"):
        plan(f"{source}:Net", "ecp5-25f")
    with pytest.raises(ValueError, match=r"net.py: name what in it makes the network too, as .*net.py:Net$"):
        plan(source, "ecp5-25f")


def test_names(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"")
    assert is_file(tmp_path / "model") and is_file("gone.qtt")
    assert not is_file("run.toml") and not is_file("net.py:Net") and not is_file("lenet")
    with pytest.raises(
        ValueError, match="^lenett: neither a model.qtt nor a .toml nor file.py:Net nor in the zoo, vox"
    ):
        is_file("lenett")
