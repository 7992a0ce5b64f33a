"""The stages of residual networks against the golden model."""

import pytest
import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, Edge
from qtt_hw.lower.kinds.add import AddStage
from qtt_hw.lower.kinds.subsample import SubsampleStage
from qtt_hw.lower.stage import Place
from qtt_hw.quant import ActivationQuantizer

SHAPE = (3, 4, 2)
CHANNELS = 3


def integers(fmt: Format, seed: int) -> Tensor:
    """Random integers of the format, float32 [4, C, D, H, W]."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(fmt.minimum, fmt.maximum + 1, (4, *SHAPE, CHANNELS), generator=generator)
    return x.permute(0, 4, 1, 2, 3).to(torch.float32)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("fracs", [(2, 5, 3), (5, 2, 4), (0, 0, -1), (-3, 4, 9)])
def test_a_sum_equals_the_golden_models(signed: bool, fracs: tuple[int, int, int]) -> None:
    a, b = Format(6, True, fracs[0]), Format(5, False, fracs[1])
    stage = AddStage(Place("sum", ("a", "b"), "block.add", (*SHAPE, CHANNELS)), ActivationQuantizer(7, signed))
    with torch.no_grad():
        stage.output_quantizer.log2_scale.fill_(-fracs[2])
    x, y = integers(a, 0), integers(b, 1)
    edges = Edge(stage.in_shape, a), Edge(stage.in_shape, b)
    node = stage.node(a, b)
    assert (node.name, node.inputs, node.source) == ("sum", ("a", "b"), "block.add")
    assert node.output(*edges) == Edge(stage.out_shape, stage.out_format(a, b))
    given_ = [(v.permute(0, 2, 3, 4, 1).to(torch.int64).numpy(), edge) for v, edge in zip((x, y), edges, strict=True)]
    expected = torch.from_numpy(node.golden(*given_)).permute(0, 4, 1, 2, 3)
    found = stage.integers((x, a), (y, b))
    assert found.dtype == torch.float32 and torch.equal(found.to(torch.int64), expected)
    streams = [(v * 2.0**-fmt.frac, fmt) for v, fmt in ((x, a), (y, b))]
    for exact in (True, False):
        assert torch.equal(stage.values(*streams, exact=exact) * 2.0 ** fracs[2], found)


def test_both_inputs_of_a_sum_get_its_gradient_and_the_scale_its_own() -> None:
    fmt = Format(6, True, 2)
    stage = AddStage(Place("sum", ("a", "b"), "add", (*SHAPE, CHANNELS)), ActivationQuantizer(4, False))
    with torch.no_grad():
        stage.output_quantizer.log2_scale.fill_(-1.0)
    for exact in (True, False):
        x, y = ((integers(fmt, seed) * 0.25).requires_grad_() for seed in (0, 1))
        weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
        (stage.values((x, fmt), (y, fmt), exact=exact) * weight).sum().backward()
        inside = (x + y > 0) & (x + y < 15.5 * 0.5)
        assert 0.1 < inside.float().mean() < 0.9
        assert torch.equal(x.grad, weight * inside) and torch.equal(y.grad, x.grad)
        assert stage.output_quantizer.log2_scale.grad != 0


def test_a_sum_of_scales_too_far_apart_names_the_stage() -> None:
    fine, coarse = Format(8, True, 24), Format(8, True, -24)
    stage = AddStage(Place("block.add", ("a", "b"), "add", (*SHAPE, CHANNELS)), ActivationQuantizer(8, True))
    for call in (
        lambda: stage.node(fine, coarse),
        lambda: stage.integers((integers(fine, 0), fine), (integers(coarse, 1), coarse)),
    ):
        with pytest.raises(ValueError, match=r"^block.add: its sums need 57 bits, 53 are exact; use fewer weight"):
            call()


@pytest.mark.parametrize("stride", [(1, 2, 2), (2, 2, 1), (1, 1, 1), (3, 5, 2)])
@pytest.mark.parametrize(("channels", "before"), [(CHANNELS, 0), (CHANNELS + 3, 1), (CHANNELS + 2, 2)])
def test_subsampling_is_a_contraction_that_changes_no_value(
    stride: tuple[int, int, int], channels: int, before: int
) -> None:
    for fmt in (Format(5, True, 3), Format(4, False, -1)):
        shape = (*SHAPE, CHANNELS)
        stage = SubsampleStage(Place("skip", ("x",), "skip", shape), stride, channels, before)
        node, edge = stage.node(fmt), Edge(shape, fmt)
        assert isinstance(node, Contraction) and node.output(edge) == Edge(stage.out_shape, fmt)
        assert stage.out_format(fmt) == fmt
        x = integers(fmt, 0)
        expected = node.golden((x.permute(0, 2, 3, 4, 1).to(torch.int64).numpy(), edge))
        found = stage.integers((x, fmt))
        assert torch.equal(found.permute(0, 2, 3, 4, 1).to(torch.int64), torch.from_numpy(expected))
        d, h, w = stride
        assert torch.equal(found[:, before : before + CHANNELS], x[:, :, ::d, ::h, ::w])
        assert found.sum() == x[:, :, ::d, ::h, ::w].sum()
