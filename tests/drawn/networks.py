"""Whole random networks of torch layers, each a function of its seed: chains of blocks and a head over classes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.nn import TTLinear
from qtt_hw.quant import QuantConfig
from tests.batch_norms import disturb
from tests.drawn.draw_blocks import MOST_WEIGHTS, BlockDrawing

__all__ = ["Network", "network"]


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


class _Drawing(BlockDrawing):
    """Draws a network block by block."""

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
        disturb(model, least=0.01, dead=0.2)
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
