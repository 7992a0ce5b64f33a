"""A network behind the normalisation of its images: what torchvision's transforms do before the network sees them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qtt_hw.graph import InputSpec
from qtt_hw.nn.planar import is_planar

__all__ = ["Normalised"]


class Normalised(nn.Module):
    """What a network makes of (p / 255 - mean) / std, from the input edge's values of bytes p.

    Parameters
    ----------
    network : nn.Module
        Of [N, C, D, H, W], or of [N, C, H, W].
    spec : InputSpec
        How bytes become the edge's values, and of how many channels.
    mean, std : sequence of float
        By channel of the samples, or one for all.

    Raises
    ------
    ValueError
        When their number is neither 1 nor the samples' channels, or a std is not above 0.
    """

    slope: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, spec: InputSpec, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        channels, edge = spec.sample_shape[3], spec.edge
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, channels):
                raise ValueError(
                    f"{name}: {len(values)} values for samples of {channels} channels; give 1"
                    + (f" or {channels}" if channels > 1 else "")
                )
        if min(std) <= 0:
            raise ValueError(f"std: must be above 0, got {min(std):g}")
        self.network = network
        means, deviations = (torch.tensor(v, dtype=torch.float64).expand(channels) for v in (mean, std))
        # p is (value * 2**frac + offset) / gain; within a block of positions channels come fastest.
        slope = 2.0**edge.format.frac / (255 * spec.gain * deviations)
        offset = (spec.offset / (255 * spec.gain) - means) / deviations
        axes = (-1, *(1,) * (2 if is_planar(network) else 3))
        for name, made in (("slope", slope), ("offset", offset)):
            tiled = made.repeat(edge.shape[3] // channels).to(torch.float32)
            if not bool(tiled.isfinite().all()):
                raise ValueError(f"mean, std: values / 255 less {max(mean, key=abs):g} by {min(std):g} are not finite")
            self.register_buffer(name, tiled.view(axes), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x * self.slope + self.offset)
        return logits
