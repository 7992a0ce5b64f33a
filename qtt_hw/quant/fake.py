"""Fake quantisers: integers * 2**-frac with a straight-through gradient and a learned power-of-two scale.

The scale s = 2**round(log2_scale), one per tensor, has the gradient of learned step sizes: for out = s * q(x / s),
d out / d log2 s is ln 2 * (out - x) where nothing clips and ln 2 * out where it does, over sqrt(values * maximum).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from qtt_hw import explain
from qtt_hw.fixedpoint import Format, quantize, round_half_up
from qtt_hw.quant.weight import WeightQuantizer

__all__ = [
    "ActivationQuantizer",
    "PowerOfTwoQuantizer",
    "StraightThrough",
    "UniformQuantizer",
    "best_frac",
    "beyond",
]

#: Fractional bits that a scale may take; leaves room for a requantiser's shift on either side.
FRAC_LIMIT = 24
#: Scales tried by `best_frac`, each half the one before, from the least scale that clips nothing.
CANDIDATES = 8


def best_frac(values: Tensor, bits: int, signed: bool, narrow: bool = False) -> int:
    """The frac of least squared error sum((quantize(v) * 2**-frac - v)**2) of float64 values, [any shape]."""
    values = values.detach().to(torch.float64).flatten()
    greatest = float(values.abs().max()) if values.numel() else 0.0
    if not math.isfinite(greatest):
        raise ValueError("a value to calibrate on is not finite: the float network has diverged, or the data has such")
    maximum = Format(bits, signed, 0, narrow).maximum
    start = math.floor(math.log2(maximum / greatest)) if greatest > 0.0 else bits - 1
    best, least = start, math.inf
    for frac in range(start, start + CANDIDATES):
        if abs(frac) > FRAC_LIMIT:
            continue
        fmt = Format(bits, signed, frac, narrow)
        error = float((quantize(values, fmt) * 2.0**-frac - values).square().sum())
        if error < least:
            best, least = frac, error
    return max(-FRAC_LIMIT, min(best, FRAC_LIMIT))


def beyond(values: Tensor, bits: int) -> str | None:
    """What is said of values that signed integers of some bits do not reach at the greatest scale; None if they do."""
    greatest = float(values.detach().abs().max()) if values.numel() else 0.0
    if greatest <= math.ldexp(Format(bits, True, 0, narrow=True).maximum, FRAC_LIMIT):
        return None
    return (
        f"values of up to {greatest:.2g} are out of the reach of {bits} bits at the greatest scale, 2**{FRAC_LIMIT}; "
        "scale the weights or the data down, then calibrate again"
    )


class StraightThrough(torch.autograd.Function):
    """Forward gives `exact`; backward hands its gradient to `value` as it is."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, exact: Tensor) -> Tensor:
        return exact

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Quantize(torch.autograd.Function):
    """The given quantised tensor, with the gradients of x and of log2_scale."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, log2_scale: Tensor, quantized: Tensor, fmt: Format, samples: int, clips: bool
    ) -> Tensor:
        ctx.save_for_backward(x, quantized)
        ctx.fmt, ctx.clips = fmt, clips
        ctx.factor = math.log(2.0) / math.sqrt(max(x.numel() // samples, 1) * fmt.maximum)
        return quantized

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        x, quantized = ctx.saved_tensors
        gradient, fmt = gradients[0], ctx.fmt
        step = 2.0**-fmt.frac
        # The gradient passes where rounding does not clip, or everywhere; an unsigned format's lower bound is the ReLU.
        low, high = (fmt.minimum - 0.5) * step if fmt.signed else 0.0, (fmt.maximum + 0.5) * step
        if not ctx.clips:
            low, high = -math.inf if fmt.signed else 0.0, math.inf
        passed = torch.ops.aten.hardtanh_backward(gradient, x, low, high)
        scale = None
        if ctx.needs_input_grad[1]:
            scale = ((gradient * quantized).sum() - (passed * x).sum()) * ctx.factor
        return passed, scale, None, None, None, None


class PowerOfTwoQuantizer(nn.Module):
    """A format whose scale 2**-frac is learned until it is frozen to an integer constant.

    Parameters
    ----------
    bits : int
    signed, narrow : bool
    fixed : bool
        The scale is 2**(1 - bits) from the start, neither calibrated nor learned, and the gradient passes beyond the
        clip as well: QTTNet's quantiser.
    """

    log2_scale: nn.Parameter
    constant: Tensor

    def __init__(self, bits: int, signed: bool, narrow: bool = False, fixed: bool = False) -> None:
        super().__init__()
        self.bits, self.signed, self.narrow, self.fixed = bits, signed, narrow, fixed
        self.log2_scale = nn.Parameter(torch.tensor(float(1 - bits)), requires_grad=not fixed)
        # (frozen, frac): in the state, so that a checkpoint resumes in the same phase.
        self.register_buffer("constant", torch.zeros(2, dtype=torch.int64))
        if fixed:
            self.freeze()

    @property
    def frozen(self) -> bool:
        return bool(self.constant[0])

    @property
    def frac(self) -> int:
        """The constant when frozen, else -round(log2_scale), within the limits."""
        if self.frozen:
            return int(self.constant[1])
        exponent = self.log2_scale.item()
        if not math.isfinite(exponent):
            raise ValueError(explain.DIVERGED)
        frac = -int(round_half_up(exponent))
        return max(-FRAC_LIMIT, min(frac, FRAC_LIMIT))

    @property
    def format(self) -> Format:
        return Format(self.bits, self.signed, self.frac, self.narrow)

    @property
    def _learned(self) -> Tensor:
        """log2_scale, without a gradient when frozen."""
        return self.log2_scale.detach() if self.frozen else self.log2_scale

    def freeze(self) -> None:
        """Fix frac as an integer constant; log2_scale is not used any more."""
        self.constant.copy_(torch.tensor([1, self.frac]))
        self.log2_scale.grad = None

    @torch.no_grad()
    def calibrate(self, values: Tensor) -> None:
        """Set the scale to the power of two of least squared error on the values; a fixed one stays."""
        if self.fixed:
            return
        if self.frozen:
            raise ValueError("a frozen scale cannot be calibrated")
        self.log2_scale.fill_(-best_frac(values, self.bits, self.signed, self.narrow))

    def extra_repr(self) -> str:
        return f"bits={self.bits}, signed={self.signed}, narrow={self.narrow}"


class UniformQuantizer(PowerOfTwoQuantizer, WeightQuantizer):
    """Signed narrow weights, always through the one float64 `fixedpoint.quantize`."""

    def __init__(self, bits: int, fixed: bool = False) -> None:
        super().__init__(bits, signed=True, narrow=True, fixed=fixed)

    def calibrate(self, values: Tensor) -> None:
        super().calibrate(values)
        if not self.fixed and (said := beyond(values, self.bits)) is not None:
            raise ValueError(said)

    def format_of(self, weight: Tensor) -> Format:
        return self.format

    def integers(self, weight: Tensor) -> Tensor:
        """quantize(weight), float64 integers of the weight's shape."""
        return quantize(self._taken(weight).detach().to(torch.float64), self.format)

    def _taken(self, weight: Tensor) -> Tensor:
        """What is quantised for a weight: the weight itself."""
        return weight

    def forward(self, weight: Tensor) -> Tensor:
        """quantize(weight) * 2**-frac in the weight's dtype, straight through."""
        fmt = self.format
        quantized = (self.integers(weight) * 2.0**-fmt.frac).to(weight.dtype)
        return _Quantize.apply(self._taken(weight), self._learned, quantized, fmt, 1, not self.fixed)


