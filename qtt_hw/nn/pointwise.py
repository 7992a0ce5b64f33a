"""Functions of single values, made of others: what a table of a network's activation is filled with."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["Combined", "Pointwise", "Slope"]

#: A function of single values, in their dtype.
Function = Callable[[Tensor], Tensor]


class Pointwise(nn.Module):
    """Functions of single values one after the other, on a tensor of any shape and float dtype.

    Parameters
    ----------
    *steps : callable
        In the order they act; those of PyTorch's modules keep their parameters, which can be trained.

    Examples
    --------
    >>> import torch
    >>> from qtt_hw.nn.pointwise import Pointwise
    >>> Pointwise(torch.abs, torch.sqrt)(torch.tensor([4.0, -9.0]))
    tensor([2., 3.])
    """

    def __init__(self, *steps: Function) -> None:
        super().__init__()
        self.steps = [step for step in steps if not isinstance(step, nn.Module)]
        self.trained = nn.ModuleList(step for step in steps if isinstance(step, nn.Module))
        self._trained_at = [index for index, step in enumerate(steps) if isinstance(step, nn.Module)]

    def forward(self, x: Tensor) -> Tensor:
        plain, trained = iter(self.steps), iter(self.trained)
        for index in range(len(self.steps) + len(self.trained)):
            x = next(trained)(x) if index in self._trained_at else next(plain)(x)
        return x


class Combined(nn.Module):
    """A function of several functions of one value, as x * sigmoid(x).

    Parameters
    ----------
    function : callable
        Of as many tensors as there are parts.
    *parts : Pointwise
    """

    def __init__(self, function: Callable[..., Tensor], *parts: Pointwise) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(*(part(x) for part in self.parts))


class Slope(nn.Module):
    """x where it is at least 0, else a * x, with one a that is trained: nn.PReLU() in any float dtype.

    Parameters
    ----------
    slope : float tensor, [1]
    """

    def __init__(self, slope: Tensor) -> None:
        super().__init__()
        self.slope = nn.Parameter(slope.detach().clone(), requires_grad=slope.requires_grad)

    def forward(self, x: Tensor) -> Tensor:
        return x.where(x >= 0, x * self.slope.to(x))
