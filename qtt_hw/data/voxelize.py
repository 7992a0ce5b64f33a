"""Triangle meshes from .off files, and their occupancy of a voxel grid."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.options import require
from qtt_hw.data.prepare import Unusable

__all__ = ["fill_volume", "read_off", "voxelize"]

#: Samples of the surface for each voxel's edge.
DENSITY = 2

#: Points that are placed at once, which bounds the memory of large triangles.
CHUNK = 2_000_000


def read_off(path: Path) -> NDArray[np.float64]:
    """The triangles float64 [T, 3, 3] (corner, then x, y, z) of an .off file, in its own units.

    The counts may stand on the header's own line, as in `OFF490926 518 0` of some files of ModelNet40; polygons are
    split into triangles.

    Raises
    ------
    Unusable
        One line that names the file, where it is no whole mesh of finite size.
    """
    trimesh = require("trimesh", "reading .off meshes")
    text = path.read_text(encoding="utf-8", errors="replace")
    vertices, faces = _counts(text, path)
    try:
        mesh = trimesh.load_mesh(io.BytesIO(text.encode()), file_type="off", process=False)
        triangles = np.asarray(mesh.vertices, dtype=np.float64)[np.asarray(mesh.faces)]
    except Exception as error:  # trimesh lets whatever it stumbles over through
        raise Unusable(f"{path}: not a readable .off mesh: {' '.join(str(error).split())}") from None
    if not vertices or not faces or not len(triangles):
        raise Unusable(f"{path}: a mesh of {vertices} vertices and {faces} faces, expected some of both")
    if not np.isfinite(triangles).all():
        raise Unusable(f"{path}: holds vertices that are not finite")
    if not np.ptp(triangles.reshape(-1, 3), axis=0).any():
        raise Unusable(f"{path}: all its faces lie in one point")
    return triangles


def _counts(text: str, path: Path) -> tuple[int, int]:
    """Vertices and faces of the header, after a check that as many lines follow."""
    lines = [line for line in (line.partition("#")[0].strip() for line in text.splitlines()) if line]
    if not lines or not lines[0].upper().startswith("OFF"):
        raise Unusable(f"{path}: not an .off mesh: its first line does not begin with OFF")
    glued = lines[0][3:].split()
    body = lines[1:] if glued else lines[2:]
    counts = glued or (lines[1].split() if len(lines) > 1 else [])
    if len(counts) < 2 or not all(count.isdecimal() for count in counts[:2]):
        raise Unusable(f"{path}: not an .off mesh: expected the numbers of vertices and faces after OFF")
    vertices, faces = int(counts[0]), int(counts[1])
    if len(body) < vertices + faces:
        raise Unusable(
            f"{path}: ends after {len(body)} of the {vertices + faces} lines of its {vertices} vertices and "
            f"{faces} faces"
        )
    return vertices, faces


def voxelize(
    triangles: NDArray[np.float64], edge: int = 30, padding: int = 3, fill: str = "orthographic"
) -> NDArray[np.uint8]:
    """Occupancy uint8 0 or 1 [D, H, W] = (x, y, z) of a mesh whose longest side spans edge - 2 * padding voxels.

    A voxel belongs to the surface where one of the points lies in it that cover every triangle, half a voxel
    apart at most. The mesh's box is centred in the grid.

    Parameters
    ----------
    triangles : float64 array, [T, 3, 3]
    edge, padding : int
        Voxels along each edge of the grid, and on each side of the object.
    fill : "orthographic", "holes" or "none"
        What of the inside is occupied: see `fill_volume`.
    """
    inner = edge - 2 * padding
    if inner < 1:
        raise ValueError(f"a padding of {padding} on both sides leaves nothing of an edge of {edge} voxels")
    corners = triangles.reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    scaled = (triangles - (low + high) / 2) * (inner / (high - low).max()) + inner / 2
    volume = np.zeros((inner, inner, inner), dtype=np.uint8)
    for points in _surface(scaled):
        # The far side of the box belongs to its last voxel; the rounding makes exact faces independent of the scale.
        d, h, w = np.clip(np.floor(np.round(points, 9)).astype(np.int64), 0, inner - 1).T
        volume[d, h, w] = 1
    return np.pad(fill_volume(volume, fill), padding)


def _surface(triangles: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Points [P, 3] on the triangles: rows along each one's longest side, and its sides, 1 / DENSITY apart at most."""
    yield triangles.reshape(-1, 3)
    # Of a triangle that is smaller than the distance of two points, its corners are enough.
    triangles = triangles[np.ptp(triangles, axis=1).max(axis=1) * DENSITY > 1]
    sides = np.concatenate([triangles[:, [i, j, j]] for i, j in ((0, 1), (1, 2), (2, 0))])
    triangles = np.concatenate([triangles, sides])
    lengths = np.linalg.norm(triangles[:, [1, 2, 0]] - triangles[:, [2, 0, 1]], axis=2)
    apex = lengths.argmax(axis=1)  # the corner opposite to the longest side
    rank = np.arange(len(triangles))
    a, b, c = (triangles[rank, (apex + i) % 3] for i in range(3))
    longest = lengths[rank, apex]
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    height = np.divide(area, longest, out=np.zeros_like(area), where=longest > 0)
    columns = np.ceil(longest * DENSITY).astype(np.int64) + 1
    rows = np.ceil(height * DENSITY).astype(np.int64) + 1
    total = np.cumsum(rows * columns)
    start = 0
    while start < len(triangles):
        before = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + CHUNK, side="right")))
        part = slice(start, stop)
        yield _points(a[part], b[part], c[part], rows[part], columns[part])
        start = stop


def _points(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float64]:
    counts = rows * columns
    which = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(place, columns[which])
    up = (row / np.maximum(rows - 1, 1)[which])[:, None]
    along = (column / np.maximum(columns - 1, 1)[which])[:, None]
    left, right = b[which], c[which]
    foot = left + along * (right - left)
    return np.asarray(foot + up * (a[which] - foot))


def fill_volume(volume: NDArray[np.uint8], how: str) -> NDArray[np.uint8]:
    """A surface 0 or 1 [D, H, W] with its inside.

    Parameters
    ----------
    volume : uint8 array, [D, H, W]
    how : "orthographic", "holes" or "none"
        `orthographic` fills what lies between surface voxels along all three axes, whether the surface is closed or
        not; `holes` fills what the surface encloses without a gap.
    """
    if how == "none":
        return volume
    if how == "holes":
        ndimage = require("scipy.ndimage", "filling holes")
        return np.asarray(ndimage.binary_fill_holes(volume), dtype=np.uint8)
    if how != "orthographic":
        raise ValueError(f"fill must be orthographic, holes or none, got {how!r}")
    filled = np.ones_like(volume)
    for axis in range(3):
        before = np.maximum.accumulate(volume, axis=axis)
        behind = np.flip(np.maximum.accumulate(np.flip(volume, axis), axis=axis), axis)
        filled &= before & behind
    return filled
