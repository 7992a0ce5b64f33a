"""A layer that is made from another kind of dense layer than its own is refused, with the one that takes it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, remove_weight_norm, spectral_norm, weight_norm

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


@pytest.mark.parametrize("options", [{"groups": 2}, {"padding_mode": "circular", "padding": 1}])
def test_convolutions_that_are_not_plain_are_refused(options: dict) -> None:
    for made in (TTConv3d, TuckerConv):
        with pytest.raises(ValueError, match=f"with groups=1 .* becomes a {made.__name__}$"):
            made.from_dense(nn.Conv3d(4, 4, 3, **options), (2, 2, 2, 2) if made is TTConv3d else (2, 2))


class Doubled(nn.Conv3d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Standardised(nn.Conv3d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, weight - weight.mean(), bias)


def changed(how: str) -> nn.Conv3d:
    conv = {"forward": Doubled, "_conv_forward": Standardised}.get(how, nn.Conv3d)(4, 4, 2)
    match how:
        case "weight norm":
            with pytest.warns(FutureWarning):
                weight_norm(conv)
        case "spectral norm":
            spectral_norm(conv)
        case "pruning":
            prune.l1_unstructured(conv, "bias", amount=2)
        case "parametrised":
            parametrizations.weight_norm(conv)
        case "hook":
            conv.register_forward_hook(lambda module, args, output: 2 * output)
        case "pre-hook":
            conv.register_forward_pre_hook(lambda module, args: (2 * args[0],))
        case "replaced":
            conv.forward = lambda x: x  # type: ignore[method-assign]
    return conv


@pytest.mark.parametrize("make", [lambda c: TTConv3d.from_dense(c, 2), lambda c: TuckerConv.from_dense(c, (2, 2))])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("forward", "Doubled has a forward of its own$"),
        ("_conv_forward", "Standardised has a _conv_forward of its own$"),
        ("replaced", "Conv3d has a forward of its own$"),
        ("weight norm", "has a weight computed from other tensors; bake it in, as by .*remove_weight_norm$"),
        ("spectral norm", "has a weight computed from other tensors"),
        ("pruning", "has a bias computed from other tensors"),
        ("parametrised", r"has a parametrised weight; bake it in by .*remove_parametrizations\(layer, \"weight\""),
        ("hook", "has forward hooks, which would be lost; remove them$"),
        ("pre-hook", "has forward hooks"),
    ],
)
def test_a_layer_that_computes_something_else_than_its_weight_says_is_refused(
    make: Callable, how: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=f"^a T.* is made from a plain Conv3d, this .*{reason}"):
        make(changed(how))


def test_a_layer_whose_weight_is_baked_in_is_taken() -> None:
    conv = remove_weight_norm(changed("weight norm"))
    x = torch.randn(1, 4, 3, 3, 3)
    assert torch.allclose(TTConv3d.from_dense(conv, eps=0.0)(x), conv(x), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: TTConv3d.from_dense(nn.Conv3d(8, 12, 3), 9999), r"9999 is above 36, .* \[8, 24, 36, 12\]"),
        (lambda: TTConv2d.from_dense(nn.Conv2d(8, 12, 3), (4, 4, 13)), "13 is above 12"),
        (lambda: TTConv2d.from_dense(nn.Conv2d(8, 12, 3), tucker=(9, 4)), r"tucker must .* at most 8 and 12, got"),
        (lambda: QTTConv3d.from_dense(nn.Conv3d(4, 4, 1), (2, 2), (2, 2), (1, 5)), "5 is above 4"),
        (lambda: TTLinear.from_dense(nn.Linear(4, 4), (2, 2), (2, 2), 5), "5 is above 4"),
        (lambda: TuckerConv.from_dense(nn.Conv3d(4, 6, 3), (4, 7)), r"ranks must .* at most 4 and 6, got \[4, 7\]"),
    ],
)
def test_ranks_above_those_of_use_are_refused(make: Callable, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


def test_redundant_ranks_are_taken_for_the_greatest_that_are_of_use() -> None:
    linear = nn.Linear(4, 4)
    assert TTLinear.from_dense(linear, (2, 2), (2, 2), 9, redundant_ranks=True).ranks == (4,)
    conv = nn.Conv3d(4, 4, 2)
    with pytest.warns(UserWarning, match="lower its ranks"):
        assert QTTConv3d.from_dense(conv, (2, 2), (2, 2), 99, redundant_ranks=True).ranks == (8, 4)
