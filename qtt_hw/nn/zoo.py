"""The named networks.

`voxtt` classifies voxel volumes: a dense first convolution, then TT convolutions, each with batch norm, ReLU and
maybe a max pool, and a head that reads the whole remaining map. With `dense=True` every TT convolution is a dense one
of the same kernel, stride and padding: the teacher and the baseline. The `qttnet` ones are QTTNet's own. `lenet`,
`vgg16` and the `resnet` ones are of 2D layers, on images [N, C, H, W].
"""

from __future__ import annotations

import inspect
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from qtt_hw.near import did_you_mean
from qtt_hw.nn.blocks import ConvBlock
from qtt_hw.nn.lenet import LeNet
from qtt_hw.nn.memory import channels_last
from qtt_hw.nn.qttnet import MODELNET40, SMALL, UCF11, QTTNet
from qtt_hw.nn.resnet import ResNet
from qtt_hw.nn.tt_conv import TTConv3d
from qtt_hw.nn.vgg import VGG
from qtt_hw.tt.shapes import full_ranks

__all__ = ["VoxTT", "create", "input_shape", "names"]

Several = int | Sequence[int]


class VoxTT(nn.Module):
    """Logits [N, classes] of voxels [N, C, D, H, W]: blocks of convolution, batch norm, ReLU and max pool, then a head.

    Parameters
    ----------
    classes : int
    input_shape : (C, D, H, W)
    widths : sequence of int
        Output channels of each block; the first block's convolution is dense.
    ranks : int or one of int or (r1, r2, r3, r4) per TT block, optional
        16, or as large as is of use.
    kernels, strides, pools : int, or one per block
        A pool of 1 is none.
    paddings : one per block, optional
        kernel // 2 unless given.
    head : "tt", "average" or "linear"
        A TT convolution over the whole map with batch norm; the average over the map and a linear layer; a linear
        layer on the flattened map.
    head_ranks : int or (r1, r2, r3, r4), optional
        Likewise.
    dense : bool
        Dense convolutions (and a linear layer for a TT head) in place of tensor trains.
    """

    def __init__(
        self,
        *,
        classes: int,
        input_shape: Sequence[int] = (8, 15, 15, 15),
        widths: Sequence[int] = (32, 48, 64, 64),
        ranks: int | Sequence[Several] | None = None,
        kernels: Several = 3,
        strides: Several = (2, 1, 2, 1),
        paddings: Several | None = None,
        pools: Several = 1,
        head: Literal["tt", "average", "linear"] = "tt",
        head_ranks: Several | None = None,
        dense: bool = False,
    ) -> None:
        super().__init__()
        if head not in ("tt", "average", "linear"):
            raise ValueError(f"voxtt: head must be tt, average or linear, got {head!r}")
        count = len(widths)
        kernel, stride, pool = (
            _each(v, count, n) for v, n in ((kernels, "kernels"), (strides, "strides"), (pools, "pools"))
        )
        padding = [k // 2 for k in kernel] if paddings is None else _each(paddings, count, "paddings")
        rank: list[Several | None]
        rank = [ranks] * (count - 1) if ranks is None or isinstance(ranks, int) else list(ranks)
        if len(rank) != count - 1:
            raise ValueError(f"voxtt: {len(rank)} ranks for {count - 1} TT blocks")
        channels, *size = input_shape
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for index, width in enumerate(widths):
            k, s, p = kernel[index], stride[index], padding[index]
            plain = index == 0 or dense
            try:
                of_block = None if plain else _usable(rank[index - 1], (channels, k, k, k, width))
                block = ConvBlock(channels, width, k, of_block, s, p)
            except ValueError as error:
                raise ValueError(f"voxtt: block{index + 1}: {error}") from None
            if isinstance(block.conv, nn.Conv3d):
                nn.init.kaiming_normal_(block.conv.weight, mode="fan_in", nonlinearity="relu")
            blocks[f"block{index + 1}"] = block
            size = [(n + 2 * p - k) // s + 1 for n in size]
            if pool[index] > 1:
                blocks[f"pool{index + 1}"] = nn.MaxPool3d(pool[index])
                size = [n // pool[index] for n in size]
            if min(size) < 1:
                raise ValueError(f"voxtt: nothing is left of the map {list(input_shape[1:])} after block {index + 1}")
            channels = width
        self.features = nn.Sequential(blocks)
        d, h, w = size
        if head == "average":
            self.head = nn.Sequential(nn.AvgPool3d((d, h, w)), nn.Flatten(), nn.Linear(channels, classes))
        elif head == "linear" or dense:
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(channels * math.prod(size), classes))
        else:
            try:
                conv = TTConv3d(channels, classes, size, _usable(head_ranks, (channels, *size, classes)))
            except ValueError as error:
                raise ValueError(f"voxtt: head: {error}") from None
            self.head = nn.Sequential(conv, nn.BatchNorm3d(classes), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


#: Of a TT convolution whose ranks are not given.
RANK = 16


def _usable(ranks: Several | None, sizes: Sequence[int]) -> Several:
    """The ranks as they are given, else RANK, or less where a tensor of these modes has no larger ones."""
    return min(RANK, max(full_ranks(sizes))) if ranks is None else ranks


def _each(value: Several, count: int, name: str) -> list[int]:
    values = [value] * count if isinstance(value, int) else list(value)
    if len(values) != count:
        raise ValueError(f"voxtt: {len(values)} {name} for {count} blocks")
    return values


#: Constructor and arguments by name; a caller's arguments go over these.
_ZOO: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "voxtt": (VoxTT, {"input_shape": (8, 15, 15, 15)}),
    "voxtt-tiny": (
        VoxTT,
        {
            "input_shape": (8, 8, 8, 8),
            "widths": (16, 16, 24),
            "ranks": 8,
            "strides": (2, 1, 2),
            "head": "average",
        },
    ),
    "qttnet_modelnet40": (QTTNet, MODELNET40),
    "qttnet_ucf11": (QTTNet, UCF11),
    "qttnet_ucf50": (QTTNet, UCF11),
    "qttnet_small": (QTTNet, SMALL),
    "lenet": (LeNet, {"input_shape": (1, 1, 28, 28)}),
    **{f"resnet{depth}": (ResNet, {"depth": depth, "input_shape": (3, 1, 32, 32)}) for depth in (20, 32, 44, 56)},
    "vgg16": (VGG, {"input_shape": (3, 1, 32, 32)}),
}
#: Classes of the data set that a network is made for.
_CLASSES = {"qttnet_modelnet40": 40, "qttnet_ucf11": 11, "qttnet_ucf50": 50, "lenet": 10}
_CLASSES |= {"vgg16": 10, **{f"resnet{depth}": 10 for depth in (20, 32, 44, 56)}}


def names() -> tuple[str, ...]:
    """The names that `create` knows."""
    return tuple(_ZOO)


def input_shape(name: str) -> tuple[int, int, int, int]:
    """The input shape (C, D, H, W) that a name has without arguments."""
    c, d, h, w = _ZOO[name][1]["input_shape"]
    return c, d, h, w


def classes(name: str) -> int | None:
    """The number of classes of the data set that a network is made for; None for one that is not."""
    return _CLASSES.get(name)


def create(name: str, **arguments: object) -> nn.Module:
    """A network by name, freshly initialised from torch's random state; arguments go over the name's own."""
    if name not in _ZOO:
        raise ValueError(f"there is no network {name!r} in the zoo: it has {', '.join(_ZOO)}{did_you_mean(name, _ZOO)}")
    make, own = _ZOO[name]
    defaults = {} if classes(name) is None else {"classes": classes(name)}
    try:
        model = make(**{**own, **defaults, **arguments})
    except TypeError as error:
        known = inspect.signature(make).parameters
        given = next((each for each in arguments if each not in known), None)
        hint = "" if given is None else did_you_mean(given, known)
        raise ValueError(f"{name}: {' '.join(str(error).split())}{hint}") from None
    return channels_last(model)
