import pytest
import torch
from torch import nn

from qtt_hw.nn import QTTConv3d, TTConv3d
from qtt_hw.nn.pool import PairPool3d
from qtt_hw.nn.zoo import create, input_shape


@pytest.mark.parametrize("name", ["voxtt", "voxtt-tiny"])
@pytest.mark.parametrize("dense", [False, True])
def test_networks_answer_with_one_logit_a_class(name: str, dense: bool) -> None:
    model = create(name, classes=7, dense=dense)
    size = 15 if name == "voxtt" else 8
    assert model(torch.zeros(2, 8, size, size, size)).shape == (2, 7)
    assert any(isinstance(m, TTConv3d) for m in model.modules()) is not dense
    assert isinstance(model.features.block1.conv, nn.Conv3d)


def maps(model: nn.Module, x: torch.Tensor) -> list[torch.Size]:
    found = []
    for block in model.features:
        x = block(x)
        found.append(x.shape)
    return found


@pytest.mark.parametrize("head", ["tt", "average", "linear"])
def test_dense_has_the_same_maps(head: str) -> None:
    options = {
        "classes": 3,
        "input_shape": (2, 9, 8, 7),
        "widths": (4, 6, 8),
        "ranks": [(2, 3, 3, 2), 4],
        "kernels": (2, 3, 3),
        "strides": (1, 2, 1),
        "paddings": (0, 1, 1),
        "pools": (1, 1, 2),
        "head": head,
    }
    sparse, dense = create("voxtt", **options), create("voxtt", **options, dense=True)
    x = torch.zeros(2, 2, 9, 8, 7)
    assert maps(sparse, x) == maps(dense, x) and sparse(x).shape == dense(x).shape == (2, 3)
    assert maps(sparse, x)[-1] == (2, 8, 2, 2, 1)
    assert sparse.features.block2.conv.ranks == (2, 3, 3, 2) and sparse.features.block3.conv.ranks == (4, 4, 4, 4)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"ranks": [4]}, "voxtt: 1 ranks for 3 TT blocks"),
        ({"pools": [1, 2]}, "voxtt: 2 pools for 4 blocks"),
        ({"pools": 9}, "nothing is left of the map .* after block 1"),
        ({"head": "mean"}, "head must be tt, average or linear"),
        ({"depth": 4}, "voxtt: .*unexpected keyword argument 'depth'$"),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create("voxtt", **{"classes": 3, **options})
    with pytest.raises(ValueError, match="there is no network 'vgg'"):
        create("vgg", classes=3)


def stored(model: nn.Module) -> int:
    """Parameters and running statistics."""
    buffers = sum(b.numel() for name, b in model.named_buffers() if not name.endswith("num_batches_tracked"))
    return sum(p.numel() for p in model.parameters()) + buffers


@pytest.mark.parametrize(
    ("name", "cores", "whole", "dense"),
    [
        ("qttnet_modelnet40", 70_352, 87_480, 5_657_320),
        ("qttnet_ucf11", 50_416, 62_011, 3_439_947),
    ],
)
def test_qttnets_have_the_published_size(name: str, cores: int, whole: int, dense: int) -> None:
    model = create(name)
    layers = [m for m in model.modules() if isinstance(m, QTTConv3d)]
    assert sum(p.numel() for layer in layers for p in layer.parameters()) == cores
    assert stored(model) == whole
    assert stored(create(name, dense=True)) == dense


def test_qttnets_maps_shrink_as_published() -> None:
    pools = [m for m in create("qttnet_modelnet40").modules() if isinstance(m, PairPool3d)]
    size = (32, 32, 32)
    for pool, edge in zip(pools, (11, 4, 1), strict=True):
        size = pool.window(size).out_positions((*size, 1))
        assert size == (edge,) * 3 and pool.kind == "average"
    pools = [m for m in create("qttnet_ucf11").modules() if isinstance(m, PairPool3d)]
    size = (50, 30, 40)
    for pool, expected in zip(pools, ((13, 8, 10), (4, 3, 3), (1, 1, 1)), strict=True):
        size = pool.window(size).out_positions((*size, 1))
        assert size == expected and pool.kind == "max"


def test_classes_are_those_of_the_data_set_unless_given() -> None:
    assert create("qttnet_ucf50").head[1].out_features == 50
    assert create("qttnet_ucf11", classes=10).head[1].out_features == 10


@pytest.mark.parametrize("dense", [False, True])
def test_the_small_qttnet_answers(dense: bool) -> None:
    assert create("qttnet_small", classes=3, dense=dense)(torch.zeros(2, *input_shape("qttnet_small"))).shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": ((3, 3, 3),)}, "1 pool strides for 3 blocks"),
        ({"pool": "mean"}, "pool must be average or max, got 'mean'"),
        ({"ranks": (8, 8)}, "2 ranks for 5 TT convolutions"),
        ({"input_shape": (1, 90, 30, 30)}, r"the pools leave \[3, 1, 1\] of \[90, 30, 30\]"),
    ],
)
def test_qttnet_refusals(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create("qttnet_small", classes=3, **change)
