"""Batch norm over a contraction's accumulators: batch statistics in training, a bounded affine map once frozen."""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import MULTIPLIER_BITS, OFFSET_BITS, Format, round_half_up
from qtt_hw.nn.joined_batch_norm import joined_batch_norm, joined_moments

__all__ = ["BatchNorm", "ChannelAffine", "RoundedBatchNorm"]

#: No channel's sigma is taken as less than this share of the tensor's median sigma. One shift serves all channels'
#: multipliers, so a nearly constant channel with a huge slope would leave the others few bits: 16 - 1 - 6 at least.
SIGMA_RANGE = 2.0**-6

_log = logging.getLogger(__name__)


class BatchNorm(nn.Module):
    """y = gamma[c] * (x - mu[c]) / sigma[c] + beta[c] over axis 1 of [N, C, ...].

    Parameters
    ----------
    channels : int
    eps, momentum : float
        As in torch.nn.BatchNorm3d.

    Attributes
    ----------
    joined : bool
        Whether the batch is that of all processes, as `qtt_hw.nn.joined_batch_norm` describes.
    trained : bool
        Whether the running statistics are known to be of data, whatever they are.
    """

    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum, self.joined, self.trained = eps, momentum, False, False
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        if momentum is None:
            self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64))

    def _share(self) -> float:
        """By how much the running statistics move to the batch's; without a momentum they are the mean of batches."""
        if self.momentum is not None:
            return self.momentum
        self.num_batches_tracked += 1
        return 1 / int(self.num_batches_tracked)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised by the batch's own statistics, which also move the running ones, or in eval mode by those."""
        parameters = self.running_mean, self.running_var, self.weight, self.bias
        share = self._share() if self.training else 0.0
        if self.joined and self.training:
            return joined_batch_norm(x, *parameters, share, self.eps)
        return F.batch_norm(x, *parameters, self.training, share, self.eps)

    @property
    def has_statistics(self) -> bool:
        """Whether the running statistics are of data: known to be, or not the zeros and ones that they begin with."""
        return self.trained or bool((self.running_mean != 0).any()) or bool((self.running_var != 1).any())

    @torch.no_grad()
    def set_statistics(self, mean: Tensor, var: Tensor) -> None:
        """Replace the running statistics, [C] each."""
        self.running_mean.copy_(mean)
        self.running_var.copy_(var)

    def _plain_sigma(self) -> Tensor:
        return (self.running_var.detach().to("cpu", torch.float64) + self.eps).sqrt()

    def sigma(self) -> Tensor:
        """sqrt(running_var + eps), at least SIGMA_RANGE of its median; float64 [C]."""
        sigma = self._plain_sigma()
        return torch.maximum(sigma, sigma.median() * SIGMA_RANGE)

    def affine(
        self, acc_frac: int = 0, out: Format | None = None, scale: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Slope and intercept from the running statistics, float64 [C] on the CPU, differentiable in gamma and beta.

        Parameters
        ----------
        acc_frac : int
            Fractional bits of the accumulator.
        out : Format, optional
            Output format of the requantiser that the map is folded into; given, sigma and the intercept are bounded
            so that they fit it at shift 0.
        scale : float64 tensor, [C], optional
            What x is multiplied by before it is normalised: the slope is of x as it is.
        """
        gamma = self.weight.to("cpu", torch.float64)
        beta = self.bias.to("cpu", torch.float64)
        mean = self.running_mean.detach().to("cpu", torch.float64)
        if scale is not None:
            gamma, mean = gamma * scale, mean / scale
        return self._bounded(gamma, beta, mean, self.sigma(), acc_frac, out)

    @staticmethod
    def _bounded(
        gamma: Tensor, beta: Tensor, mean: Tensor, sigma: Tensor, acc_frac: int, out: Format | None
    ) -> tuple[Tensor, Tensor]:
        if out is not None:
            slope_limit = ((1 << (MULTIPLIER_BITS - 1)) - 1) * 2.0 ** (acc_frac - out.frac)
            sigma = torch.maximum(sigma, gamma.detach().abs() / slope_limit)
        slope = gamma / sigma
        intercept = beta - slope * mean
        if out is not None:
            limit = ((1 << (OFFSET_BITS - 1)) - 1) * 2.0**-out.frac
            intercept = intercept.clamp(-limit, limit)
        return slope, intercept

    def report(self, name: str) -> int:
        """Log how many channels' sigma is bounded, and return it."""
        plain = self._plain_sigma()
        bounded = int((self.sigma() > plain).sum())
        if bounded:
            _log.info("%s: sigma of %d of %d channels raised to 1/64 of the median", name, bounded, len(plain))
        return bounded

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}, momentum={self.momentum}"


