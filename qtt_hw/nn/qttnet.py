"""QTTNet's networks: a dense convolution, tensor-train convolutions over factored channels, SAME pools, a head."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from qtt_hw.nn.pool import PairAvgPool3d, PairMaxPool3d
from qtt_hw.nn.qtt_conv import QTTConv3d
from qtt_hw.nn.window import Triple

__all__ = ["MODELNET40", "SMALL", "UCF11", "QTTNet"]

#: (in modes, out modes) of a TT convolution.
Modes = tuple[Sequence[int], Sequence[int]]

#: Blocks of TT convolutions with the stride of the pool behind each, as released by QTTNet's authors.
MODELNET40: dict[str, Any] = {
    "input_shape": (1, 30, 30, 30),
    "first_padding": 2,  # the 30^3 volumes in the middle of 32^3
    "blocks": (
        (((4, 4, 4), (4, 4, 4)),),
        (((2, 4, 2, 4), (4, 2, 4, 4)), ((4, 2, 4, 4), (4, 4, 2, 4)), ((4, 2, 4, 4), (4, 4, 2, 4))),
        (((4, 2, 4, 4), (4, 4, 4, 4)), ((4, 4, 4, 4), (4, 4, 4, 4)), ((4, 4, 4, 4), (4, 4, 4, 4))),
    ),
    "strides": ((3, 3, 3), (3, 3, 3), (4, 4, 4)),
    "pool": "average",
    "ranks": 16,
}
UCF11: dict[str, Any] = {
    "input_shape": (3, 50, 30, 40),
    "blocks": (
        (((4, 4, 4), (4, 4, 4)),),
        (((4, 2, 4, 2), (2, 4, 4, 4)), ((4, 2, 4, 4), (4, 4, 2, 4))),
        (((4, 2, 4, 4), (4, 4, 4, 4)), ((4, 4, 4, 4), (4, 4, 4, 4))),
    ),
    "strides": ((4, 4, 4), (4, 3, 4), (4, 3, 3)),
    "pool": "max",
    "ranks": 16,
    # Its last ranks of 16 are above what modes 2 x 4 can use.
    "redundant_ranks": True,
}
#: The same plan, narrow enough to be trained on a laptop.
SMALL: dict[str, Any] = {
    "input_shape": (1, 30, 30, 30),
    "blocks": (
        (((2, 4), (2, 4)),),
        (((2, 4), (4, 8)), ((4, 8), (4, 8))),
        (((4, 8), (8, 8)), ((8, 8), (8, 16))),
    ),
    "strides": ((3, 3, 3), (3, 3, 3), (4, 4, 4)),
    "pool": "average",
    "ranks": 8,
}


class QTTNet(nn.Module):
    """Logits [N, classes] of volumes or clips [N, C, D, H, W].

    Every convolution is 3x3x3 with stride 1, without bias, and followed by batch norm and ReLU; the first is dense.
    Behind each block stands a 3x3x3 pool with SAME padding; the last one must leave a single position.

    Parameters
    ----------
    classes : int
    input_shape : (C, D, H, W)
    blocks : sequence of sequences of (in modes, out modes)
        The TT convolutions; the first one's in modes multiply to the first convolution's channels.
    strides : one (d, h, w) per block
        Of its pool.
    pool : "average" or "max"
    ranks : int, or one per TT convolution, each an int or one per gap between its cores
    path : str, optional
        Of every TT convolution: "best", or its groups of cores; see `QTTConv3d`.
    first_padding : int
        Of the first convolution; 1 keeps the map, 2 puts a border of one around it.
    redundant_ranks : bool
        Let ranks exceed what their modes can use.
    dense : bool
        Dense convolutions in place of tensor trains: the baseline.

    References
    ----------
    Lee, Wang, Wang, Yang, Liu, Li, Xu, Wen, "QTTNet: Quantized tensor train neural networks for 3D object and video
    recognition", Neural Networks 141 (2021); modes, ranks and strides from the first author's released code.
    """

    def __init__(
        self,
        *,
        classes: int,
        input_shape: Sequence[int],
        blocks: Sequence[Sequence[Modes]],
        strides: Sequence[Triple],
        pool: Literal["average", "max"],
        ranks: int | Sequence[int | Sequence[int]] = 16,
        path: str | None = None,
        first_padding: int = 1,
        redundant_ranks: bool = False,
        dense: bool = False,
    ) -> None:
        super().__init__()
        if len(strides) != len(blocks):
            raise ValueError(f"qttnet: {len(strides)} pool strides for {len(blocks)} blocks")
        kinds = {"average": PairAvgPool3d, "max": PairMaxPool3d}
        if pool not in kinds:
            raise ValueError(f"qttnet: pool must be average or max, got {pool!r}")
        count = sum(len(block) for block in blocks)
        rank = [ranks] * count if isinstance(ranks, int) else list(ranks)
        if len(rank) != count:
            raise ValueError(f"qttnet: {len(rank)} ranks for {count} TT convolutions")
        channels = math.prod(blocks[0][0][0])
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["first"] = _block(nn.Conv3d(input_shape[0], channels, 3, padding=first_padding, bias=False), channels)
        size = [n + 2 * (first_padding - 1) for n in input_shape[1:]]
        index = 0
        for b, (block, stride) in enumerate(zip(blocks, strides, strict=True), start=1):
            for i, (in_modes, out_modes) in enumerate(block, start=1):
                width = math.prod(out_modes)
                conv: nn.Module
                if dense:
                    conv = nn.Conv3d(channels, width, 3, padding=1, bias=False)
                else:
                    conv = QTTConv3d(
                        channels,
                        width,
                        in_modes,
                        out_modes,
                        rank[index],
                        padding=1,
                        path=path,
                        redundant_ranks=redundant_ranks,
                    )
                layers[f"conv{b}_{i}"] = _block(conv, width)
                channels, index = width, index + 1
            layers[f"pool{b}"] = kinds[pool](3, stride, "same")
            size = [-(-n // s) for n, s in zip(size, stride, strict=True)]
        if size != [1, 1, 1]:
            raise ValueError(f"qttnet: the pools leave {size} of {list(input_shape[1:])}, not a single position")
        self.features = nn.Sequential(layers)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(channels, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def _block(conv: nn.Module, channels: int) -> nn.Sequential:
    if isinstance(conv, nn.Conv3d):
        nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm3d(channels), relu=nn.ReLU()))
