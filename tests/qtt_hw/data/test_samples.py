import numpy as np
import pytest

from qtt_hw.data.samples import Samples, Splits, held_out, holdout, sample_digests


def volumes(count: int, classes: int = 4, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, size=(count, 3, 4, 5, 1), dtype=np.uint8)
    return Samples(x, np.arange(count, dtype=np.int64) % classes)


@pytest.mark.parametrize(
    "x, y, message",
    [
        (np.zeros((2, 3, 3, 3), np.uint8), np.zeros(2, np.int64), "x must be uint8"),
        (np.zeros((2, 3, 3, 3, 1), np.int64), np.zeros(2, np.int64), "x must be uint8"),
        (np.zeros((2, 3, 3, 3, 1), np.uint8), np.zeros(2, np.int32), "y must be int64"),
        (np.zeros((2, 3, 3, 3, 1), np.uint8), np.zeros(3, np.int64), "x has 2 samples, y has 3"),
    ],
)
def test_refuses(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Samples(x, y)


def test_splits_refuse_classes_without_a_name() -> None:
    whole = volumes(8)
    with pytest.raises(ValueError, match="t: train samples of classes 0 to 3, 3 are named"):
        Splits(whole, whole, whole, ("a", "b", "c"), "t")
    shifted = Samples(whole.x, whole.y - 1)
    with pytest.raises(ValueError, match="t: validation samples of classes -1 to 2, 4 are named"):
        Splits(whole, shifted, whole, tuple("abcd"), "t")
    with pytest.raises(ValueError, match="t: test samples of classes -1 to 2, 4 are named"):
        Splits(whole, whole, shifted, tuple("abcd"), "t").check_classes("test")


def test_digest_sees_samples_labels_and_shape() -> None:
    a = volumes(8)
    other = Samples(a.x, a.y[::-1].copy())
    reshaped = Samples(a.x.reshape(8, 4, 3, 5, 1), a.y)
    assert a.digest == volumes(8).digest
    assert len({a.digest, volumes(8, seed=1).digest, other.digest, reshaped.digest}) == 4


def test_holdout_is_stratified_and_complete() -> None:
    samples = volumes(400)
    kept, held = holdout(samples, 0.1, 0)
    assert np.bincount(held.y).tolist() == [10, 10, 10, 10]
    assert sorted(sample_digests(kept.x) + sample_digests(held.x)) == sorted(sample_digests(samples.x))


def test_holdout_depends_on_bytes_not_on_order() -> None:
    samples = volumes(200)
    order = np.random.default_rng(3).permutation(200)
    _, held = holdout(samples, 0.1, 0)
    _, shuffled = holdout(samples.take(order), 0.1, 0)
    assert sorted(sample_digests(held.x)) == sorted(sample_digests(shuffled.x))
    assert sorted(sample_digests(held.x)) != sorted(sample_digests(holdout(samples, 0.1, 1)[1].x))
    assert sorted(sample_digests(held.x)) != sorted(sample_digests(holdout(samples, 0.1, 0, "test")[1].x))


def test_equal_volumes_stay_on_one_side_even_with_other_labels() -> None:
    base = volumes(100)
    repeated = Samples(np.concatenate([base.x, base.x[:60]]), np.concatenate([base.y, (base.y[:60] + 1) % 4]))
    kept, held = holdout(repeated, 0.2, 0)
    assert len(held) > 0
    assert not set(sample_digests(kept.x)) & set(sample_digests(held.x))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 0, 20, -1])
def test_holdout_refuses_the_share(share: float | int) -> None:
    with pytest.raises(ValueError, match="validation must be a share above 0 and below 1, or a number of the 20 sampl"):
        holdout(volumes(20), share, 0)