class ChannelAffine(BatchNorm):
    """y = gamma[c] * x + beta[c]: a batch norm whose statistics are mean 0 and variance 1, whatever the batch is.

    Parameters
    ----------
    channels : int
    slope, offset : nn.Parameter, [channels] or [1]
        Gamma and beta; one without requires_grad is not trained.
    """

    def __init__(self, channels: int, slope: nn.Parameter, offset: nn.Parameter) -> None:
        super().__init__(channels, eps=0.0)
        for parameter, own in ((slope, "weight"), (offset, "bias")):
            setattr(self, own, nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad))

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.ndim - 2))
        return torch.addcmul(self.bias.to(x.dtype).view(shape), self.weight.to(x.dtype).view(shape), x)

    @property
    def has_statistics(self) -> bool:
        return True

    def set_statistics(self, mean: Tensor, var: Tensor) -> None:
        """Nothing: they stay as they are."""

    def _plain_sigma(self) -> Tensor:
        return torch.ones(len(self.running_var), dtype=torch.float64)

    def extra_repr(self) -> str:
        return f"{len(self.running_var)}"


class RoundedBatchNorm(BatchNorm):
    """QTTNet's batch norm: gamma, beta, mu and sigma rounded to a step of 2**(1 - bits), straight through.

    y = Q(gamma) * (x - Q(mu)) / Q(sigma) + Q(beta). Two things differ from the published one. Its sigma is
    Q(sigma) + 2**-15, so that a channel with sigma below half a step is amplified 32768 times: here sigma is at least
    one step, which is also the only bound on it. Its normalised value is rounded in between: folded into one multiply
    and shift there is no such value.

    Parameters
    ----------
    channels : int
    bits : int
    eps, momentum : float
    """

    def __init__(self, channels: int, bits: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__(channels, eps, momentum)
        self.step = 2.0 ** (1 - bits)

    def _rounded(self, x: Tensor) -> Tensor:
        """x to the next multiple of the step, float64, straight through."""
        x = x.to(torch.float64)
        return x + (round_half_up(x.detach() / self.step) * self.step - x.detach())

    def forward(self, x: Tensor) -> Tensor:
        if self.joined:
            mean, var, joined_count = joined_moments(x)
            count = int(joined_count)
        else:
            var, mean = torch.var_mean(x, [axis for axis in range(x.ndim) if axis != 1], unbiased=False)
            count = x.numel() // x.shape[1]
        with torch.no_grad():
            share = self._share()
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(var * (count / max(count - 1, 1)), share)
        sigma = self._rounded((var + self.eps).sqrt()).clamp(min=self.step)
        slope = self._rounded(self.weight) / sigma
        intercept = self._rounded(self.bias) - slope * self._rounded(mean)
        shape = (-1, *(1,) * (x.ndim - 2))
        return x * slope.to(x.dtype).view(shape) + intercept.to(x.dtype).view(shape)

    def affine(
        self, acc_frac: int = 0, out: Format | None = None, scale: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        assert scale is None, "published scales are of whole tensors"
        gamma, beta, mean = (self._rounded(v.to("cpu")) for v in (self.weight, self.bias, self.running_mean.detach()))
        return self._bounded(gamma, beta, mean, self.sigma(), acc_frac, out)

    def sigma(self) -> Tensor:
        """Q(sqrt(running_var + eps)), at least one step; float64 [C]."""
        return self._rounded(self._plain_sigma()).clamp(min=self.step)

    def report(self, name: str) -> int:
        """Log how many channels' sigma is raised to one step, and return it."""
        bounded = int((self._rounded(self._plain_sigma()) < self.step).sum())
        if bounded:
            _log.info("%s: sigma of %d of %d channels raised to %g", name, bounded, len(self.weight), self.step)
        return bounded

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, step={self.step}"