def _rounded(x: Tensor) -> Tensor:
    """floor(x + 1/2) in the dtype of x, whose sum is rounded: a float32 just below 1/2 becomes 1.

    For values that only training sees. The integers of evaluation, and those of training once statistics are frozen,
    are requantised sums, which nothing rounds twice.
    """
    return (x + 0.5).floor()


class ActivationQuantizer(PowerOfTwoQuantizer):
    """Activations [N, ...]: float32 rounding while statistics move, or the exact integers that the stage computed."""

    def __init__(self, bits: int, signed: bool, fixed: bool = False) -> None:
        super().__init__(bits, signed, fixed=fixed)
        self._clipped: Tensor | None = None

    def forward(self, x: Tensor, exact: Tensor | None = None) -> Tensor:
        """clamp(floor(x * 2**frac + 1/2)) * 2**-frac, or `exact` with the same gradient.

        Parameters
        ----------
        x : float tensor, [N, ...]
        exact : float tensor, [N, ...], optional
            The values to put out, already quantised.
        """
        fmt = self.format
        if exact is None:
            with torch.no_grad():
                exact = _rounded(x * 2.0**fmt.frac).clamp_(fmt.minimum, fmt.maximum).mul_(2.0**-fmt.frac)
        self.observe(x, fmt)
        return _Quantize.apply(x, self._learned, exact, fmt, x.shape[0], not self.fixed)

    @torch.no_grad()
    def observe(self, x: Tensor, fmt: Format) -> None:
        """Remember the share of values beyond the range, on the first eighth of the batch: a cheap running figure."""
        part = x[: max(1, x.shape[0] // 8)]
        step = 2.0**-fmt.frac
        clipped = (part >= (fmt.maximum + 0.5) * step).sum()
        if fmt.signed:
            clipped = clipped + (part < (fmt.minimum - 0.5) * step).sum()
        self._clipped = clipped / part.numel()

    @property
    def clip_rate(self) -> float:
        """Share of values clipped when last observed; ReLU's zeros do not count."""
        return float("nan") if self._clipped is None else float(self._clipped)
