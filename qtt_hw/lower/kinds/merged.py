"""The stage of a tensor train that is merged: its cores and every product quantised, one dense kernel in the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.stage import Place
from qtt_hw.quant import ActivationQuantizer, BatchNorm, UniformQuantizer, WeightQuantizer
from qtt_hw.window import Window

__all__ = ["MergedStage"]


class MergedStage(ContractionStage):
    """A dense contraction with weight = q(... q(q(core 0) . q(core 1)) ... . q(core d)), as QTTNet trains its kernels.

    QTTNet rescales the cores to equal norms at every step. With fixed scales that is done here too; learned ones follow
    the cores, which are rescaled once, at calibration.

    Parameters
    ----------
    place : Place
    window : Window
    cores : sequence of float tensor, [r, c, s, r']
        The first one [1, 1, taps, r'].
    weight_bits : int
        Of every core and every product.
    output_quantizer : ActivationQuantizer
    fixed_weight : bool
        Scales of 2**(1 - weight_bits) instead of learned ones.
    bias : float tensor, [channels], optional
    batch_norm : BatchNorm, optional
    """

    def __init__(
        self,
        place: Place,
        window: Window,
        cores: Sequence[Tensor],
        weight_bits: int,
        output_quantizer: ActivationQuantizer,
        *,
        fixed_weight: bool = False,
        bias: Tensor | None = None,
        batch_norm: BatchNorm | None = None,
    ) -> None:
        channels = [math.prod(core.shape[mode] for core in cores[1:]) for mode in (2, 1)]
        super().__init__(
            place,
            window,
            torch.zeros(*channels, *window.kernel),
            UniformQuantizer(weight_bits, fixed_weight),
            output_quantizer,
            bias=bias,
            batch_norm=batch_norm,
        )
        del self.weight  # the cores stand in for it
        self.cores = nn.ParameterList(nn.Parameter(core.detach().to(torch.float32).clone()) for core in cores)
        self.core_quantizers = nn.ModuleList(UniformQuantizer(weight_bits, fixed_weight) for _ in cores)
        # The last product has the stage's own quantiser.
        self.product_quantizers = nn.ModuleList(UniformQuantizer(weight_bits, fixed_weight) for _ in cores[2:])
        self.calibrate_weight()

    @torch.no_grad()
    def calibrate_weight(self) -> None:
        """Cores of equal norm, then the scale of least error of each core and each product, one after the other."""
        norms = torch.stack([core.double().norm() for core in self.cores]).clamp(min=1e-8)
        for core, norm in zip(self.cores, norms, strict=True):
            core.mul_(float(norms.log().mean().exp() / norm))
        with named(self.name):
            self._merge(calibrate=True)

    def _merge(self, calibrate: bool = False) -> Tensor:
        """The quantised dense kernel [out, in, kd, kh, kw], float64 with gradients."""
        quantizers = [*self.product_quantizers, self._last]
        cores = [core.to("cpu", torch.float64) for core in self.cores]
        if self._last.fixed:
            norms = torch.stack([core.norm() for core in cores]).clamp(min=1e-8)
            cores = [core * (norms.log().mean().exp() / norm) for core, norm in zip(cores, norms, strict=True)]
        merged: Tensor | None = None
        for i, (core, quantizer) in enumerate(zip(cores, self.core_quantizers, strict=True)):
            assert isinstance(quantizer, UniformQuantizer)
            if calibrate:
                quantizer.calibrate(core)
            factor = quantizer(core)
            if merged is None:
                merged = factor
                continue
            r, c, s, q = (*merged.shape[:3], core.shape[3])
            d, t = core.shape[1:3]
            product = torch.einsum("csx,xdtq->cdstq", merged[0], factor).reshape(r, c * d, s * t, q)
            product_quantizer = quantizers[i - 1]
            assert isinstance(product_quantizer, UniformQuantizer)
            if calibrate:
                product_quantizer.calibrate(product)
            merged = product_quantizer(product)
        assert merged is not None
        c = merged.shape[1]  # [1, C, taps * S, 1] -> [S, C, taps]
        dense = merged.reshape(c, self.window.taps, -1).permute(2, 0, 1)
        return dense.reshape(-1, c, *self.window.kernel)

    def replace_quantizers(self, make: Callable[[Sequence[int]], WeightQuantizer]) -> None:
        """Likewise of every core and every product."""
        self._cache = None
        self.core_quantizers = nn.ModuleList(make(core.shape) for core in self.cores)
        self.product_quantizers = nn.ModuleList(make(core.shape) for core in self.cores[2:])
        self.weight_quantizer = make((self.out_shape[3],))

    @property
    def _last(self) -> UniformQuantizer:
        """Of the last product, the kernel."""
        assert isinstance(self.weight_quantizer, UniformQuantizer)
        return self.weight_quantizer

    @property
    def float_weights(self) -> list[Tensor]:
        return list(self.cores)

    @property
    def weight_size(self) -> int:
        return self.window.taps * math.prod(core.shape[1] * core.shape[2] for core in self.cores[1:])

    def weight_format(self) -> Format:
        return self._last.format

    @torch.no_grad()
    def weight_integers(self) -> Tensor:
        return self._merge() * 2.0**self._last.frac

    def quantized_weight(self) -> Tensor:
        return self._merge().to(self.cores[0].device, self.cores[0].dtype)
