"""Twelve rotations of a volume about its vertical axis, 30 degrees apart."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.samples import Samples

__all__ = ["ROTATIONS", "all_rotations", "rotate", "sources"]

ROTATIONS = 12


@cache
def sources(depth: int, height: int, k: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For every place of a plane [depth * height], the place that it is taken from, and whether that lies inside."""
    angle = np.pi / 6 * k
    # Rounded, so that the exact places of right angles and the halves between do not depend on the last bit of a sine.
    cosine, sine = np.round(np.cos(angle), 12), np.round(np.sin(angle), 12)
    d, h = np.meshgrid(np.arange(depth) - (depth - 1) / 2, np.arange(height) - (height - 1) / 2, indexing="ij")
    from_d = np.floor(np.round(cosine * d + sine * h + (depth - 1) / 2, 9) + 0.5).astype(np.int64)
    from_h = np.floor(np.round(cosine * h - sine * d + (height - 1) / 2, 9) + 0.5).astype(np.int64)
    inside = (from_d >= 0) & (from_d < depth) & (from_h >= 0) & (from_h < height)
    return np.where(inside, from_d * height + from_h, 0).ravel(), inside.ravel()


def rotate(x: NDArray[np.uint8], k: int) -> NDArray[np.uint8]:
    """Volumes uint8 [N, D, H, W, C] turned by k * 30 degrees about W, from D towards H, to the nearest voxel.

    The centre of the plane stays. What a turn moves out of the volume is lost, and zeros come in: a box that fills
    the inner 24 x 24 of 30 x 30 loses its corners at 30 and 60 degrees. k = 3 equals numpy.rot90 in the plane (D, H).

    Parameters
    ----------
    x : uint8 array, [N, D, H, W, C]
    k : int
        Any number; 12 is a whole turn.
    """
    count, depth, height, width, channels = x.shape
    taken, inside = sources(depth, height, k % ROTATIONS)
    planes = x.reshape(count, depth * height, width * channels)
    return np.asarray(np.where(inside[None, :, None], planes[:, taken], 0).reshape(x.shape), dtype=np.uint8)


def all_rotations(samples: Samples) -> Samples:
    """Every sample in its twelve rotations, one after the other: [N, ...] to [12 * N, ...]."""
    x = np.empty((len(samples), ROTATIONS, *samples.sample_shape), dtype=np.uint8)
    for k in range(ROTATIONS):
        x[:, k] = rotate(samples.x, k)
    return Samples(x.reshape(-1, *samples.sample_shape), samples.y.repeat(ROTATIONS))
