"""Layers of names that clash or that Verilog cannot have go all the way, in one design."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import qtt_hw
from qtt_hw.graph.preprocess import input_spec
from sim.cosim import cosim

#: In an order in which every later one clashes with what stands before it, or with what the top module has.
NAMES = [
    *("a.b", "a_b", "A_b", "c", "c__buffer", "argmax", "größe", "0", "reg", "logic", "clk", "input", "input__fork"),
    *("tap_c__strobe", "two words", "x" * 1500),
]


class Net(nn.Module):
    """A linear layer of every name, one after the other, with the input added in the end."""

    def __init__(self) -> None:
        super().__init__()
        for name in NAMES:
            *folders, last = name.split(".")
            module: nn.Module = self
            for folder in folders:
                if folder not in dict(module.named_children()):
                    module.add_module(folder, nn.Module())
                module = module.get_submodule(folder)
            module.add_module(last, nn.Linear(2, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = y = torch.flatten(x, 1)
        for name in NAMES:
            y = self.get_submodule(name)(y)
        return y + flat


@pytest.mark.long
def test_names_of_every_kind_are_equal_in_simulation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 2, (32, 2, 1, 1, 1)).float()
    net = Net().eval()
    assert all(row.supported for row in qtt_hw.check(net, x[:1]))
    prepared = qtt_hw.prepare(net, x[:1])
    prepared.calibrate([x])
    graph = qtt_hw.freeze(prepared, input_spec((1, 1, 1, 2)), name="../x y\n'[z]'")
    stages = [node.name for node in graph.nodes]
    qtt_hw.save(graph, tmp_path / "model.qtt")
    plan = qtt_hw.plan(tmp_path / "model.qtt", "ecp5-85f", fps=1e6)
    manifest = qtt_hw.emit(tmp_path / "model.qtt", tmp_path / "build", plan, taps=True)
    assert [tap.stage for tap in manifest.taps] == stages and set(NAMES) - {"input"} <= set(stages)
    samples = np.random.default_rng(1).integers(0, 2, (200, 1, 1, 1, 2))
    result = cosim(tmp_path / "build", samples, processes=1)
    assert result.equal and result.cycles_equal
