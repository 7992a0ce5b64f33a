"""Batch norm over the joined batch of several processes, on any device that torch.distributed reduces on.

torch.nn.SyncBatchNorm does this on CUDA alone. Every process must call these functions, in the same order, forward
and backward; they use the default process group.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["JoinedBatchNorm", "joined_batch_norm", "joined_moments"]


def _view(values: Tensor, x: Tensor) -> Tensor:
    """[C] along axis 1 of x."""
    return values.view(-1, *(1,) * (x.ndim - 2))


def _merged_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance [C] of axis 1 over the processes' joined x, and the count of values a channel."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    if x.device.type == "cpu":
        # The kernel of batch norm itself, several times as fast as var_mean on the CPU. What it moves is dropped.
        moved = x.new_zeros((2, x.shape[1]), dtype=dtype)
        mean, var = torch.ops.aten.batch_norm_update_stats(x, moved[0], moved[1], 0.0)
    else:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        var, mean = torch.var_mean(x.to(dtype), axes, unbiased=False)
    wide_mean = mean.to(torch.float64)
    moments = torch.cat([wide_mean, var.to(torch.float64) + wide_mean.square(), wide_mean.new_ones(1)])
    moments *= x.numel() // x.shape[1]
    dist.all_reduce(moments)
    count = moments[-1]
    first, second = (moments[:-1] / count).chunk(2)
    return first.to(mean.dtype), (second - first.square()).clamp_(min=0.0).to(mean.dtype), count


class _Moments(torch.autograd.Function):
    """Mean, biased variance and count of the joined batch, with the gradients of the former two."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, var, count = _merged_moments(x)
        ctx.save_for_backward(x, mean, count)
        ctx.mark_non_differentiable(count)
        return mean, var, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, mean, count = ctx.saved_tensors
        # Every process normalised its own part by these moments.
        both = torch.stack(gradients[:2]).to(torch.float64)
        dist.all_reduce(both)
        of_mean, of_var = (both / count).to(mean.dtype)
        return (_view(of_mean, x) + 2 * _view(of_var, x) * (x - _view(mean, x))).to(x.dtype)


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias by the joined batch's moments, with the gradient through these."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, count: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps = eps
        return F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        # As if the moments were constants; the gradients of weight and bias are this process's part of them ...
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        # ... and their sums are what the moments' own dependence on x needs:
        # dx -= weight / sigma * (sum(dy) + (x - mean) / sigma * sum(dy * (x - mean) / sigma)) / count.
        sums = torch.stack([of_weight, of_bias]).to(torch.float64)
        dist.all_reduce(sums)
        along, across = sums / count
        sigma = (var.to(torch.float64) + ctx.eps).sqrt()
        slope = -weight.to(torch.float64) * along / sigma.square()
        offset = -weight.to(torch.float64) * across / sigma - slope * mean.to(torch.float64)
        slope, offset = (_view(values.to(mean.dtype), x) for values in (slope, offset))
        of_x.add_(torch.addcmul(offset, x, slope))
        return of_x, of_weight, of_bias, None, None, None, None


def joined_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(mean [C], biased variance [C], count of values a channel) over all axes but 1 and all processes."""
    return cast("tuple[Tensor, Tensor, Tensor]", _Moments.apply(x))


def joined_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """F.batch_norm in training, over the joined batch of all processes.

    The gradients of weight and bias are those of the process's own part: their sum over processes is the joined
    batch's. That of x is whole.

    Parameters
    ----------
    x : float tensor, [N, C, ...]
        This process's part of the batch.
    running_mean, running_var : float tensor, [C], optional
        Moved towards the joined batch's mean and unbiased variance, alike on all processes.
    weight, bias : float tensor, [C], optional
    momentum, eps : float
    """
    with torch.no_grad():
        mean, var, count = _merged_moments(x)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * (count / (count - 1).clamp(min=1.0)).to(var.dtype)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
    return cast(Tensor, _Normalize.apply(x, weight, bias, mean, var, count, eps))


class JoinedBatchNorm(_BatchNorm):
    """A torch.nn.BatchNorm1d, 2d or 3d, with its parameters and buffers, whose batch is that of all processes."""

    @classmethod
    def of(cls, plain: _BatchNorm) -> JoinedBatchNorm:
        """One that shares the parameters and buffers of a plain batch norm."""
        joined = cls(plain.num_features, plain.eps, plain.momentum, plain.affine, plain.track_running_stats)
        joined.weight, joined.bias = plain.weight, plain.bias
        joined.running_mean, joined.running_var = plain.running_mean, plain.running_var
        joined.num_batches_tracked = plain.num_batches_tracked
        return joined.train(plain.training)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"batch norm expects [N, C, ...], got {list(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain average over all batches so far
                momentum = 1.0 / float(self.num_batches_tracked)
        mean, var = (self.running_mean, self.running_var) if self.track_running_stats else (None, None)
        return joined_batch_norm(input, mean, var, self.weight, self.bias, momentum, self.eps)
