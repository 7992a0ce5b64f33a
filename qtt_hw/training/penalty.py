"""A penalty on the size of the weights that a model computes with: of the quantised ones where they are quantised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from qtt_hw.lower.prepared import PreparedModel

__all__ = ["Penalised", "weights_of"]


def weights_of(model: nn.Module) -> Iterator[Tensor]:
    """Kernels, matrices and cores, with gradients: as quantised of a prepared model, else every trained tensor of two
    or more axes.
    """
    if isinstance(model, PreparedModel):
        yield from (stage.quantized_weight() for stage in model.contractions)
    else:
        yield from (parameter for parameter in model.parameters() if parameter.requires_grad and parameter.dim() > 1)


@dataclass(frozen=True, eq=False)
class Penalised:
    """loss + weight * sum |w| (l1), or loss + weight * sum w**2 / 2 (l2), over all of a model's weights."""

    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    model: nn.Module
    kind: Literal["l1", "l2"]
    weight: float

    def __call__(self, x: Tensor, logits: Tensor, y: Tensor) -> Tensor:
        total = self.loss(x, logits, y)
        for weight in weights_of(self.model):
            size = weight.abs().sum() if self.kind == "l1" else weight.square().sum() / 2
            total = total + self.weight * size
        return total
