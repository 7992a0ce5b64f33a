"""Generated voxel solids: a data set without a download, for demonstrations and tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.arrays import Raw
from qtt_hw.data.samples import Samples
from qtt_hw.near import unknown

__all__ = ["SOLIDS", "generate", "load_solids"]

#: Points that are placed at once.
POINTS = 1 << 21
#: Bytes of all volumes together.
LARGEST = 4 << 30

Points = NDArray[np.float32]


def _box(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return np.maximum(np.maximum(abs(x) / 0.9, abs(y) / 0.75), abs(z) / 0.6) <= 1


def _sphere(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return x * x + y * y + z * z <= 0.85**2


def _cone(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return (abs(z) <= 0.9) & (np.hypot(x, y) <= 0.5 * (0.9 - z))


def _torus(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return (np.hypot(x, y) - 0.68) ** 2 + z * z <= 0.27**2


def _cross(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    a, b, c = abs(x), abs(y), abs(z)
    inside = (np.maximum(b, c) <= 0.28) | (np.maximum(a, c) <= 0.28) | (np.maximum(a, b) <= 0.28)
    return inside & (np.maximum(np.maximum(a, b), c) <= 0.95)


def _cylinder(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return (abs(z) <= 0.95) & (np.hypot(x, y) <= 0.42)


def _pyramid(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return (abs(z) <= 0.8) & (np.maximum(abs(x), abs(y)) <= 0.5 * (0.8 - z))


def _shell(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    radius = np.sqrt(x * x + y * y + z * z)
    return (radius <= 0.95) & (radius >= 0.6)


#: Whether points lie in a solid, in coordinates where it about fills [-1, 1]^3; by class name, in order of the labels.
SOLIDS: dict[str, Callable[[Points, Points, Points], NDArray[np.bool_]]] = {
    "box": _box,
    "sphere": _sphere,
    "cone": _cone,
    "torus": _torus,
    "cross": _cross,
    "cylinder": _cylinder,
    "pyramid": _pyramid,
    "shell": _shell,
}


def _rotations(count: int, tilt: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Rotation matrices [count, 3, 3]: an axis permutation with signs, after a turn of up to `tilt` radians."""
    axes = rng.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angle = rng.uniform(-tilt, tilt, size=(count, 1, 1))
    cross = np.zeros((count, 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = axes
    cross[:, [1, 2, 0], [2, 0, 1]] = -axes
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    order = rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
    signs = rng.choice([-1.0, 1.0], size=(count, 3, 1))
    return np.asarray(np.eye(3)[order] * signs @ turn)


def generate(solid: str, count: int, edge: int, seed: int, *, tilt: float = 0.3) -> NDArray[np.uint8]:
    """Volumes uint8 0 or 1 [count, edge, edge, edge, 1] of one solid at random sizes, places and orientations.

    Parameters
    ----------
    solid : str
        A name in SOLIDS.
    count, edge : int
        Number of volumes, voxels along each edge (4 at least).
    seed : int
        The same volumes for the same seed, solid, count and edge.
    tilt : float
        Largest turn in radians away from one of the 48 orientations of the axes.
    """
    if solid not in SOLIDS:
        raise unknown("solid", solid, SOLIDS)
    if edge < 4:
        raise ValueError(f"a solid needs an edge of 4 voxels at least, got {edge}")
    rng = np.random.default_rng([seed, list(SOLIDS).index(solid), edge])
    rotation = _rotations(count, tilt, rng)
    half = edge / 2
    scale = half * rng.uniform(0.68, 0.98, size=(count, 1)) * rng.uniform(0.9, 1.1, size=(count, 3))
    centre = rng.uniform(-0.12, 0.12, size=(count, 3)) * half
    axis = np.arange(edge) - (edge - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    volumes = np.empty((count, edge**3), dtype=np.uint8)
    # At once so many that a large edge does not take gigabytes.
    chunk = max(1, min(64, POINTS // edge**3))
    for start in range(0, count, chunk):
        part = slice(start, start + chunk)
        points = np.einsum("npi,nij->njp", grid[None] - centre[part, None], rotation[part]) / scale[part, :, None]
        volumes[part] = SOLIDS[solid](*points.astype(np.float32).transpose(1, 0, 2))
    return volumes.reshape(count, edge, edge, edge, 1)


def load_solids(edge: int = 16, classes: int = 6, per_class: int = 200, seed: int = 0) -> Raw:
    """The first `classes` solids, `per_class` training volumes each and half as many for the test."""
    if not 2 <= classes <= len(SOLIDS):
        raise ValueError(f"solids: classes must be 2 to {len(SOLIDS)}, got {classes}")
    if per_class < 4:
        raise ValueError(f"solids: per_class must be 4 at least, got {per_class}")
    size = classes * (per_class + per_class // 2) * edge**3
    if size > LARGEST:
        raise ValueError(
            f"solids: {classes} classes of {per_class} and half as many volumes of edge {edge} take "
            f"{size / 2**30:.1f} GiB; expected at most {LARGEST / 2**30:g}"
        )
    labels = tuple(SOLIDS)[:classes]
    test_count = per_class // 2
    # One draw for both parts: the test volumes continue the training volumes' random stream.
    drawn = [generate(name, per_class + test_count, edge, seed) for name in labels]
    train = Samples(
        np.concatenate([volumes[:per_class] for volumes in drawn]),
        np.repeat(np.arange(classes, dtype=np.int64), per_class),
    )
    test = Samples(
        np.concatenate([volumes[per_class:] for volumes in drawn]),
        np.repeat(np.arange(classes, dtype=np.int64), test_count),
    )
    return Raw(train, test, labels, read=f"generated in {edge} voxels along each edge")
