"""Samples that stay on the device, where batches are chosen, changed and made the network's input.

The draws are those of `qtt_hw.data.augment`, made on the processor, a few numbers a sample; the voxels or pixels that
they move never leave the device. Batches are those of the processor, bit for bit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from qtt_hw.data import Augmentation, Samples
from qtt_hw.data.augment import Changes, changes
from qtt_hw.data.rotations import ROTATIONS, sources
from qtt_hw.graph import InputSpec
from qtt_hw.graph.preprocess import blocks

__all__ = ["Resident"]

#: Share of the device's free memory that samples may take; larger sets stay with the processor.
SHARE = 0.25


class Resident:
    """Raw samples uint8 [N, D, H, W, C] and their classes on a device.

    Parameters
    ----------
    samples : Samples
    device : torch.device
    """

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self.x = torch.from_numpy(samples.x).to(device)
        self.y = torch.from_numpy(samples.y).to(device)
        self._turned: dict[tuple[int, str, int], tuple[Tensor, Tensor]] = {}

    @classmethod
    def where_it_pays(cls, samples: Samples, device: torch.device) -> Resident | None:
        """The samples on a CUDA device that has room for them; None elsewhere."""
        if device.type != "cuda" or samples.x.nbytes > SHARE * torch.cuda.mem_get_info(device)[0]:
            return None
        return cls(samples, device)

    def batch(
        self, spec: InputSpec, how: Augmentation, seed: int, epoch: int, chosen: NDArray
    ) -> tuple[Tensor, Tensor]:
        """The chosen samples changed and preprocessed, float32 [N, C', D', H', W'], and their classes, int64 [N]."""
        places = torch.from_numpy(chosen).to(self.x.device)
        raw = self.x[places]
        if how.active:
            raw = self._changed(raw, how, changes(raw.shape[1:], how, seed, epoch, chosen))
        return self._tensor(spec, raw), self.y[places]

    def inputs(self, spec: InputSpec, part: slice) -> Tensor:
        """Some of the samples as they are, preprocessed: float32 [N, C', D', H', W']."""
        return self._tensor(spec, self.x[part])

    def _changed(self, x: Tensor, how: Augmentation, drawn: Changes) -> Tensor:
        """What `augment` makes of the volumes: resized, then turned, flipped, shifted; as moves, the last one first."""
        n, *shape, channels = x.shape
        device = x.device
        # Places of the result along each axis, and where each is taken from: [N, size].
        place, inside = [], []
        for axis, size in enumerate(shape):
            here = torch.arange(size, device=device) - torch.from_numpy(drawn.shifts[:, axis]).to(device)[:, None]
            inside.append((here >= 0) & (here < size))
            here = here.clamp(0, size - 1)
            flipped = torch.from_numpy(drawn.flips[:, axis]).to(device)[:, None]
            place.append(torch.where(flipped, size - 1 - here, here))
        d, h, w = (
            part.view([n, *(-1 if axis == i else 1 for i in range(3))]).expand(n, *shape)
            for axis, part in enumerate(place)
        )
        valid = inside[0][:, :, None, None] & inside[1][:, None, :, None] & inside[2][:, None, None, :]
        if how.plane is not None:
            axes = [d, h, w]
            a, b = how.plane
            tables, within = self._tables(shape[a], shape[b], how, device)
            turns = torch.from_numpy(drawn.turns).to(device)[:, None, None, None].expand(n, *shape)
            flat = axes[a] * shape[b] + axes[b]
            source = tables[turns, flat]
            valid = valid & within[turns, flat]
            axes[a], axes[b] = source // shape[b], source % shape[b]
            d, h, w = axes
        if any(how.scales):
            axes = []
            for axis, along in enumerate((d, h, w)):
                table = torch.from_numpy(drawn.places[axis]).to(device)
                taken = table.gather(1, along.reshape(n, -1)).view(n, *shape)
                valid = valid & (taken >= 0)
                axes.append(taken.clamp(min=0))
            d, h, w = axes
        flat = ((d * shape[1] + h) * shape[2] + w).reshape(n, -1, 1).expand(-1, -1, channels)
        found = x.reshape(n, -1, channels).gather(1, flat).view(n, *shape, channels)
        return found * valid[..., None]

    def _tables(self, first: int, second: int, how: Augmentation, device: torch.device) -> tuple[Tensor, Tensor]:
        """For every turn and place of the plane, the place that it is taken from, and whether that lies inside."""
        key = (how.turns, str(how.rotation), first * (1 << 16) + second)
        if key not in self._turned:
            grid = torch.arange(first * second).view(first, second)
            taken, inside = [], []
            for k in range(how.turns):
                if how.turns == ROTATIONS:
                    place, within = map(torch.from_numpy, sources(first, second, k))
                else:
                    turned = torch.rot90(grid, k if first == second else k & 2)
                    place, within = turned.reshape(-1), torch.ones(first * second, dtype=torch.bool)
                taken.append(place)
                inside.append(within)
            self._turned[key] = torch.stack(taken).to(device), torch.stack(inside).to(device)
        return self._turned[key]

    def _tensor(self, spec: InputSpec, raw: Tensor) -> Tensor:
        """`to_tensor` of raw samples that are on the device already."""
        x = raw.to(torch.float32) * spec.gain - spec.offset
        bd, bh, bw = blocks(spec.sample_shape, spec.block)
        if (bd, bh, bw) != (1, 1, 1):
            n, d, h, w, c = x.shape
            x = F.pad(x, (0, 0, 0, -w % bw, 0, -h % bh, 0, -d % bd))
            split = x.reshape(n, -(-d // bd), bd, -(-h // bh), bh, -(-w // bw), bw, c)
            x = split.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(n, *spec.edge.shape)
        return x.permute(0, 4, 1, 2, 3) * 2.0**-spec.edge.format.frac
