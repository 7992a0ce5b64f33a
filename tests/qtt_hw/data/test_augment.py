import hashlib

import numpy as np
import pytest

from qtt_hw.data.augment import Augmentation, augment, hash_words
from qtt_hw.data.rotations import rotate

X = np.random.default_rng(0).integers(0, 2, size=(200, 6, 6, 8, 2), dtype=np.uint8)
ALL = Augmentation((0.5, 0.5, 0.5), (2, 1, 3), "W")
EVERY = np.arange(200)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    whole = augment(X, ALL, 1, 2, EVERY)
    order = np.random.default_rng(1).permutation(200)
    pieces = np.concatenate([augment(X[part], ALL, 1, 2, part) for part in np.split(order, 8)])
    assert np.array_equal(pieces, whole[order])


def test_seed_and_epoch_change_the_draw() -> None:
    results = [augment(X, ALL, seed, epoch, EVERY).tobytes() for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert len(set(results)) == 4


def test_nothing_by_default() -> None:
    assert augment(X, Augmentation(), 0, 0, EVERY) is X


def test_certain_flips() -> None:
    assert np.array_equal(augment(X, Augmentation(flips=(1, 0, 1)), 0, 0, EVERY), X[:, ::-1, :, ::-1])


def test_flip_probability_and_every_shift_occur() -> None:
    marked = np.zeros((600, 5, 5, 5, 1), np.uint8)
    marked[:, 2, 2, 2] = 1
    marked[:, 2, 2, 1] = 2
    moved = augment(marked, Augmentation((0, 0, 0.25), (2, 0, 1)), 0, 0, np.arange(600))
    places = [tuple(int(v) for v in np.argwhere(m[..., 0] == 1)[0]) for m in moved]
    assert {d for d, _, _ in places} == {0, 1, 2, 3, 4} and {h for _, h, _ in places} == {2}
    assert {w for _, _, w in places} == {1, 2, 3}
    marks = [np.argwhere(m[..., 0] == 2) for m in moved]
    flipped = np.mean([len(mark) == 1 and mark[0][2] > place[2] for mark, place in zip(marks, places, strict=True)])
    assert 0.19 < flipped < 0.31


def test_shift_fills_with_zeros_even_beyond_the_volume() -> None:
    ones = np.ones((100, 3, 3, 3, 1), np.uint8)
    moved = augment(ones, Augmentation(shifts=(5, 0, 0)), 0, 0, np.arange(100))
    depths = {tuple(m[:, 0, 0, 0].tolist()) for m in moved}
    assert (0, 0, 0) in depths and (1, 1, 1) in depths and (0, 1, 1) in depths and (1, 0, 0) in depths


@pytest.mark.parametrize("axis, plane", [("D", (1, 2)), ("H", (2, 0)), ("W", (0, 1))])
def test_rotations_are_the_four_turns_about_the_axis(axis: str, plane: tuple[int, int]) -> None:
    cubes = X[:, :, :, :6]
    turned = augment(cubes, Augmentation(rotation=axis), 3, 0, EVERY)
    found = [
        next(k for k in range(4) if np.array_equal(np.rot90(c, k, plane), t))
        for c, t in zip(cubes, turned, strict=True)
    ]
    assert np.bincount(found, minlength=4).min() > 25


def test_an_oblong_plane_turns_by_half_only() -> None:
    turned = augment(X, Augmentation(rotation="D"), 0, 0, EVERY)
    halves = [np.array_equal(t, np.rot90(x, 2, (1, 2))) for x, t in zip(X, turned, strict=True)]
    assert all(h or np.array_equal(t, x) for h, t, x in zip(halves, turned, X, strict=True))
    assert 60 < sum(halves) < 140


def test_shifts_of_4_and_flips_are_the_standard_crop() -> None:
    """An image padded by 4 black pixels on each side, a random 32 x 32 of that, mirrored every second time.

    Each of the 81 crops, mirrored or not, is drawn about equally often.
    """
    image = np.random.default_rng(5).integers(1, 256, size=(1, 32, 32, 3), dtype=np.uint8)
    padded = np.pad(image[0], ((4, 4), (4, 4), (0, 0)))
    crops = [padded[top : top + 32, left : left + 32] for top in range(9) for left in range(9)]
    expected = [crop.tobytes() for pair in ((crop, crop[:, ::-1]) for crop in crops) for crop in pair]
    assert len(set(expected)) == 162
    count = 162 * 50
    standard = Augmentation(flips=(0, 0, 0.5), shifts=(0, 4, 4))
    drawn = augment(np.broadcast_to(image, (count, *image.shape)), standard, 0, 0, np.arange(count))
    found = np.array([expected.index(crop.tobytes()) for crop in drawn])
    # 161 degrees of freedom: below 222 in 99.9 % of the cases.
    assert ((np.bincount(found, minlength=162) - 50.0) ** 2 / 50.0).sum() < 222


def test_words_are_fixed() -> None:
    """Runs resume across versions only while these stay the same."""
    words = hash_words((1, 2), np.array([0, 3]), 2)
    assert words.tolist() == hash_words((1, 2), np.array([3, 0]), 2)[::-1].tolist()
    assert [hex(w) for w in words[:, 0]] == WORDS


WORDS = ["0x75693551cf81461c", "0x12588d809dce88a7"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"flips": (2, 0, 0)}, "flips must be probabilities"),
        ({"shifts": (0, -1, 0)}, "shifts must be 0 or more"),
        ({"rotation": "x"}, "rotation must be about D, H or W"),
    ],
)
def test_refuses(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)


