"""A second classifier while training in float: by how much each sample was turned, from what a layer reads.

The network's features then tell poses apart as well as classes. It is no part of the network that is kept: nothing of
it is quantised or becomes hardware.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.near import no_layers
from qtt_hw.training.sections import OrientationConfig

__all__ = ["Orientation"]


class Orientation(nn.Module):
    """A linear classifier of turns on the flattened input of one of the network's layers.

    Parameters
    ----------
    network : nn.Module
        It gets a hook, and is otherwise left as it is.
    how : OrientationConfig
    turns : int
        Of a whole rotation.
    example : Tensor
        An input of the network.
    seed : int
        Of torch's random state while the classifier is made.

    Raises
    ------
    ValueError
        Naming the layer, where the network has none of this name or does not run it.
    """

    def __init__(self, network: nn.Module, how: OrientationConfig, turns: int, example: Tensor, seed: int) -> None:
        super().__init__()
        faults = no_layers("orientation.layer", [how.layer], [name for name, _ in network.named_modules()])
        if faults:
            raise ValueError(faults[0])
        self.weight = how.weight
        self._read: list[Tensor] = []
        network.get_submodule(how.layer).register_forward_pre_hook(self._keep)
        training = network.training
        with torch.no_grad():
            network.eval()(example)
        network.train(training)
        if not self._read:
            raise ValueError(f"orientation.layer: {how.layer}: the network does not run it")
        size = math.prod(self._read.pop().shape[1:])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.classifier = nn.Linear(size, turns)
        self.to(example.device)

    def _keep(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._read = [inputs[0]]

    def forward(self, turned: Tensor) -> Tensor:
        """Weight times the cross-entropy of int64 [N] turns, of the batch that the network ran on last."""
        (features,) = self._read
        self._read = []
        return self.weight * F.cross_entropy(self.classifier(features.flatten(1)).float(), turned)
