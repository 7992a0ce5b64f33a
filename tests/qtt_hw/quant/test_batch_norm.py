"""Batch norm: PyTorch's in training, a bounded affine map when folded."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from qtt_hw.fixedpoint import Format, fold_batch_norm
from qtt_hw.quant import BatchNorm, RoundedBatchNorm

OUT = Format(8, True, 5)


def test_training_is_pytorchs() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3, eps=1e-3, momentum=0.2), nn.BatchNorm3d(3, eps=1e-3, momentum=0.2)
    for _ in range(2):
        x = torch.randn(4, 3, 2, 3, 4) * 3 + 1
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_mean, theirs.running_mean)
    assert torch.equal(ours.running_var, theirs.running_var)


def test_affine_is_the_map_of_the_running_statistics() -> None:
    norm = BatchNorm(2, eps=0.25)
    norm.set_statistics(torch.tensor([1.0, -2.0]), torch.tensor([0.75, 3.75]))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([3.0, -4.0]))
        norm.bias.copy_(torch.tensor([0.5, 0.25]))
    slope, intercept = norm.affine(3, OUT)
    assert slope.tolist() == [3.0, -2.0] and intercept.tolist() == [-2.5, -3.75]
    (slope.sum() + intercept.sum()).backward()
    # d/dgamma of slope + intercept is (1 - mu) / sigma.
    assert norm.weight.grad.tolist() == [0.0, 1.5] and norm.bias.grad.tolist() == [1.0, 1.0]


def test_a_nearly_constant_channel_does_not_cost_the_others_their_bits() -> None:
    norm = BatchNorm(4, eps=0.0)
    norm.set_statistics(torch.zeros(4), torch.tensor([1.0, 1.0, 1.0, 0.0]))
    slope, intercept = norm.affine(0, OUT)
    assert slope.tolist() == [1.0, 1.0, 1.0, 64.0]
    requant = fold_batch_norm(slope.detach().numpy(), intercept.detach().numpy(), 0, OUT)
    assert min(requant.multiplier or ()) >= 1 << 8


def test_bounded_channels_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    norm = BatchNorm(3, eps=1e-12)
    with caplog.at_level(logging.INFO):
        assert norm.report("layer") == 0 and not caplog.records
        norm.set_statistics(torch.zeros(3), torch.tensor([1.0, 0.0, 1.0]))
        assert norm.report("layer") == 1
    assert "layer: sigma of 1 of 3 channels" in caplog.text


@pytest.mark.parametrize("acc_frac", [-20, 0, 30])
@pytest.mark.parametrize("out", [Format(8, True, 20), Format(16, True, -4), OUT])
def test_any_statistics_fit_the_requantiser(acc_frac: int, out: Format) -> None:
    norm = BatchNorm(3)
    norm.set_statistics(torch.tensor([1e9, -1e9, 0.0]), torch.tensor([0.0, 1e-9, 1e-9]))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1e4, -1e4, 1.0]))
    slope, intercept = norm.affine(acc_frac, out)
    fold_batch_norm(slope.detach().numpy(), intercept.detach().numpy(), acc_frac, out)


def test_rounded_batch_norm_is_of_rounded_quantities() -> None:
    norm = RoundedBatchNorm(3, bits=8)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.7531, -1.2, 0.5]))
        norm.bias.copy_(torch.tensor([0.1003, -0.2, 0.004]))
        norm.running_mean.copy_(torch.tensor([0.33, -0.7, 0.0039]))
        norm.running_var.copy_(torch.tensor([0.25, 1.7, 0.01]))
    step = 2.0**-7
    gamma, beta, mean, sigma = (
        np.floor(v / step + 0.5) * step
        for v in (
            norm.weight.detach().double().numpy(),
            norm.bias.detach().double().numpy(),
            norm.running_mean.double().numpy(),
            np.sqrt(norm.running_var.double().numpy() + norm.eps),
        )
    )
    slope, intercept = norm.affine()
    assert np.array_equal(slope.detach().numpy(), gamma / sigma)
    assert np.array_equal(intercept.detach().numpy(), beta - gamma / sigma * mean)
    intercept.sum().backward()
    assert norm.bias.grad is not None and torch.equal(norm.bias.grad, torch.ones(3))


def test_rounded_batch_norm_bounds_sigma_at_one_step() -> None:
    """Published, a channel with sigma below half a step is divided by 2**-15."""
    norm = RoundedBatchNorm(2, bits=8, eps=0.0)
    norm.running_var.copy_(torch.tensor([1e-6, 1e-6]))
    assert norm.affine()[0].tolist() == [128.0, 128.0]


def test_rounded_batch_norm_trains_on_batch_statistics() -> None:
    torch.manual_seed(0)
    rounded, plain = RoundedBatchNorm(4, bits=16), BatchNorm(4)
    x = torch.randn(8, 4, 3, 3, 3, requires_grad=True)
    assert torch.allclose(rounded(x), plain(x), atol=1e-3)
    assert torch.allclose(rounded.running_var, plain.running_var)
    assert torch.allclose(rounded.running_mean, plain.running_mean)
