"""QTTConv3d against the dense convolution that it stands for, and the order of its contraction."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qtt_hw.nn import QTTConv3d
from qtt_hw.nn.contraction import contract
from qtt_hw.tt.chain import ContractionPath, paths
from qtt_hw.window import Window


@given(
    st.sampled_from([((8,), (6,)), ((2, 4), (3, 2)), ((4, 2), (1, 6)), ((2, 2, 2), (3, 1, 2))]),
    st.sampled_from(
        [(3, 1, 1), ((1, 2, 3), (2, 1, 1), (0, 1, 1)), (3, 1, "same"), (3, 1, 2, 2), ((3, 2, 1), 1, "same", (1, 2, 1))]
    ),
    st.booleans(),
    st.integers(0, 1000),
)
def test_full_rank_train_is_the_convolution(modes: tuple, window: tuple, bias: bool, seed: int) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv3d(8, 6, *window, bias=bias)
    layer = QTTConv3d.from_dense(conv, *modes, eps=0.0)
    x = torch.randn(2, 8, 4, 5, 6)
    assert torch.allclose(layer(x), conv(x), atol=1e-4)
    assert torch.allclose(layer.composed_kernel(), conv.weight.double(), atol=1e-6)
    assert torch.allclose(layer.kernel(), conv.weight, atol=1e-5)
    assert layer.relative_error < 1e-12


def test_from_dense_reports_its_error() -> None:
    torch.manual_seed(1)
    conv = nn.Conv3d(8, 8, 3, padding=1)
    layer = QTTConv3d.from_dense(conv, (2, 4), (4, 2), ranks=4)
    weight = conv.weight.detach().double()
    error = float((layer.composed_kernel() - weight).norm() / weight.norm())
    assert layer.ranks == (4, 4) and abs(error - layer.relative_error) < 1e-6 and error > 0.1


@pytest.mark.parametrize("path", [str(path) for path in paths(3)])
def test_every_path_computes_the_convolution(path: str) -> None:
    torch.manual_seed(0)
    layer = QTTConv3d(
        6, 8, (2, 3), (4, 2), (3, 2), (3, 2, 3), (1, 2, 1), (1, 0, 1), path=path, dilation=(1, 2, 2)
    ).double()
    x = torch.randn(2, 6, 4, 5, 6).double()
    y = x
    for step in layer.steps():
        window = layer.window if step.first == 0 else Window()
        y = contract(y, layer.step_weight(step), window, step.lead, step.trail)
    assert torch.allclose(y, layer(x), atol=1e-12)


def test_shapes_and_initial_variance() -> None:
    torch.manual_seed(0)
    layer = QTTConv3d(64, 64, (4, 4, 4), (4, 4, 4), 16)
    assert layer.spatial.shape == (16, 3, 3, 3)
    assert [tuple(core.shape) for core in layer.cores] == [(16, 4, 4, 16), (16, 4, 4, 16), (16, 4, 4, 1)]
    assert sum(p.numel() for p in layer.parameters()) == 8880
    assert abs(float(layer.composed_kernel().square().mean()) * 64 * 27 / 2 - 1.0) < 1e-4


def test_a_path_can_be_chosen_later() -> None:
    layer = QTTConv3d(64, 64, (4, 4, 4), (4, 4, 4), 16)
    assert [(s.first, s.last) for s in layer.steps()] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    layer.set_path("best")
    assert layer.path == ContractionPath(((0, 0), (1, 3)))
    layer.set_path("3 0-2")
    assert [s.name for s in layer.steps()] == ["core3", "core0_2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, (2, 4), (4, 2), 2, 3, 1, (1, (0, 1), 1)), "padding pairs must be three of two numbers"),
        ((8, 8, (2, 4), (4, 2), 2, 3, 2, "same"), "padding 'same' needs stride 1"),
        ((8, 8, (2, 4), (8,), 2), "must pair up"),
        ((8, 8, (2, 3), (4, 2), 2), r"in_modes \[2, 3\] multiply to 6, not to 8 channels"),
        ((8, 8, (2, 4), (4, 4), 2), r"out_modes \[4, 4\] multiply to 16, not to 8 channels"),
        ((8, 8, (2, 4), (4, 2), (28, 2)), "rank 28 between cores 0 and 1 is above its bound 27"),
        ((8, 8, (2, 4), (4, 2), (2, 9)), "rank 9 between cores 1 and 2 is above its bound 8"),
        ((8, 8, (2, 4), (4, 2), (2, 2, 2)), "ranks must be one number or 2 of them"),
        ((8, 8, (2, 4), (4, 2), 2, 3, 1, ((1, 1), (1,), (0, 0))), "padding pairs must be three of two numbers"),
    ],
)
def test_refusals(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QTTConv3d(*arguments)


def test_from_dense_refuses_other_channels() -> None:
    with pytest.raises(ValueError, match="do not multiply to 8 and 6 channels"):
        QTTConv3d.from_dense(nn.Conv3d(8, 6, 3), (2, 4), (2, 2), ranks=2)


@pytest.mark.parametrize(
    ("modes", "forward"), [(((2, 4, 2, 4), (4, 2, 4, 4)), True), (((4, 2, 4, 4), (4, 4, 2, 4)), False)]
)
def test_the_cheaper_end_counts_the_taps(modes: tuple, forward: bool) -> None:
    ins, outs = modes
    layer = QTTConv3d(math.prod(ins), math.prod(outs), ins, outs, 16)
    assert all(step.forward is forward for step in layer.steps())


def test_a_path_of_another_length_is_refused() -> None:
    layer = QTTConv3d(8, 8, (2, 4), (4, 2), 2)
    with pytest.raises(ValueError, match="covers 2 cores, the tensor train has 3"):
        layer.set_path(ContractionPath(((0, 1),)))
    with pytest.raises(ValueError, match="names at least one core"):
        ContractionPath(())
