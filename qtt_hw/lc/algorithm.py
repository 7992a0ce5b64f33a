"""The learning-compression algorithm around any network: penalty, C step, multipliers and penalty schedule.

min over w of L(w) subject to w = D(t), D(t) the compressed weights, by alternating

    L step:  w <- argmin L(w) + mu / 2 * ||w - D(t) - lambda / mu||^2         (training, with the penalty in the loss)
    C step:  t <- argmin ||(w - lambda / mu) - D(t)||^2                       (the compression of w - lambda / mu)
             lambda <- lambda - mu * (w - D(t)),  mu <- growth * mu

Carreira-Perpinan, "Model compression as constrained optimization, with application to neural nets", arXiv:1707.01209.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from qtt_hw.lc.compression import Compression, Whole
from qtt_hw.lc.selection import Given, Selection

__all__ = ["LCModel"]


class LCModel(nn.Module):
    """A network under learning-compression; its state holds everything that a resumed run needs.

    Until the first C step nothing pulls at the weights: the first L step is plain training, and none before it is
    needed.

    Parameters
    ----------
    network : nn.Module
    compressions : mapping of str to Compression or Selection
        By layer name, of that layer's `weight`; a selection is made at the first C step and kept.
    mu : float
        Penalty parameter of the first L step that has one.
    growth : float
        Factor of mu from one pair to the next.
    method : "augmented" or "penalty"
        Augmented Lagrangian, or the quadratic penalty alone (lambda stays 0).

    Raises
    ------
    ValueError
        When there is nothing to compress, or a layer is not there or has no weight.
    """

    #: (C steps done,) int64, and mu, float64.
    progress: Tensor
    mu: Tensor

    def __init__(
        self,
        network: nn.Module,
        compressions: Mapping[str, Compression | Selection],
        mu: float = 1e-3,
        growth: float = 1.25,
        method: Literal["augmented", "penalty"] = "augmented",
    ) -> None:
        super().__init__()
        if not compressions:
            raise ValueError("learning-compression: the network has nothing to compress; name at least one layer")
        self.network = network
        self.selections = {n: Given(c) if isinstance(c, Compression) else c for n, c in compressions.items()}
        self.growth, self.method = growth, method
        #: By layer, w - lambda / mu of the last C step: what was compressed then.
        self.last_compressed: dict[str, Tensor] = {}
        layers = dict(network.named_modules())
        for name in compressions:
            if not isinstance(getattr(layers.get(name), "weight", None), nn.Parameter):
                raise ValueError(f"learning-compression: the network has no layer {name!r} with a weight")
        for index, (name, weight) in enumerate(self.weights.items()):
            self.register_buffer(f"target_{index}", torch.zeros_like(weight))
            self.register_buffer(f"multiplier_{index}", torch.zeros_like(weight))
            count = self.selections[name].count(weight)
            self.register_buffer(f"choice_{index}", torch.zeros(count, dtype=torch.int64))
        self.register_buffer("progress", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("mu", torch.tensor(mu, dtype=torch.float64))

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The compressed weights by their layer's name."""
        return {name: self.network.get_submodule(name).weight for name in self.selections}  # type: ignore[misc]

    @property
    def pulled(self) -> bool:
        """Whether a C step has been done, so that there is something to be pulled towards."""
        return bool(self.progress[0])

    def compression(self, name: str) -> Compression:
        """What was chosen for a layer, once the first C step has been done."""
        numbers = getattr(self, f"choice_{list(self.selections).index(name)}")
        return self.selections[name].compression(tuple(numbers.tolist()))

    def _pulled(self) -> Iterator[tuple[str, nn.Parameter, Tensor, Tensor]]:
        """Name, weight, target and multiplier of every weight that is compressed."""
        for index, (name, weight) in enumerate(self.weights.items()):
            if not isinstance(self.compression(name), Whole):
                yield name, weight, *self._state(index)

    def _state(self, index: int) -> tuple[Tensor, Tensor]:
        target, multiplier = getattr(self, f"target_{index}"), getattr(self, f"multiplier_{index}")
        assert isinstance(target, Tensor) and isinstance(multiplier, Tensor)
        return target, multiplier

    def forward(self, x: Tensor) -> Tensor:
        """The network's own output."""
        y: Tensor = self.network(x)
        return y

    def penalty(self) -> Tensor:
        """mu / 2 * the sum over weights of ||w - D(t) - lambda / mu||^2, with gradients; 0 before the first C step."""
        if not self.pulled:
            return torch.zeros((), device=self.mu.device)
        mu = float(self.mu)
        total: Tensor = torch.zeros((), device=self.mu.device)
        for _, weight, target, multiplier in self._pulled():
            total = total + (weight - target - multiplier / mu).square().sum()
        return 0.5 * mu * total

    @torch.no_grad()
    def compress(self) -> None:
        """The C step, and the multipliers and the mu of the next L step."""
        mu = float(self.mu)
        if not self.pulled:
            for index, (name, weight) in enumerate(self.weights.items()):
                try:
                    numbers = self.selections[name].numbers(weight)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
                getattr(self, f"choice_{index}").copy_(torch.tensor(numbers, dtype=torch.int64))
        self.last_compressed = {}
        for name, weight, target, multiplier in self._pulled():
            shifted = weight.to(torch.float64) - multiplier.to(torch.float64) / mu
            self.last_compressed[name] = shifted
            try:
                target.copy_(self.compression(name).compress(shifted))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            if self.method == "augmented" and self.pulled:
                multiplier.sub_(mu * (weight - target))
        if self.pulled:
            self.mu.mul_(self.growth)
        self.progress.add_(1)

    @torch.no_grad()
    def distances(self) -> dict[str, float]:
        """By layer, ||w - D(t)|| / ||w||, how far the weights are from what they were last compressed to."""
        return {name: float((w - target).norm() / w.norm()) for name, w, target, _ in self._pulled()}

    @property
    @torch.no_grad()
    def distance(self) -> float:
        """The same over all compressed weights together; 0 when none is."""
        pairs = [(w, target) for _, w, target, _ in self._pulled()]
        apart = sum(float((w - target).square().sum()) for w, target in pairs)
        whole = sum(float(w.square().sum()) for w, _ in pairs)
        return float((apart / whole) ** 0.5) if pairs else 0.0
