"""TTConv3d and TTConv2d against the dense convolutions that they stand for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qtt_hw.nn import TTConv2d, TTConv3d


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@given(
    st.tuples(*(st.integers(1, 3) for _ in range(3))),
    st.tuples(*(st.integers(1, 3) for _ in range(3))),
    st.tuples(*(st.integers(1, 2) for _ in range(3))),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_full_rank_train_is_the_convolution(
    kernel: tuple, stride: tuple, dilation: tuple, same: bool, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    padding: object = tuple(k // 2 for k in kernel)
    if same:
        stride, padding = (1, 1, 1), "same"
    conv = nn.Conv3d(3, 4, kernel, stride, padding, dilation, bias=bias)  # type: ignore[arg-type]
    layer = TTConv3d.from_dense(conv, eps=0.0)
    x = torch.randn(2, 3, 4, 5, 6)
    assert layer(x).shape == conv(x).shape
    assert torch.allclose(layer(x), conv(x), atol=1e-5)
    assert torch.allclose(layer.composed_kernel(), conv.weight.double(), atol=1e-6)
    assert layer.relative_error < 1e-12 and (layer.bias is not None) is bias


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@given(
    st.tuples(*(st.integers(1, 3) for _ in range(2))),
    st.tuples(*(st.integers(1, 3) for _ in range(2))),
    st.tuples(*(st.integers(1, 2) for _ in range(2))),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_full_rank_train_is_the_2d_convolution(
    kernel: tuple, stride: tuple, dilation: tuple, same: bool, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    padding: object = tuple(k // 2 for k in kernel)
    if same:
        stride, padding = (1, 1), "same"
    conv = nn.Conv2d(3, 4, kernel, stride, padding, dilation, bias=bias)  # type: ignore[arg-type]
    for layer in (TTConv2d.from_dense(conv, eps=0.0), TTConv2d.from_dense(conv, tucker=(3, 4))):
        x = torch.randn(2, 3, 5, 6)
        assert layer(x).shape == conv(x).shape
        assert torch.allclose(layer(x), conv(x), atol=1e-5)
        assert torch.allclose(layer.composed_kernel(), conv.weight.double(), atol=1e-6)
        assert layer.relative_error < 1e-6 and (layer.bias is not None) is bias


def test_tucker_ranks_bound_the_ends() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 12, 3, bias=False)
    layer = TTConv2d.from_dense(conv, tucker=(3, 5))
    assert layer.ranks == (3, 9, 5) and [tuple(c.shape) for c in layer.cores][0] == (3, 8, 1, 1, 1)
    truncated = TTConv2d.from_dense(conv, ranks=(3, 6, 5), tucker=(3, 5))
    assert truncated.ranks == (3, 6, 5) and truncated.relative_error > layer.relative_error > 0


def test_each_stage_has_its_own_axis() -> None:
    flat = TTConv2d(5, 7, (3, 2), (2, 3, 4))
    assert [tuple(core.shape[:2]) + tuple(core.shape[3:]) for core in flat.cores] == [
        (2, 5, 1, 1),
        (3, 2, 3, 1),
        (4, 3, 1, 2),
        (7, 4, 1, 1),
    ]
    assert flat.stages == ("in", "h", "w", "out") and flat.axes == (1, 2)
    layer = TTConv3d(5, 7, (3, 2, 1), (2, 3, 4, 6))
    shapes = [tuple(core.shape) for core in layer.cores]
    assert shapes == [(2, 5, 1, 1, 1), (3, 2, 3, 1, 1), (4, 3, 1, 2, 1), (6, 4, 1, 1, 1), (7, 6, 1, 1, 1)]


@given(st.integers(0, 100), st.sampled_from([0.05, 0.3, 0.6]))
def test_from_dense_keeps_within_eps_and_reports_its_error(seed: int, eps: float) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv3d(6, 8, 3, bias=False)
    layer = TTConv3d.from_dense(conv, eps=eps)
    weight = conv.weight.detach().double()
    error = float((layer.composed_kernel() - weight).norm() / weight.norm())
    assert error <= eps + 1e-6
    assert abs(error - layer.relative_error) < 1e-6


def test_from_dense_takes_ranks_as_bounds_but_for_absent_ends() -> None:
    layer = TTConv3d.from_dense(nn.Conv3d(1, 8, 3), ranks=(4, 2, 3, 5), redundant_ranks=True)
    assert layer.ranks == (1, 2, 3, 8) and layer.stages == ("d", "h", "w")
    assert 0.0 < layer.relative_error < 1.0


def test_initial_kernel_has_hes_variance_and_even_cores() -> None:
    torch.manual_seed(0)
    layer = TTConv3d(16, 32, 3, 8)
    kernel = layer.composed_kernel()
    assert abs(float(kernel.square().mean()) * 16 * 27 / 2 - 1.0) < 1e-4
    norms = torch.stack([core.detach().norm() for core in layer.cores])
    assert torch.allclose(norms, norms[0].expand(5), rtol=1e-4)


def test_refuses_convolutions_that_it_cannot_stand_for() -> None:
    for conv in (nn.Conv3d(4, 4, 3, groups=2), nn.Conv3d(4, 4, 3, padding=1, padding_mode="reflect")):
        with pytest.raises(ValueError, match="groups=1 and padding_mode='zeros'"):
            TTConv3d.from_dense(conv, ranks=2)
    with pytest.raises(ValueError, match="ranks must be one number or 4 of them"):
        TTConv3d(4, 4, 3, (2, 2))
    with pytest.raises(ValueError, match="only a Conv2d with groups=1"):
        TTConv2d.from_dense(nn.Conv2d(4, 4, 3, groups=2), ranks=2)
    with pytest.raises(ValueError, match="ranks must be one number or 3 of them"):
        TTConv2d(4, 4, 3, (2, 2))
    with pytest.raises(ValueError, match="dilation must be one number or three of at least 1, got 0"):
        TTConv3d(4, 4, 3, 2, dilation=0)


def test_dilation_is_told_where_there_is_some() -> None:
    assert "dilation" not in repr(TTConv2d(4, 4, 3, 2))
    assert "dilation=(2, 1)" in repr(TTConv2d(4, 4, 3, 2, dilation=(2, 1)))


def test_ranks_of_no_use_are_refused_and_growth_is_told() -> None:
    with pytest.raises(ValueError, match=r"TTConv3d\(8, 12\): ranks: 9999 is above 36, .* are \[8, 24, 36, 12\]"):
        TTConv3d(8, 12, 3, 9999)
    with pytest.raises(ValueError, match=r"TTConv2d\(8, 12\): ranks: 13 is above 12"):
        TTConv2d(8, 12, 3, (4, 4, 13))
    assert TTConv2d(8, 12, 3, (4, 4, 13), redundant_ranks=True).ranks == (4, 4, 13)
    grown = "parameters, more than the 2592 of the dense layer: lower its ranks"
    with pytest.warns(UserWarning, match=rf"TTConv3d\(8, 12, ranks=\(8, 24, 36, 12\)\): 4672 {grown}"):
        TTConv3d(8, 12, 3, (8, 24, 36, 12))
    with pytest.warns(UserWarning, match=grown):
        TTConv3d.from_dense(nn.Conv3d(8, 12, 3), ranks=9999, redundant_ranks=True)
