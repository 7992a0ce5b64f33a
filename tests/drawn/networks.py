"""Whole random networks of torch layers, each a function of its seed: small enough that its hardware builds in seconds.

A network is a chain of blocks; a block is a layer, or branches and a join. Every shape is found by running the layer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.nn import QTTConv3d, TTConv2d, TTConv3d, TTLinear
from qtt_hw.quant import QuantConfig
from qtt_hw.window import Window
from tests.drawn.layers import FUNCTIONS, Affine, Called, Chunked, Gated, Joined, Narrowed, Padded, Shuffled

__all__ = ["Network", "network"]

#: Positions times channels of a map, and multiplications of a layer: what takes a thousand cycles or two.
MOST_VALUES, MOST_WEIGHTS, MOST_MACS = 320, 600, 6_000
ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.LeakyReLU,
    nn.ReLU6,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
    nn.Hardtanh,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardshrink,
    nn.Softshrink,
    nn.Tanhshrink,
    nn.PReLU,
)


@dataclass(frozen=True)
class Network:
    """A torch network with how it is quantised and planned.

    Parameters
    ----------
    seed : int
    model : nn.Module
        In evaluation, its batch norms with statistics of every kind.
    shape : tuple of int
        Of one sample: (C, D, H, W), (C, H, W) or (C,).
    config : QuantConfig
    input_format : Format
    trained : bool
        Whether a step of training and the phases behind it come before freezing.
    device : str
    slowdown : float, optional
        The plan's cycles are those of the fastest one times this; the fastest plan without.
    """

    seed: int
    model: nn.Module
    shape: tuple[int, ...]
    config: QuantConfig
    input_format: Format
    trained: bool
    device: str
    slowdown: float | None

    def __str__(self) -> str:
        options = {name: value for name, value in self.config.model_dump().items() if value is not None}
        plan = "fastest" if self.slowdown is None else f"{self.slowdown:.2f} times the fastest's cycles"
        return (
            f"network {self.seed}, inputs {self.shape} as {self.input_format}, plan for {self.device}, {plan}, "
            f"{'trained a step, ' if self.trained else ''}{options}\n{self.model}"
        )


def network(seed: int) -> Network:
    """The network of a seed."""
    draw = random.Random(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _Drawing(draw).network(seed)


class _Drawing:
    """Draws a network block by block; `shape` (C, ...) is that of the value so far."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.axes = draw.choice([3, 3, 3, 2, 2, 0])

    def network(self, seed: int) -> Network:
        draw = self.draw
        channels = draw.choice([1, 1, 2, 3, 4, 6])
        sizes = {3: (2, 4), 2: (3, 7), 0: (0, 0)}[self.axes]
        shape = (channels, *(draw.randint(*sizes) for _ in range(self.axes)))
        if self.axes == 0:
            shape = (draw.randint(3, 16),)
        voxels = draw.random() < 0.4
        blocks, last = [], shape
        for _ in range(draw.randint(1, 3)):
            block = self.block(last, depth=draw.choice([1, 1, 2]))
            blocks.append(block)
            last = self.after(block, last)
        blocks.append(self.head(last))
        model = nn.Sequential(*blocks)
        disturb(model)
        bits = draw.randint(4, 8)
        fmt = Format(1, False, 0) if voxels else Format(bits, draw.random() < 0.7, draw.randint(0, bits))
        slowdown = draw.choice([None, None, draw.uniform(1.0, 3.0), draw.uniform(3.0, 20.0)])
        device = draw.choice(["ecp5-25f", "ecp5-25f", "none"])
        if device == "none" and slowdown is None:
            slowdown = draw.uniform(2.0, 20.0)
        trained = draw.random() < 0.3
        return Network(seed, model.eval(), shape, self.config(), fmt, trained, device, slowdown)

    def config(self) -> QuantConfig:
        draw = self.draw
        options: dict[str, object] = {
            "weight_bits": draw.randint(2, 8),
            "activation_bits": draw.randint(3, 8),
            "intermediate_bits": draw.randint(3, 8),
            "logit_bits": draw.choice([6, 8, 12, 16]),
        }
        match draw.choice(["tensor", "tensor", "channel", "channel", "codebook", "fixed", "merged"]):
            case "channel":
                options["weight_scales"] = "channel"
            case "codebook":
                codebook = draw.choice(["dqc", "sqc", "inq", "kmeans"])
                options |= {"codebook": codebook, "weight_bits": draw.randint(2, 5)}
                if codebook in ("dqc", "sqc"):
                    options["zero"] = draw.random() < 0.5
            case "fixed":
                options["scales"] = "fixed"
            case "merged":
                options["tt_form"] = "merged"
        if draw.random() < 0.3:
            options["first_weight_bits"] = draw.randint(2, 5)
        if draw.random() < 0.3:
            options["last_weight_bits"] = draw.randint(2, 5)
        return QuantConfig(**options)

    # Shapes

    @staticmethod
    def after(layer: nn.Module, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape behind a layer."""
        with torch.no_grad():
            return tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])

    def divisor(self, number: int, least: int = 1) -> int:
        return self.draw.choice([d for d in range(least, number + 1) if number % d == 0])

    def modes(self, number: int) -> tuple[int, int]:
        first = self.divisor(number)
        return first, number // first

    # Blocks

    def block(self, shape: Sequence[int], depth: int) -> nn.Module:
        """A layer, or branches and their join."""
        kinds = ["layer"] * 5
        if depth:
            kinds += ["sum", "difference", "concatenation", "product", "gate", "chunks"]
        return self.fitting(shape, lambda: getattr(self, f"_{self.draw.choice(kinds)}")(shape, depth - 1))

    def fitting(self, shape: Sequence[int], make: Callable[[], nn.Module | None]) -> nn.Module:
        """The first block made whose maps are small and not empty."""
        for _ in range(8):
            made = make()
            if made is None:
                continue
            try:
                after = self.after(made, shape)
            except (RuntimeError, ValueError):  # nothing is left of the map
                continue
            values = torch.Size(after).numel()
            if (
                0 < values <= MOST_VALUES
                and sum(p.numel() for p in made.parameters()) * values // after[0] <= MOST_MACS
            ):
                return made
        return nn.Identity()

    def chain(self, shape: Sequence[int], depth: int, most: int = 2) -> nn.Sequential:
        blocks, last = [], tuple(shape)
        for _ in range(self.draw.randint(1, most)):
            blocks.append(self.block(last, depth))
            last = self.after(blocks[-1], last)
        return nn.Sequential(*blocks)

    def _layer(self, shape: Sequence[int], depth: int) -> nn.Module | None:
        if not shape[1:]:
            kinds = ["linear"] * 4 + ["tt_linear"] * 2 + ["activation", "affine", "norm", "narrow"]
        else:
            kinds = ["convolution"] * 6 + ["train"] * (3 if self.axes == 3 else 1) + ["pool"] * 3
            kinds += ["activation"] * 2 + ["affine", "norm", "narrow", "shuffle", "padding"]
        return getattr(self, f"_{self.draw.choice(kinds)}")(shape)

    def keeping(self, shape: Sequence[int], depth: int) -> nn.Module:
        """A branch that keeps the shape."""
        draw = self.draw
        if draw.random() < 0.25:
            return nn.Identity()

        def make() -> nn.Module | None:
            chain = self.chain(shape, depth, 1) if draw.random() < 0.7 else nn.Sequential()
            last = self.after(chain, shape)
            if last[1:] != tuple(shape[1:]):
                return None
            if last[0] != shape[0]:
                chain.append(self.point(last, shape[0]))
            return chain

        return self.fitting(shape, make)

    def point(self, shape: Sequence[int], channels: int, groups: int = 1) -> nn.Module:
        """A linear layer of each position."""
        if not shape[1:]:
            return nn.Linear(shape[0], channels)
        kind = nn.Conv3d if len(shape) == 4 else nn.Conv2d
        return kind(shape[0], channels, 1, bias=self.draw.random() < 0.5, groups=groups)

    def _sum(self, shape: Sequence[int], depth: int, how: str = "sum") -> nn.Module:
        count = self.draw.choice([2, 2, 3]) if how == "sum" else 2
        joined: nn.Module = Joined(how, *(self.keeping(shape, depth) for _ in range(count)))
        return nn.Sequential(joined, nn.ReLU()) if self.draw.random() < 0.4 else joined

    def _difference(self, shape: Sequence[int], depth: int) -> nn.Module:
        return self._sum(shape, depth, "difference")

    def _product(self, shape: Sequence[int], depth: int) -> nn.Module:
        return self._sum(shape, depth, "product")

    def _concatenation(self, shape: Sequence[int], depth: int) -> nn.Module:
        branches = [self.keeping(shape, depth) for _ in range(self.draw.choice([2, 2, 3, 4]))]
        if self.draw.random() < 0.5:
            branches.append(self.point(shape, self.draw.randint(1, 4)))
        return Joined("concatenation", *branches)

    def _chunks(self, shape: Sequence[int], depth: int) -> nn.Module | None:
        channels = shape[0]
        if channels < 2:
            return None
        cuts = sorted(self.draw.sample(range(1, channels), min(self.draw.choice([1, 1, 2]), channels - 1)))
        sizes = [b - a for a, b in zip([0, *cuts], [*cuts, channels], strict=True)]
        branches = [self.keeping((size, *shape[1:]), depth) for size in sizes]
        return Chunked(sizes, self.draw.random() < 0.5, *branches)

    def _gate(self, shape: Sequence[int], depth: int) -> nn.Module | None:
        if not shape[1:]:
            return None
        channels, squeezed = shape[0], self.draw.randint(1, 4)
        pool = nn.AdaptiveAvgPool3d(1) if len(shape) == 4 else nn.AdaptiveAvgPool2d(1)
        inner = (channels, *(1,) * (len(shape) - 1))
        act = self.draw.choice([nn.Sigmoid(), nn.Hardsigmoid(), nn.ReLU()])
        if self.draw.random() < 0.3:
            return Gated(nn.Sequential(pool, self.point(inner, channels), act))
        narrow = self.point(inner, squeezed)
        return Gated(nn.Sequential(pool, narrow, nn.ReLU(), self.point((squeezed, *inner[1:]), channels), act))

    # Layers

    def behind(self, layer: nn.Module, shape: Sequence[int]) -> nn.Module:
        """A layer with batch norm and an activation behind it, now and then."""
        parts = [layer]
        try:
            after = self.after(layer, shape)
        except (RuntimeError, ValueError):
            return layer
        if self.draw.random() < 0.5:
            parts.append(self._norm(after))
        match self.draw.choice(["relu", "relu", "other", "none"]):
            case "relu":
                parts.append(nn.ReLU())
            case "other":
                parts.append(self._activation(after))
        return nn.Sequential(*parts) if len(parts) > 1 else layer

    def _windows(self, shape: Sequence[int], dilates: bool) -> dict[str, tuple[int, ...]]:
        """Kernel, stride, padding and dilation along each axis."""
        draw = self.draw
        found: dict[str, list[int]] = {name: [] for name in ("kernel_size", "stride", "padding", "dilation")}
        for size in shape[1:]:
            kernel = draw.choice([1, 2, 3, 3, min(size, 4)])
            dilation = draw.choice([1, 1, 1, 2]) if dilates else 1
            stride, padding = draw.choice([1, 1, 1, 2, 3]), draw.randint(0, (kernel - 1) * dilation)
            if not readable(size, kernel, stride, padding, dilation):
                kernel, padding = 1, 0
            for name, value in zip(found, (kernel, stride, padding, dilation), strict=True):
                found[name].append(value)
        return {name: tuple(values) for name, values in found.items()}

    def _convolution(self, shape: Sequence[int]) -> nn.Module:
        draw, channels = self.draw, shape[0]
        groups = draw.choice([1, 1, channels, self.divisor(channels)])
        made = groups * draw.randint(1, max(1, 8 // groups))
        kind = nn.Conv3d if len(shape) == 4 else nn.Conv2d
        if draw.random() < 0.25:
            return self.behind(self.point(shape, made, groups), shape)
        windows = self._windows(shape, dilates=True)
        layer = kind(channels, made, groups=groups, bias=draw.random() < 0.5, **windows)
        return self.behind(layer, shape)

    def _train(self, shape: Sequence[int]) -> nn.Module | None:
        """A convolution in a tensor train."""
        draw, channels = self.draw, shape[0]
        made, windows = draw.choice([2, 3, 4, 6, 8]), self._windows(shape, dilates=False)
        windows.pop("dilation")
        options = {"bias": draw.random() < 0.5, "redundant_ranks": True, **windows}
        if len(shape) == 4 and draw.random() < 0.5:
            rank = draw.randint(1, 4)
            return self.behind(
                QTTConv3d(channels, made, self.modes(channels), self.modes(made), rank, **options), shape
            )
        kind = TTConv3d if len(shape) == 4 else TTConv2d
        ranks = [draw.randint(1, 4) for _ in range(len(shape))]
        return self.behind(kind(channels, made, ranks=ranks, **options), shape)

    def _linear(self, shape: Sequence[int]) -> nn.Module:
        return self.behind(nn.Linear(shape[0], self.draw.randint(2, 12), bias=self.draw.random() < 0.5), shape)

    def _tt_linear(self, shape: Sequence[int]) -> nn.Module:
        made = self.draw.choice([2, 4, 6, 8, 12])
        bias = self.draw.random() < 0.5
        layer = TTLinear(self.modes(shape[0]), self.modes(made), self.draw.randint(1, 4), bias, redundant_ranks=True)
        return self.behind(layer, shape)

    def _pool(self, shape: Sequence[int]) -> nn.Module:
        draw, cube = self.draw, len(shape) == 4
        how = draw.choice(["max", "average", "adaptive", "average of the map"])
        if how == "adaptive":
            sizes = tuple(self.divisor(size) for size in shape[1:])
            if draw.random() < 0.3:
                return nn.AdaptiveMaxPool3d(sizes) if cube else nn.AdaptiveMaxPool2d(sizes)
            return nn.AdaptiveAvgPool3d(sizes) if cube else nn.AdaptiveAvgPool2d(sizes)
        if how == "average of the map":
            return nn.AvgPool3d(tuple(shape[1:])) if cube else nn.AvgPool2d(tuple(shape[1:]))
        kernel = tuple(draw.randint(1, min(3, size)) for size in shape[1:])
        stride = kernel if draw.random() < 0.4 else tuple(draw.randint(1, 3) for _ in kernel)
        padding = tuple(draw.randint(0, k // 2) for k in kernel)
        ceil = draw.random() < 0.3
        if how == "max":
            kind = nn.MaxPool3d if cube else nn.MaxPool2d
            dilation = draw.choice([1, 1, 1, 2])
            return kind(kernel, stride, padding, dilation=dilation, ceil_mode=ceil)
        mean = nn.AvgPool3d if cube else nn.AvgPool2d
        return mean(kernel, stride, padding, ceil_mode=ceil, count_include_pad=draw.random() < 0.3)

    def _activation(self, shape: Sequence[int]) -> nn.Module:
        if self.draw.random() < 0.5:
            return self.draw.choice(ACTIVATIONS)()
        return Called(self.draw.choice(list(FUNCTIONS)))

    def _affine(self, shape: Sequence[int]) -> nn.Module:
        return Affine(shape[0], len(shape) - 1, self.draw.random() < 0.5)

    def _norm(self, shape: Sequence[int]) -> nn.Module:
        return {1: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}[len(shape)](shape[0])

    def _narrow(self, shape: Sequence[int]) -> nn.Module | None:
        if shape[0] < 2:
            return None
        count = self.draw.randint(1, shape[0] - 1)
        return Narrowed(self.draw.randint(0, shape[0] - count), count)

    def _shuffle(self, shape: Sequence[int]) -> nn.Module | None:
        groups = self.divisor(shape[0])
        return Shuffled(groups, shape) if 1 < groups < shape[0] else None

    def _padding(self, shape: Sequence[int]) -> nn.Module:
        return Padded([self.draw.randint(0, 1) for _ in range(2 * (len(shape) - 1))])

    def head(self, shape: Sequence[int]) -> nn.Module:
        """Logits of what is left."""
        draw, classes = self.draw, self.draw.randint(2, 6)
        if len(shape) == 1:
            return nn.Linear(shape[0], classes)
        size = torch.Size(shape).numel()
        how = draw.choice(["linear", "average", "convolution", "train"])
        cube = len(shape) == 4
        if how == "train" and size % 2 == 0:
            layer = TTLinear((size // 2, 2), (1, classes), draw.randint(1, 3), redundant_ranks=True)
            return nn.Sequential(nn.Flatten(), layer)
        if how == "average" or size * classes > 2 * MOST_WEIGHTS:
            pool = nn.AdaptiveAvgPool3d(1) if cube else nn.AdaptiveAvgPool2d(1)
            return nn.Sequential(pool, nn.Flatten(), nn.Linear(shape[0], classes))
        if how == "convolution":
            kind = nn.Conv3d if cube else nn.Conv2d
            return nn.Sequential(kind(shape[0], classes, tuple(shape[1:])), nn.Flatten())
        return nn.Sequential(nn.Flatten(), nn.Linear(size, classes))


def readable(size: int, kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether an axis has a window, and each window something else than padding."""
    try:
        Window((1, 1, kernel), (1, 1, stride), ((0, 0), (0, 0), (padding, padding)), (1, 1, dilation)).axes(
            (1, 1, size, 1)
        )
    except ValueError:
        return False
    return True


def disturb(model: nn.Module) -> None:
    """Batch norm with statistics, signs and scales of every kind, now and then one channel nearly dead."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.01, 4.0)
            if torch.rand(()) < 0.2:
                module.running_var[0] = 1e-12
