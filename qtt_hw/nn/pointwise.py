"""Functions of single values, made of others: what a table of a network's activation is filled with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["Combined", "Parametrised", "Pointwise", "Slope"]

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
        plain, trained, shape = iter(self.steps), iter(self.trained), x.shape
        for index in range(len(self.steps) + len(self.trained)):
            x = next(trained)(x) if index in self._trained_at else next(plain)(x)
        # A constant of one number may have more axes than x has.
        return x if x.shape == shape else x.reshape(shape)


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


class Parametrised(nn.Module):
    """A function of a tensor and of single values that are trained, as x ** p, in any float dtype.

    Parameters
    ----------
    function : callable
        Of a sequence of tensors, one for each of `values`, and the tensor.
    values : sequence of tensor
        Of one number each; those that are no nn.Parameter, or have no requires_grad, are constants.
    """

    def __init__(self, function: Callable[..., Tensor], values: Sequence[Tensor]) -> None:
        super().__init__()
        self.function = function
        trained = (isinstance(value, nn.Parameter) and value.requires_grad for value in values)
        self.values = nn.ParameterList(
            nn.Parameter(value.detach().to(torch.float32).clone(), requires_grad=trains)
            for value, trains in zip(values, trained, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.function([value.to(x) for value in self.values], x.clone()).reshape(x.shape)


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
