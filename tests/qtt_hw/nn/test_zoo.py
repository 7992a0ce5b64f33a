import pytest
import torch
from torch import nn

from qtt_hw.nn import TTConv3d
from qtt_hw.nn.zoo import create, names


@pytest.mark.parametrize("name", names())
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
        ({"depth": 4}, "voxtt: .*unexpected keyword argument 'depth'"),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create("voxtt", **{"classes": 3, **options})
    with pytest.raises(ValueError, match="there is no network 'vgg'"):
        create("vgg", classes=3)
