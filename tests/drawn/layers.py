"""Modules of which random networks are made: each has a repr that says all of it but its weights."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "FUNCTIONS",
    "Affine",
    "Branched",
    "Called",
    "Chunked",
    "Gated",
    "Joined",
    "Narrowed",
    "Padded",
    "Shuffled",
]

#: Functions of one value, by how they are called; those of layers are drawn as layers.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "swish by hand": lambda x: x * torch.sigmoid(x),
    "constants": lambda x: 1 - 2 * x,
    "square": lambda x: x**2,
    "abs": torch.abs,
    "neg": operator.neg,
    "clamp": lambda x: x.clamp(-0.75, 0.5),
    "gelu": F.gelu,
    "exp": lambda x: torch.exp(-x.abs()),
    "atan": torch.atan,
    "sign": torch.sign,
    "root": lambda x: torch.sqrt(F.relu(x)),
    "hard swish by hand": lambda x: x * F.relu6(x + 3) / 6,
    "threshold": lambda x: F.threshold(x, 0.25, -0.5),
}


class Called(nn.Module):
    """A function of one value, by its name in FUNCTIONS."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        return FUNCTIONS[self.name](x)

    def extra_repr(self) -> str:
        return self.name


class Branched(nn.Module):
    """Several branches of one value, which the subclass joins; nn.Identity() is the value itself."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def ends(self, x: Tensor) -> list[Tensor]:
        return [branch(x) for branch in self.branches]


class Joined(Branched):
    """The sum, difference, product or concatenation of branches."""

    def __init__(self, how: str, *branches: nn.Module) -> None:
        super().__init__(*branches)
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        ends = self.ends(x)
        if self.how == "concatenation":
            return torch.cat(ends, 1)
        y = ends[0]
        for other in ends[1:]:
            y = {"sum": torch.add, "difference": torch.sub, "product": torch.mul}[self.how](y, other)
        return y

    def extra_repr(self) -> str:
        return self.how


class Gated(Branched):
    """x times its branch's value of each channel: squeeze and excitation."""

    def forward(self, x: Tensor) -> Tensor:
        (gate,) = self.ends(x)
        return x * gate


class Chunked(Branched):
    """The channels in as many parts as there are branches, each through its own, put together again, maybe turned."""

    def __init__(self, sizes: Sequence[int], reverse: bool, *branches: nn.Module) -> None:
        super().__init__(*branches)
        self.sizes, self.reverse = list(sizes), reverse

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.split(x, self.sizes, 1)
        ends = [branch(part) for branch, part in zip(self.branches, parts, strict=True)]
        return torch.cat(ends[::-1] if self.reverse else ends, 1)

    def extra_repr(self) -> str:
        return f"{self.sizes}{', reversed' if self.reverse else ''}"


class Narrowed(nn.Module):
    """Some neighbouring channels."""

    def __init__(self, first: int, count: int) -> None:
        super().__init__()
        self.first, self.count = first, count

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.first : self.first + self.count]

    def extra_repr(self) -> str:
        return f"{self.first}, {self.count}"


class Shuffled(nn.Module):
    """Channels in another order, as ShuffleNet's: groups become the inner axis."""

    def __init__(self, groups: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.groups, self.shape = groups, tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        channels, *size = self.shape
        y = x.view(-1, self.groups, channels // self.groups, *size).transpose(1, 2)
        return y.reshape(-1, channels, *size)

    def extra_repr(self) -> str:
        return f"{self.groups}, {self.shape}"


class Affine(nn.Module):
    """A factor and a summand of each channel, parameters or constants."""

    def __init__(self, channels: int, axes: int, trained: bool) -> None:
        super().__init__()
        shape, self.trained = (channels, *(1,) * axes), trained
        scale, offset = torch.randn(shape) + 0.5, torch.randn(shape)
        if trained:
            self.scale, self.offset = nn.Parameter(scale), nn.Parameter(offset)
        else:
            self.register_buffer("scale", scale)
            self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.offset

    def extra_repr(self) -> str:
        return f"{list(self.scale.shape)}, trained={self.trained}"


class Padded(nn.Module):
    """Zeros around the map, by pairs, the last axis first."""

    def __init__(self, pairs: Sequence[int]) -> None:
        super().__init__()
        self.pairs = list(pairs)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.pairs)

    def extra_repr(self) -> str:
        return str(self.pairs)
