"""Fake quantisers: values, gradients, scales, phases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, quantize
from qtt_hw.quant import ActivationQuantizer, UniformQuantizer
from qtt_hw.quant.fake import StraightThrough, best_frac


def error(values: torch.Tensor, fmt: Format) -> float:
    return float((quantize(values, fmt) * 2.0**-fmt.frac - values).square().sum())


@given(st.integers(2, 8), st.booleans(), st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_best_frac_is_the_least_squared_error_of_all(bits: int, signed: bool, scale: float, seed: int) -> None:
    values = torch.randn(200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale
    if not signed:
        values = values.abs()
    found = best_frac(values, bits, signed)
    errors = {frac: error(values, Format(bits, signed, frac)) for frac in range(-24, 25)}
    assert errors[found] == min(errors.values())


def test_best_frac_of_nothing_and_of_nonsense() -> None:
    assert best_frac(torch.zeros(3), 8, True) == 7
    assert best_frac(torch.tensor([2.0**40]), 8, True) == -24
    assert best_frac(torch.tensor([2.0**-40]), 8, True) == 24
    with pytest.raises(ValueError, match="not finite"):
        best_frac(torch.tensor([math.inf]), 8, True)


@given(st.integers(2, 8), st.integers(-3, 6), st.integers(0, 1000))
def test_weights_are_float64_quantised_and_narrow(bits: int, frac: int, seed: int) -> None:
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
    quantizer = UniformQuantizer(bits)
    with torch.no_grad():
        quantizer.log2_scale.fill_(-frac + 0.3)
    assert quantizer.format == Format(bits, True, frac, narrow=True)
    expected = quantize(weight.double(), Format(bits, True, frac, narrow=True))
    assert torch.equal(quantizer.integers(weight), expected)
    assert torch.equal(quantizer(weight).double(), expected * 2.0**-frac)


def test_weights_just_under_a_half_do_not_round_up() -> None:
    quantizer = UniformQuantizer(8)
    with torch.no_grad():
        quantizer.log2_scale.zero_()
    below = torch.tensor([0.49999997])
    assert float(below.add(0.5).floor()) == 1.0  # what float32 would do
    assert quantizer.integers(below).tolist() == [0.0]


@pytest.mark.parametrize("signed", [True, False])
def test_gradients_are_those_of_learned_steps(signed: bool) -> None:
    quantizer = ActivationQuantizer(3, signed)
    with torch.no_grad():
        quantizer.log2_scale.fill_(-1.0)
    x = torch.tensor([[-9.0, -0.6, -0.2, 0.3, 0.55, 1.2, 9.0]], requires_grad=True)
    weights = torch.arange(1.0, 8.0)
    y = quantizer(x)
    (y * weights).sum().backward()
    low, high = (-2.25, 1.75) if signed else (0.0, 3.75)
    inside = (x.detach() > low) & (x.detach() < high)
    assert torch.equal(x.grad, weights * inside)
    # d y / d log2 s: ln 2 * (y - x) inside, ln 2 * y where it clips.
    slope = torch.where(inside, y - x, y).detach() * math.log(2.0)
    maximum = 3 if signed else 7
    expected = (slope * weights).sum() / math.sqrt(7 * maximum)
    assert torch.isclose(quantizer.log2_scale.grad, expected, rtol=1e-5)


def test_gradient_of_the_scale_is_the_slope_seen_from_afar() -> None:
    """Where everything clips, the output is proportional to the scale, and the gradient must be its derivative."""
    quantizer = ActivationQuantizer(4, True)
    with torch.no_grad():
        quantizer.log2_scale.fill_(2.0)
    y = quantizer(torch.full((1, 5), 1e6))
    assert torch.equal(y, torch.full((1, 5), 28.0))
    y.sum().backward()
    derivative = (5 * 7 * (2.0 ** (2.0 + 1e-4) - 2.0 ** (2.0 - 1e-4))) / 2e-4
    assert abs(float(quantizer.log2_scale.grad) * math.sqrt(5 * 7) - derivative) < 1e-2


def test_exact_values_pass_through_with_the_same_gradient() -> None:
    quantizer = ActivationQuantizer(4, False)
    x = torch.rand(2, 3, requires_grad=True)
    exact = torch.tensor([[0.0, 0.125, 0.25], [1.0, 0.5, 0.0]])
    y = quantizer(x, exact)
    assert torch.equal(y, exact)
    y.sum().backward()
    assert torch.equal(x.grad, torch.ones(2, 3))


def test_straight_through() -> None:
    value = torch.tensor([1.0, 2.0], requires_grad=True)
    y = StraightThrough.apply(value, torch.tensor([5.0, 6.0]))
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    assert y.tolist() == [5.0, 6.0] and value.grad.tolist() == [3.0, 4.0]


def test_a_frozen_scale_is_a_constant_in_the_state() -> None:
    quantizer = ActivationQuantizer(8, True)
    quantizer.calibrate(torch.tensor([0.9, -0.5]))
    frac = quantizer.frac
    quantizer.freeze()
    with torch.no_grad():
        quantizer.log2_scale.add_(3.0)
    assert quantizer.frozen and quantizer.frac == frac == 7
    other = ActivationQuantizer(8, True)
    other.load_state_dict(quantizer.state_dict())
    assert other.frozen and other.frac == frac
    quantizer(torch.randn(2, 2, requires_grad=True)).sum().backward()
    assert quantizer.log2_scale.grad is None
    with pytest.raises(ValueError, match="frozen scale cannot be calibrated"):
        quantizer.calibrate(torch.ones(1))


def test_clip_rate_counts_both_ends_but_not_relus_zeros() -> None:
    signed, unsigned = ActivationQuantizer(3, True), ActivationQuantizer(3, False)
    assert math.isnan(signed.clip_rate)
    x = torch.tensor([[-100.0, -4.4, 0.0, 3.4, 3.6, 100.0, 7.4, 1.0]])
    for quantizer in (signed, unsigned):
        with torch.no_grad():
            quantizer.log2_scale.zero_()
        quantizer(x)
    assert signed.clip_rate == 4 / 8 and unsigned.clip_rate == 1 / 8
