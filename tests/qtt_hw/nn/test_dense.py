"""A layer that is made from another kind of dense layer than its own is refused, with the one that takes it."""

from collections.abc import Callable

import pytest
from torch import nn

from qtt_hw.nn.qtt_conv import QTTConv3d
from qtt_hw.nn.tt_conv import TTConv2d, TTConv3d
from qtt_hw.nn.tt_linear import TTLinear
from qtt_hw.nn.tucker_conv import TuckerConv

MADE: list[tuple[str, Callable, nn.Module, str]] = [
    ("TTConv3d", lambda layer: TTConv3d.from_dense(layer, 2), nn.Linear(4, 4), "Conv3d"),
    ("TTConv3d", lambda layer: TTConv3d.from_dense(layer, 2), nn.Conv2d(4, 4, 3), "Conv3d"),
    ("TTConv3d", lambda layer: TTConv3d.from_train(layer, []), nn.Conv2d(4, 4, 3), "Conv3d"),
    ("TTConv2d", lambda layer: TTConv2d.from_dense(layer, 2), nn.Conv3d(4, 4, 3), "Conv2d"),
    ("QTTConv3d", lambda layer: QTTConv3d.from_dense(layer, (2, 2), (2, 2), 2), nn.Linear(4, 4), "Conv3d"),
    ("TTLinear", lambda layer: TTLinear.from_dense(layer, (2, 2), (2, 2), 2), nn.Conv3d(4, 4, 1), "Linear"),
    ("TuckerConv", lambda layer: TuckerConv.from_dense(layer, (2, 2)), nn.Linear(4, 4), "Conv2d or a Conv3d"),
    ("TuckerConv", lambda layer: TuckerConv(layer, (2, 2)), nn.Linear(4, 4), "Conv2d or a Conv3d"),
]


@pytest.mark.parametrize(("name", "make", "layer", "wanted"), MADE)
def test_another_kind_of_layer_is_refused(name: str, make: Callable, layer: nn.Module, wanted: str) -> None:
    kind = type(layer).__name__
    with pytest.raises(ValueError, match=f"^a {name} is made from a {wanted}, got a {kind}; a TT{kind[:6]}"):
        make(layer)


def test_what_is_no_dense_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="^a TTConv3d is made from a Conv3d, got a ReLU$"):
        TTConv3d.from_dense(nn.ReLU(), 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"groups": 2}, {"dilation": 2}, {"padding_mode": "circular", "padding": 1}])
def test_convolutions_that_are_not_plain_are_refused(options: dict) -> None:
    for made in (TTConv3d, TuckerConv):
        with pytest.raises(ValueError, match=f"with groups=1, dilation=1 .* becomes a {made.__name__}$"):
            made.from_dense(nn.Conv3d(4, 4, 3, **options), (2, 2, 2, 2) if made is TTConv3d else (2, 2))
