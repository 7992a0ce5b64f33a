"""The contraction's stage: quantised weights, sums, and batch norm or bias folded into the requantiser."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from qtt_hw.codebook import Codebook
from qtt_hw.errors import CalibrationWarning, named
from qtt_hw.fixedpoint import (
    MULTIPLIER_BITS,
    Format,
    IntArray,
    Requantizer,
    accumulator_range,
    as_integers,
    fold_batch_norm,
)
from qtt_hw.graph import Contraction
from qtt_hw.lower.integer import holding_dtype
from qtt_hw.lower.sampling import calibrate_output, sample, statistics_of
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.nn.contraction import contract
from qtt_hw.quant import ActivationQuantizer, BatchNorm, WeightQuantizer
from qtt_hw.quant.fake import FRAC_LIMIT
from qtt_hw.window import Window

__all__ = ["ContractionStage", "Folded"]

#: Bits between a sum's step and the step that its output starts with, before it is calibrated, at most.
FARTHEST = 40


@dataclass(frozen=True)
class Folded:
    """A contraction's integers: weight [out, kd, kh, kw, in], its format, the requantiser, and the sums' bound."""

    weight: IntArray
    weight_format: Format | Codebook
    requant: Requantizer
    bound: int


@dataclass(frozen=True)
class _Kept:
    """What a contraction was folded to, and of what: a key, and the values of its parameters and buffers."""

    key: tuple[object, ...]
    state: tuple[Tensor, ...]
    folded: Folded
    tensors: dict[str, Tensor]

    def requantize(self, acc: Tensor) -> Tensor:
        """The requantiser on accumulators that a float tensor holds: float32 integers."""
        integers = self.folded.requant(acc.to(torch.int64), self.tensors.get("m"), self.tensors.get("b"))
        return integers.to(torch.float32)


def _equal(these: Sequence[Tensor], those: Sequence[Tensor]) -> bool:
    return len(these) == len(those) and all(
        a.shape == b.shape and a.device == b.device and torch.equal(a, b) for a, b in zip(these, those, strict=True)
    )


class ContractionStage(Stage):
    """A requantised contraction: batch norm or a bias is folded into the requantiser, a ReLU is its lower bound 0.

    Parameters
    ----------
    place : Place
    window : Window
    weight : float tensor, [groups * out, in, kd, kh, kw]
    quantizer : WeightQuantizer
    output_quantizer : ActivationQuantizer
        Unsigned behind a ReLU.
    bias : float tensor, [channels], optional
        A parameter without requires_grad is not trained.
    batch_norm : BatchNorm, optional
    modes : (int, int)
        Sizes of the channel modes that are carried along, in front of and behind those that are contracted.
    groups : int
        Of channels, each with weights of its own.
    """

    def __init__(
        self,
        place: Place,
        window: Window,
        weight: Tensor,
        quantizer: WeightQuantizer,
        output_quantizer: ActivationQuantizer,
        *,
        bias: Tensor | None = None,
        batch_norm: BatchNorm | None = None,
        modes: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> None:
        lead, trail = modes
        super().__init__(place, (*window.out_positions(place.shape), lead * int(weight.shape[0]) * trail))
        self.window, self.batch_norm = window, batch_norm
        self.lead, self.trail, self.groups = lead, trail, groups
        fixed = isinstance(bias, nn.Parameter) and not bias.requires_grad
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=not fixed)
        self.weight_quantizer = quantizer
        self.weight = nn.Parameter(weight.detach().clone(), requires_grad=quantizer.trains_weight)
        if bool(weight.detach().any()):  # a layer that begins with zeros is filled by training, and calibrated then
            self.calibrate_weight()
        self.output_quantizer = output_quantizer
        self._cache: _Kept | None = None

    @property
    def relu(self) -> bool:
        """Whether a ReLU has joined: the output is unsigned."""
        return not self.output_quantizer.signed

    # Where the weight comes from

    def calibrate_weight(self) -> None:
        """Set the weight's scale to that of least squared error, or its codebook to what it begins with."""
        with named(self.name):
            self.weight_quantizer.calibrate(self.weight)

    def replace_quantizers(self, make: Callable[[Sequence[int]], WeightQuantizer]) -> None:
        """Give the weight another quantiser, made for its shape, that is yet to be calibrated."""
        self.weight_quantizer, self._cache = make(self.weight.shape), None

    @property
    def float_weights(self) -> list[Tensor]:
        """The float tensors that the quantised weight is made of."""
        return [self.weight]

    def fix_weight(self) -> None:
        """Leave the weight, or what stands in for it, out of training, as that of a layer without requires_grad.

        Its scale is the quantisation's own, and goes on being learned.
        """
        standing_in = (p for name, p in self.weight_quantizer.named_parameters() if name != "log2_scale")
        for tensor in (*self.float_weights, *standing_in):
            tensor.requires_grad_(False)

    def warn_of_zeros(self) -> None:
        """Warn where every weight rounds to 0 though not all are 0."""
        if all(bool(weight.any()) for weight in self.float_weights) and not bool(self.weight_integers().any()):
            warnings.warn(
                f"{self.name}: all its weights round to 0 at the least scale; scale them up, then calibrate again",
                CalibrationWarning,
                stacklevel=3,
            )

    def weight_format(self) -> Format | Codebook:
        """Of the quantised weight's integers, as they are now."""
        with named(self.name):
            return self.weight_quantizer.format_of(self.weight)

    @property
    def weight_size(self) -> int:
        """Weights, [out, in, kd, kh, kw] counted."""
        return self.weight.numel()

    def weight_integers(self) -> Tensor:
        """The quantised weight's integers, float64 [out, in, kd, kh, kw]."""
        return self.weight_quantizer.integers(self.weight)

    def quantized_weight(self) -> Tensor:
        """The quantised weight's values, with gradients, [out, in, kd, kh, kw]."""
        with named(self.name):
            values: Tensor = self.weight_quantizer(self.weight)
        return values

    # Arithmetic

    def out_format(self, *formats: Format) -> Format:
        return self.output_quantizer.format

    @property
    def _channel_scale(self) -> Tensor | None:
        """What each channel's sums are multiplied by where weights have scales by channel, [lead * out * trail]."""
        scale = self.weight_quantizer.factors()
        return None if scale is None else scale.repeat_interleave(self.trail).repeat(self.lead)

    def affine(self, acc_frac: int = 0, out: Format | None = None) -> tuple[Tensor, Tensor] | None:
        """Slope and intercept of batch norm or bias, and of scales by channel: float64 [channels] with gradients.

        None where the requantiser is a plain shift.
        """
        scale = self._channel_scale
        if scale is not None:
            scale = scale.to("cpu", torch.float64)
        if self.batch_norm is not None:
            return self.batch_norm.affine(acc_frac, out, scale)
        if self.bias is not None:
            bias = self.bias.to("cpu", torch.float64)
            return torch.ones_like(bias) if scale is None else scale, bias
        return None if scale is None else (scale, torch.zeros_like(scale))

    def fold(self, fmt: Format) -> Folded:
        """The integers for an input of format fmt: what evaluation computes with and what freeze writes."""
        weight_format, out = self.weight_format(), self.output_quantizer.format
        integers = self.weight_integers().cpu().numpy()
        weight = as_integers(integers.transpose(0, 2, 3, 4, 1))
        acc_frac = fmt.frac + weight_format.frac
        low, high = accumulator_range(weight, fmt)
        with named(self.name):
            map_ = self.affine(acc_frac, out)
            if map_ is None:
                requant = Requantizer(out, acc_frac - out.frac)
            else:
                slope, intercept = (t.detach().numpy() for t in map_)
                sums = (low, high) if isinstance(weight_format, Codebook) else None
                requant = fold_batch_norm(slope, intercept, acc_frac, out, sums)
            requant.check(low, high)
        return Folded(weight, weight_format, requant, max(-low, high))

    def _folded(self, fmt: Format) -> _Kept:
        """`fold` and its tensors, kept while all that it is made of has the same values.

        The values are compared themselves: an edit of a tensor's `.data` leaves no other trace.
        """
        state = (*self.parameters(), *self.buffers())
        device = self.output_quantizer.constant.device
        key = fmt, device, None if self.batch_norm is None else self.batch_norm.eps
        kept = self._cache
        if kept is None or kept.key != key or not _equal(kept.state, state):
            folded = self.fold(fmt)
            weight = torch.from_numpy(np.array(folded.weight.transpose(0, 4, 1, 2, 3), order="C"))
            tensors = {"weight": weight.to(device, holding_dtype(folded.bound, device))}
            if folded.requant.affine:
                for name, rows in (("m", folded.requant.multipliers), ("b", folded.requant.offsets)):
                    tensors[name] = torch.from_numpy(rows.reshape(-1, 1, 1, 1)).to(device)
            self._cache = kept = _Kept(key, tuple(t.detach().clone() for t in state), folded, tensors)
        return kept

    def train(self, mode: bool = True) -> ContractionStage:
        self._cache = None
        super().train(mode)
        return self

    def requantize(self, acc: Tensor, fmt: Format) -> Tensor:
        """The requantiser on accumulators that a float tensor holds: float32 integers."""
        return self._folded(fmt).requantize(acc)

    def accumulators(self, x: Tensor, fmt: Format) -> Tensor:
        """Integer sums of the contraction, in float32 or float64, whichever holds them exactly."""
        return self._sums(x, self._folded(fmt))

    def _sums(self, x: Tensor, kept: _Kept) -> Tensor:
        dtype = holding_dtype(kept.folded.bound, x.device)
        return self._contracted(x.to(dtype), kept.tensors["weight"].to(dtype))

    def _contracted(self, x: Tensor, weight: Tensor) -> Tensor:
        return contract(x, weight, self.window, self.lead, self.trail, self.groups)

    def integers(self, *streams: Stream) -> Tensor:
        ((x, fmt),) = streams
        kept = self._folded(fmt)
        return kept.requantize(self._sums(x, kept))

    def sums(self, x: Tensor) -> Tensor:
        """Sums of float values with the quantised weight, before scales by channel and batch norm."""
        return self._contracted(x, self.quantized_weight())

    def _normalised(self, x: Tensor, weight: Tensor) -> Tensor:
        """The contraction's sums after batch norm or bias, with gradients."""
        acc = self._contracted(x, weight)
        scale = self._channel_scale
        if scale is not None:
            acc = acc * scale.view(-1, 1, 1, 1)
        if self.batch_norm is not None:
            found: Tensor = self.batch_norm(acc)
            return found
        return acc if self.bias is None else acc + self.bias.view(-1, 1, 1, 1)

    def floats(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        y = self._normalised(x, self.quantized_weight())
        return y.relu() if self.relu else y

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        ((x, fmt),) = streams
        weight = self.quantized_weight()
        if not exact:
            return self.output_quantizer(self._normalised(x, weight))
        kept = self._folded(fmt)
        folded = kept.folded
        acc_frac = fmt.frac + folded.weight_format.frac
        out = folded.requant.out
        # Values are integers scaled by powers of two: the same dtype holds them as exactly as the integers.
        dtype = holding_dtype(folded.bound, x.device)
        acc = self._contracted(x.to(dtype), weight)
        with torch.no_grad():
            result = kept.requantize(acc * 2.0**acc_frac).mul_(2.0**-out.frac)
        map_ = self.affine(acc_frac, out)
        acc = acc.to(torch.float32)
        if map_ is not None:
            slope, intercept = (t.to(x.device, torch.float32).view(-1, 1, 1, 1) for t in map_)
            acc = torch.addcmul(intercept, acc, slope)
        return self.output_quantizer(acc, result)

    def calibrate(self, batches: Sequence[Sequence[Stream]], *, scales: bool, statistics: bool) -> list[Tensor]:
        if scales:
            self.calibrate_weight()
        fmt = batches[0][0][1]
        acc_frac = fmt.frac + self.weight_format().frac
        quantizer = self.output_quantizer
        if scales:  # the scale that the output starts with need not be one that the requantiser reaches
            quantizer.log2_scale.clamp_(min=-acc_frac, max=FARTHEST - acc_frac)
            self._keep_reachable(acc_frac)
        acc = [self.accumulators(x, fmt) for ((x, _),) in batches]
        if self.batch_norm is not None and (statistics or not self.batch_norm.has_statistics):
            factor = 1.0 if self._channel_scale is None else self._channel_scale.to(torch.float64)
            self.batch_norm.set_statistics(*statistics_of(acc, 2.0**-acc_frac * factor))
        if scales:
            y = self._outputs(acc, acc_frac)
            calibrate_output(self.name, quantizer, y)
            self._keep_reachable(acc_frac)
            quantizer.observe(y, quantizer.format)
        for i, part in enumerate(acc):  # in place, so that wide sums and outputs are not held together
            acc[i] = self.requantize(part, fmt)
        return acc

    @torch.no_grad()
    def _keep_reachable(self, acc_frac: int) -> None:
        """Raise the output's scale to the least at which what multiplies sums without a batch norm fits."""
        plain = None if self.batch_norm is not None else self.affine()
        if plain is None:
            return
        # The multiplier of a bare bias is a power of two; 2**(MULTIPLIER_BITS - 2) is the greatest that fits.
        greatest = math.ceil(math.log2(float(plain[0].max())))
        least = greatest - (acc_frac + MULTIPLIER_BITS - 2)
        if least > FRAC_LIMIT:
            raise ValueError(
                f"{self.name}: weights of a channel of up to {float(plain[0].max()):.2g} are out of the reach of an "
                "output without a batch norm; scale the weights down, then calibrate again"
            )
        self.output_quantizer.log2_scale.clamp_(min=least)

    def _outputs(self, acc: Sequence[Tensor], acc_frac: int) -> Tensor:
        """A sample of the outputs in float, before any clamp, from the sums, of which 2**acc_frac are one."""
        y = sample(acc) * 2.0**-acc_frac
        affine = self.affine()
        if affine is None:
            return y
        slope, intercept = (t.to(y.device) for t in affine)
        return y * slope + intercept

    def node(self, *formats: Format) -> Contraction:
        folded = self._folded(*formats).folded
        return Contraction(
            self.name,
            self.inputs,
            self.source,
            self.window,
            folded.weight,
            folded.weight_format,
            folded.requant,
            self.lead,
            self.trail,
            self.groups,
        )