def test_a_number_is_held_out_in_all_and_apportioned_by_largest_remainders() -> None:
    samples = volumes(1000)
    uneven = samples.take(np.flatnonzero((samples.y != 1) | (np.arange(1000) < 300)))
    assert np.bincount(uneven.y).tolist() == [250, 75, 250, 250]
    # 83 of 825: 25.15, 7.55, 25.15, 25.15.
    assert np.bincount(holdout(uneven, 83, 0)[1].y).tolist() == [25, 8, 25, 25]
    # 84: 25.45, 7.64, 25.45, 25.45; of equal remainders the lowest class is first.
    assert np.bincount(holdout(uneven, 84, 0)[1].y).tolist() == [26, 8, 25, 25]
    assert np.array_equal(held_out(samples, 100, 3), held_out(samples, 0.1, 3))


def test_holdout_refuses_too_few() -> None:
    with pytest.raises(ValueError, match="too few to hold validation out"):
        holdout(volumes(4), 0.5, 0)


def test_unseen_leaves_out_what_stands_in_training_or_validation() -> None:
    fresh, train, held = volumes(6, seed=1), volumes(6, seed=2), volumes(6, seed=3)
    x = np.concatenate([train.x[:1], fresh.x[:2], held.x[:1]])
    splits = Splits(train, held, Samples(x, np.arange(4)), ("a", "b", "c", "d"), "t")
    assert splits.unseen.tolist() == [False, True, True, False]
    assert splits.test_unseen.y.tolist() == [1, 2]
    assert splits["validation"] is held
    with pytest.raises(ValueError, match="split 'dev' is not known"):
        splits["dev"]


def test_groups_are_held_out_whole_and_by_their_names() -> None:
    samples = volumes(200)
    groups = [f"object {n // 8} of {n % 4}" for n in range(200)]  # of one class each, two samples
    held = held_out(samples, 0.2, 0, groups=groups)
    assert not {g for g, h in zip(groups, held, strict=True) if h} & {
        g for g, h in zip(groups, held, strict=True) if not h
    }
    assert np.bincount(samples.y[held]).tolist() == [10, 10, 10, 10]
    other = Samples(255 - samples.x, samples.y)  # the same objects, converted otherwise
    assert np.array_equal(held_out(other, 0.2, 0, groups=groups), held)
    assert not np.array_equal(held_out(samples, 0.2, 1, groups=groups), held)
    assert [len(part) for part in holdout(samples, 0.2, 0, groups=groups)] == [160, 40]


def test_groups_across_classes_are_a_share_of_the_set() -> None:
    samples = volumes(200)
    groups = [f"scene {n // 20}" for n in range(200)]  # five of each class
    held = held_out(samples, 0.2, 0, groups=groups)
    assert len({g for g, h in zip(groups, held, strict=True) if h}) == 2 and held.sum() == 40
    assert np.bincount(samples.y[held]).tolist() == [10, 10, 10, 10]
    # Also where each scene has another class in front.
    shifted = Samples(samples.x, np.where(np.arange(200) % 20 < 8, np.arange(200) // 20 % 4, samples.y))
    assert held_out(shifted, 0.1, 0, groups=groups).sum() == 20


def test_a_few_groups_across_classes_leave_the_rest_stratified() -> None:
    samples = volumes(400)
    groups = [f"object {n}" if n >= 8 else "empty" for n in range(400)]
    held = held_out(samples, 0.1, 0, groups=groups)
    assert held[:8].sum() in (0, 8) and np.abs(np.bincount(samples.y[held]) - 10).max() <= 1


def test_the_smallest_group_is_held_out_where_all_are_too_large() -> None:
    samples = volumes(90, classes=1)
    groups = ["a"] * 40 + ["b"] * 20 + ["c"] * 30
    assert np.flatnonzero(held_out(samples, 0.1, 0, groups=groups)).tolist() == list(range(40, 60))
    with pytest.raises(ValueError, match="90 samples in 1 groups are too few to hold test out"):
        held_out(samples, 0.1, 0, "test", groups=["a"] * 90)
