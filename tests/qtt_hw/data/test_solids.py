import numpy as np
import pytest

from qtt_hw.data.solids import SOLIDS, _rotations, generate


@pytest.mark.parametrize("solid", SOLIDS)
@pytest.mark.parametrize("edge", [8, 15])
def test_volumes_are_bits_inside_the_grid(solid: str, edge: int) -> None:
    x = generate(solid, 12, edge, 0)
    assert x.shape == (12, edge, edge, edge, 1) and x.dtype == np.uint8 and set(np.unique(x)) == {0, 1}
    filled = x.reshape(12, -1).mean(axis=1)
    assert (filled > 0.01).all() and (filled < 0.6).all()


def test_seeded_and_different() -> None:
    a = generate("torus", 6, 12, 0)
    assert np.array_equal(a, generate("torus", 6, 12, 0))
    assert not np.array_equal(a, generate("torus", 6, 12, 1))
    assert len({volume.tobytes() for volume in a}) == 6


def test_rotations_are_orthogonal_and_of_every_kind() -> None:
    r = _rotations(50, 0.4, np.random.default_rng(0))
    assert abs(r @ r.transpose(0, 2, 1) - np.eye(3)).max() < 1e-12
    assert len({tuple(np.round(m).ravel()) for m in r}) > 10


def test_unknown_solid() -> None:
    with pytest.raises(ValueError, match="solid 'prism' is not known; known are"):
        generate("prism", 1, 8, 0)
