"""Surfaces of voxel volumes: closed, outwards, as large as the voxels' own, and few."""

from __future__ import annotations

import numpy as np
import pytest

from qtt_hw.report.voxels import faces, mesh


def areas(quadrilaterals: np.ndarray) -> np.ndarray:
    """The outward area of each, as a vector."""
    a, b, _, d = np.moveaxis(quadrilaterals, 1, 0)
    return np.cross(b - a, d - a)


@pytest.mark.parametrize("seed", range(4))
def test_faces_are_those_between_a_voxel_and_emptiness(seed: int) -> None:
    volume = np.random.default_rng(seed).random((4, 5, 3)) < (0.2, 0.5, 0.9, 1.0)[seed]
    found = areas(faces(volume))
    padded = np.pad(volume, 1)
    for axis in range(3):
        borders = np.diff(padded.astype(int), axis=axis)
        assert found[found[:, axis] < 0, axis].sum() == -(borders == 1).sum()
        assert found[found[:, axis] > 0, axis].sum() == (borders == -1).sum()
        assert not np.delete(found[found[:, axis] != 0], axis, axis=1).any()
    # What a closed surface encloses, by the divergence theorem.
    middles = faces(volume).mean(axis=1)
    assert (middles * found).sum() / 3 == volume.sum()


def test_a_box_has_six_faces_and_a_mesh_their_corners() -> None:
    volume = np.zeros((6, 7, 8), np.uint8)
    volume[1:4, 2:6, 3:8] = 1
    assert len(faces(volume)) == 6
    drawn = mesh(volume, "red")
    assert len(drawn["x"]) == 8 and len(drawn["i"]) == 12
    assert (min(drawn["x"]), max(drawn["y"]), max(drawn["z"])) == (1, 6, 8)
    assert mesh(np.zeros((2, 2, 2)), "red")["x"] == []
