"""Blocks drawn at random: a layer, or branches and their join; small enough that their hardware builds in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from tests.drawn.draw_layers import LayerDrawing
from tests.drawn.layers import Chunked, Gated, Joined

__all__ = ["MOST_WEIGHTS", "BlockDrawing"]

#: Positions times channels of a map, and multiplications of a layer: what takes a thousand cycles or two.
MOST_VALUES, MOST_WEIGHTS, MOST_MACS = 320, 600, 6_000


class BlockDrawing(LayerDrawing):
    """Draws blocks, whose branches have blocks again down to a depth; every shape is found by running the layer."""

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
