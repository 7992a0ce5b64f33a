"""Triangle meshes from .off files, and their occupancy of a voxel grid."""

from __future__ import annotations

import re
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


#: OFF, and what may stand before it: texture coordinates, colours and normals of vertices, which are not read.
_HEADER = re.compile(r"(?:st)?c?n?off(?![a-z])", re.IGNORECASE)


def read_off(path: Path) -> NDArray[np.float64]:
    """The triangles float64 [T, 3, 3] (corner, then x, y, z) of an .off file, in its own units.

    The header may be in lower case and say COFF, NOFF or STOFF; the counts may stand on its own line, as in
    `OFF490926 518 0` of some files of ModelNet40. Comments, blank lines, and colours and normals behind the numbers of
    a vertex or a face are skipped. Polygons are split into triangles; faces of one or two corners have no area and are
    left out.

    Raises
    ------
    Unusable
        One line that names the file, where it is no whole mesh of finite size.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    vertex_lines, face_lines = _bodies(text, path)
    vertices = _vertices(vertex_lines, path)
    faces = _triangles([_face(line, len(vertices), n, path) for n, line in enumerate(face_lines)])
    if not len(vertices) or not len(faces):
        raise Unusable(f"{path}: a mesh of {len(vertices)} vertices and {len(faces)} triangles, expected some of both")
    if not np.isfinite(vertices[np.unique(faces)]).all():
        raise Unusable(f"{path}: holds vertices that are not finite")
    triangles = vertices[faces]
    if not np.ptp(triangles.reshape(-1, 3), axis=0).any():
        raise Unusable(f"{path}: all its faces lie in one point")
    return triangles


def _bodies(text: str, path: Path) -> tuple[list[str], list[str]]:
    """The lines of the vertices and of the faces, as many of each as the header says."""
    lines = [line for line in (line.partition("#")[0].strip() for line in text.splitlines()) if line]
    header = _HEADER.match(lines[0]) if lines else None
    if header is None or header[0].endswith("nOFF"):  # of any number of dimensions
        kind = re.match(r"\w{0,4}OFF", lines[0], re.IGNORECASE) if lines else None
        reason = f"{kind[0]} is a kind that is not read" if kind else "its first line does not begin with OFF"
        raise Unusable(f"{path}: not an .off mesh: {reason}")
    glued = lines[0][header.end() :].split()
    if glued and glued[0].upper() == "BINARY":
        raise Unusable(f"{path}: a binary .off mesh; expected one in text")
    body = lines[1:] if glued else lines[2:]
    counts = glued or (lines[1].split() if len(lines) > 1 else [])
    if len(counts) < 2 or not all(re.fullmatch("[0-9]{1,12}", count) for count in counts[:2]):
        raise Unusable(f"{path}: not an .off mesh: expected the numbers of vertices and faces after OFF")
    vertices, faces = int(counts[0]), int(counts[1])
    wanted = f"{vertices + faces} lines of its {vertices} vertices and {faces} faces"
    if len(body) < vertices + faces:
        raise Unusable(f"{path}: ends after {len(body)} of the {wanted}")
    if len(body) > vertices + faces:
        raise Unusable(f"{path}: goes on for {len(body) - vertices - faces} lines after the {wanted}")
    return body[:vertices], body[vertices:]


def _vertices(lines: list[str], path: Path) -> NDArray[np.float64]:
    """Corners float64 [V, 3]; what stands behind their x, y, z is not read."""
    values = [line.split() for line in lines]
    rows = [row[:3] for row in values]
    # A face among the vertices, where the header counts too many of these, has another number of values.
    for number, row in enumerate(values):
        if len(row) != len(values[0]) and len(row) >= 3:
            raise Unusable(f"{path}: vertex {number} has {len(row)} values, the first has {len(values[0])}")
    try:
        if all(len(row) == 3 for row in rows):
            return np.array(rows, dtype=np.float64).reshape(-1, 3)
    except ValueError:
        pass
    for number, row in enumerate(rows):
        try:
            whole = len([float(value) for value in row]) == 3
        except ValueError:
            whole = False
        if not whole:
            raise Unusable(f"{path}: vertex {number} is {lines[number][:40]!r}, expected its x, y and z")
    raise AssertionError  # one of them was not whole


def _face(line: str, vertices: int, number: int, path: Path) -> list[int]:
    """The corners of a face; a colour behind them is not read."""
    values = line.split()
    try:
        count = int(values[0])
        corners = [int(value) for value in values[1 : count + 1]]
    except ValueError:
        corners, count = [], -1
    if count < 1 or len(corners) != count:
        raise Unusable(f"{path}: face {number} is {line[:40]!r}, expected how many corners, then each one's vertex")
    if min(corners) < 0 or max(corners) >= vertices:
        wrong = min(corners) if min(corners) < 0 else max(corners)
        raise Unusable(f"{path}: face {number} names vertex {wrong}, the mesh has 0 to {vertices - 1}")
    return corners


def _triangles(faces: list[list[int]]) -> NDArray[np.int64]:
    """Faces as triangles int64 [T, 3]: a fan about the first corner, a square as its two halves."""
    found = []
    for face in faces:
        if len(face) == 4:
            a, b, c, d = face
            found += [(a, b, c), (c, d, a)]
        else:
            found += [(face[0], face[i], face[i + 1]) for i in range(1, len(face) - 1)]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


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
