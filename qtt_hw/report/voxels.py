"""The surface of a voxel volume as a mesh: faces between a voxel and emptiness, neighbours of a line as one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["faces", "mesh"]


def faces(volume: NDArray) -> NDArray[np.int64]:
    """The visible faces of a volume [D, H, W], as quadrilaterals [F, 4 corners, 3 coordinates], outwards.

    Corners are places on the grid, 0 to the axis's size. Faces that lie beside each other along a line are one, and so
    are such lines that are as long, beside each other.
    """
    found = []
    for axis in range(3):
        solid = np.moveaxis(np.pad(volume.astype(bool), 1), axis, 0)
        for side in (1, -1):
            # A face on the upper side of a voxel whose next along the axis is empty, or on the lower of one before.
            seen = solid & ~np.roll(solid, -side, axis=0)
            for layer in np.flatnonzero(seen.any(axis=(1, 2))):
                at = layer - 1 + (side > 0)  # without the padding
                for top, left, bottom, right in _rectangles(seen[layer, 1:-1, 1:-1]):
                    corners = [(top, left), (bottom, left), (bottom, right), (top, right)]
                    # The other two axes are in their order, which is a left turn about the second.
                    corners = corners[:: -side if axis == 1 else side]
                    found.append([np.insert(corner, axis, at) for corner in corners])
    return np.array(found, dtype=np.int64).reshape(-1, 4, 3)


def _rectangles(mask: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Rectangles (top, left, bottom, right) that cover a mask, each greedily as wide and then as high as can be."""
    left_over, found = mask.copy(), []
    while left_over.any():
        top, left = (int(i) for i in np.unravel_index(int(left_over.argmax()), mask.shape))
        width = _leading(np.asarray(left_over[top, left:]))
        height = _leading(np.asarray(left_over[top:, left : left + width].all(axis=1)))
        left_over[top : top + height, left : left + width] = False
        found.append((top, left, top + height, left + width))
    return found


def _leading(values: NDArray[np.bool_]) -> int:
    """How many values are true before the first that is not."""
    return int(np.append(values, False).argmin())


def mesh(volume: NDArray, colour: str) -> dict[str, Any]:
    """A Mesh3d trace of a volume [D, H, W]: D, H and W are Plotly's x, y and z."""
    quadrilaterals = faces(volume)
    corners, index = np.unique(quadrilaterals.reshape(-1, 3), axis=0, return_inverse=True)
    a, b, c, d = index.reshape(-1, 4).T
    triangles = np.concatenate([np.stack([a, b, c]), np.stack([a, c, d])], axis=1)
    x, y, z = corners.T.tolist() if len(corners) else ([], [], [])
    i, j, k = triangles.tolist()
    return {
        "type": "mesh3d",
        "x": x,
        "y": y,
        "z": z,
        "i": i,
        "j": j,
        "k": k,
        "color": colour,
        "flatshading": True,
        "lighting": {"ambient": 0.55, "diffuse": 0.65, "specular": 0.05, "roughness": 1, "fresnel": 0},
        "lightposition": {"x": 2000, "y": -3000, "z": 4000},
        "hoverinfo": "skip",
    }