def test_what_earlier_runs_drew_stays() -> None:
    # Words of later options come behind those of earlier ones.
    assert np.array_equal(hash_words((1, 2), EVERY, 7), hash_words((1, 2), EVERY, 10)[:, :7])
    assert hashlib.sha256(augment(X, ALL, 1, 2, EVERY).tobytes()).hexdigest()[:16] == "153bdf0994ea900e"


def test_twelve_turns_are_the_rotations_and_are_told() -> None:
    how = Augmentation(rotation="W", turns=12)
    turned, turns = augment(X, how, 3, 0, EVERY), how.turned(X.shape[1:], 3, 0, EVERY)
    assert np.bincount(turns, minlength=12).min() > 5
    for volume, k, found in zip(X, turns, turned, strict=True):
        assert np.array_equal(rotate(volume[None], int(k))[0], found)


@pytest.mark.parametrize("shape, known", [((200, 6, 6, 6, 1), {0, 1, 2, 3}), ((200, 6, 5, 6, 1), {0, 2})])
def test_right_angles_are_told(shape: tuple[int, ...], known: set[int]) -> None:
    x = np.random.default_rng(2).integers(0, 2, size=shape, dtype=np.uint8)
    how = Augmentation(rotation="W")
    turns = how.turned(shape[1:], 1, 1, EVERY)
    assert set(turns.tolist()) == known
    for volume, k, found in zip(x, turns, augment(x, how, 1, 1, EVERY), strict=True):
        assert np.array_equal(np.rot90(volume, int(k), (0, 1)), found)


def test_a_box_is_stretched_about_its_centre_by_at_most_its_share() -> None:
    box = np.zeros((300, 21, 21, 21, 1), np.uint8)
    box[:, 5:16, 5:16, 5:16] = 1
    found = augment(box, Augmentation(scales=(0.2, 0, 0)), 0, 0, np.arange(300))
    sizes = found[:, :, 10, 10, 0].sum(axis=1)
    assert (found.any(axis=(1, 3, 4)) == box.any(axis=(1, 3, 4))).all()
    assert set(sizes.tolist()) == {9, 11, 13}
    assert np.array_equal(found, found[:, ::-1])


def test_nothing_comes_round_from_beyond_the_volume() -> None:
    full = np.ones((50, 8, 8, 8, 1), np.uint8)
    found = augment(full, Augmentation(scales=(0, 0.5, 0)), 0, 0, np.arange(50))
    widths = found[:, 0, :, 0, 0].sum(axis=1)
    assert widths.min() < 8 and (found[widths < 8][:, 0, 0, 0, 0] == 0).all()
