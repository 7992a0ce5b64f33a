"""Single stages: the two sides of each agree, and gradients are those of the float expression."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT, Edge, Permutation, Reshape
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.kinds.permutation import PermutationStage
from qtt_hw.lower.kinds.pool import PoolStage
from qtt_hw.lower.kinds.reshape import ReshapeStage
from qtt_hw.lower.stage import Place, Stage
from qtt_hw.quant import ActivationQuantizer, BatchNorm, UniformQuantizer
from qtt_hw.window import Window

FMT = Format(6, True, 3)
IN = (INPUT,)


def integers(shape: tuple[int, ...], fmt: Format = FMT, seed: int = 0) -> Tensor:
    """Random integers of the format, float32 [N, C, D, H, W]."""
    x = np.random.default_rng(seed).integers(fmt.minimum, fmt.maximum + 1, (3, *shape))
    return torch.from_numpy(x).permute(0, 4, 1, 2, 3).to(torch.float32)


def assert_golden(stage: Stage, x: Tensor, fmt: Format = FMT) -> None:
    node = stage.node(fmt)
    edge = Edge(stage.in_shape, fmt)
    assert node.output(edge) == Edge(stage.out_shape, stage.out_format(fmt))
    expected = node.golden((x.permute(0, 2, 3, 4, 1).to(torch.int64).numpy(), edge))
    found = stage.integers((x, fmt))
    assert found.dtype == torch.float32
    assert torch.equal(found.permute(0, 2, 3, 4, 1).to(torch.int64), torch.from_numpy(expected))
    values = stage.values((x * 2.0**-fmt.frac, fmt), exact=True).detach()
    assert torch.equal(values * 2.0 ** stage.out_format(fmt).frac, found)


@given(
    st.sampled_from(["max", "average"]),
    st.tuples(*(st.integers(1, 3) for _ in range(3))),
    st.tuples(*(st.integers(1, 3) for _ in range(3))),
    st.booleans(),
)
def test_pools(kind: str, kernel: tuple, stride: tuple, padded: bool) -> None:
    padding = tuple((k // 2 * padded, k // 2 * padded) for k in kernel)
    stage = PoolStage(Place("p", IN, "p", (4, 3, 5, 2)), kind, Window(kernel, stride, padding))  # type: ignore[arg-type]
    assert_golden(stage, integers((4, 3, 5, 2)))
    stage.check(FMT)


def test_average_has_the_gradient_of_the_mean() -> None:
    window = Window((2, 2, 2), (2, 2, 2))
    stage = PoolStage(Place("p", IN, "p", (4, 4, 4, 2)), "average", window)
    x = (integers((4, 4, 4, 2)) * 2.0**-3).requires_grad_()
    weights = torch.randn(3, 2, 2, 2, 2)
    (stage.values((x, FMT), exact=True) * weights).sum().backward()
    other = x.detach().clone().requires_grad_()
    (nn.functional.avg_pool3d(other, 2) * weights).sum().backward()
    assert torch.equal(x.grad, other.grad)


def test_permutation_and_reshape() -> None:
    order = (2, 0, 3, 1, 5, 4)
    permutation = PermutationStage(Place("p", IN, "l", (1, 2, 2, 6)), order)
    assert_golden(permutation, integers((1, 2, 2, 6)))
    assert permutation.node(FMT) == Permutation("p", IN, "l", order)
    reshape = ReshapeStage(Place("r", IN, "l", (1, 2, 2, 6)), (1, 1, 8, 3))
    assert_golden(reshape, integers((1, 2, 2, 6)))
    assert reshape.node(FMT) == Reshape("r", IN, "l", (1, 1, 8, 3))


def contraction(relu: bool = True, batch_norm: bool = True, bias: bool = False) -> ContractionStage:
    torch.manual_seed(0)
    norm = BatchNorm(5) if batch_norm else None
    if norm is not None:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        norm.set_statistics(torch.randn(5), torch.rand(5) * 4)
    window = Window((3, 2, 1), (1, 2, 1), ((1, 1), (0, 1), (0, 0)))
    offset = torch.randn(5) if bias else None
    weight = torch.randn(5, 2, 3, 2, 1)
    place, output = Place("c", IN, "c", (4, 4, 3, 2)), ActivationQuantizer(5, not relu)
    stage = ContractionStage(place, window, weight, UniformQuantizer(4), output, bias=offset, batch_norm=norm)
    with torch.no_grad():
        stage.output_quantizer.log2_scale.fill_(-1.0)
    return stage


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(("batch_norm", "bias"), [(True, False), (False, True), (False, False)])
def test_contractions(relu: bool, batch_norm: bool, bias: bool) -> None:
    stage = contraction(relu, batch_norm, bias)
    assert stage.fold(FMT).requant.affine is (batch_norm or bias)
    assert_golden(stage, integers((4, 4, 3, 2)))


@pytest.mark.parametrize("batch_norm", [True, False])
def test_exact_values_have_the_gradient_of_the_float_expression(batch_norm: bool) -> None:
    stage = contraction(batch_norm=batch_norm, bias=not batch_norm)
    x = (integers((4, 4, 3, 2)) * 2.0**-3).requires_grad_()
    weights = torch.randn(3, 5, *stage.out_shape[:3])
    (stage.values((x, FMT), exact=True) * weights).sum().backward()

    weight = stage.weight_quantizer.integers(stage.weight).float() * 2.0**-stage.weight_quantizer.frac
    weight.requires_grad_()
    other = x.detach().clone().requires_grad_()
    y = nn.functional.conv3d(nn.functional.pad(other, (0, 0, 0, 1, 1, 1)), weight, stride=(1, 2, 1))
    if stage.batch_norm is not None:
        gamma, beta = (p.detach().clone().requires_grad_() for p in (stage.batch_norm.weight, stage.batch_norm.bias))
        sigma, mean = stage.batch_norm.sigma().float(), stage.batch_norm.running_mean
        y = (y - mean.view(-1, 1, 1, 1)) * (gamma / sigma).view(-1, 1, 1, 1) + beta.view(-1, 1, 1, 1)
    else:
        beta = stage.bias.detach().clone().requires_grad_()
        y = y + beta.view(-1, 1, 1, 1)
    inside = (y > 0) & (y < 31.5 * 0.5)
    (y * inside * weights).sum().backward()
    assert torch.allclose(x.grad, other.grad, rtol=1e-4, atol=1e-5)
    step = 2.0**-stage.weight_quantizer.frac
    unclipped = stage.weight.detach().abs() < 7.5 * step
    assert torch.allclose(stage.weight.grad, weight.grad * unclipped, rtol=1e-4, atol=1e-4)
    if stage.batch_norm is not None:
        assert torch.allclose(stage.batch_norm.weight.grad, gamma.grad, rtol=1e-4, atol=1e-4)
        assert torch.allclose(stage.batch_norm.bias.grad, beta.grad, rtol=1e-4, atol=1e-4)
    else:
        assert torch.allclose(stage.bias.grad, beta.grad, rtol=1e-4, atol=1e-4)


def test_training_normalises_the_quantised_sums_of_the_batch() -> None:
    stage = contraction(relu=False)
    x = integers((4, 4, 3, 2)) * 2.0**-3
    weight = stage.weight_quantizer.integers(stage.weight).float() * 2.0**-stage.weight_quantizer.frac
    acc = nn.functional.conv3d(nn.functional.pad(x, (0, 0, 0, 1, 1, 1)), weight, stride=(1, 2, 1))
    expected = stage.output_quantizer(
        nn.functional.batch_norm(acc, None, None, stage.batch_norm.weight, stage.batch_norm.bias, True)
    )
    before = stage.batch_norm.running_mean.clone()
    assert torch.equal(stage.values((x, FMT), exact=False), expected)
    moved = stage.batch_norm.running_mean - before
    assert torch.allclose(moved, 0.1 * (acc.transpose(0, 1).flatten(1).mean(1) - before), atol=1e-6)


def test_errors_name_the_stage() -> None:
    stage = contraction()
    with torch.no_grad():
        stage.batch_norm.weight[2] = float("nan")
    with pytest.raises(ValueError, match="^c: the batch norm or bias of channel 2 is not finite: training has"):
        stage.fold(FMT)
