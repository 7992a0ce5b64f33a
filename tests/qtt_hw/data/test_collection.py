import numpy as np

from qtt_hw.data.collection import Collection
from qtt_hw.data.rotations import rotate
from qtt_hw.data.samples import Samples, sample_digests

RNG = np.random.default_rng(0)
N = 60
X = RNG.integers(0, 2, size=(N, 6, 6, 4, 1), dtype=np.uint8)
Y = np.arange(N, dtype=np.int64) % 3
GROUPS = tuple(f"{n % 3}-{n // 12}" for n in range(N))  # five groups of four in every class


def indices(samples: Samples) -> set[int]:
    known = {digest: n for n, digest in enumerate(sample_digests(X))}
    return {known[digest] for digest in sample_digests(samples.x)}


def test_groups_stay_together() -> None:
    parts = Collection(Samples(X, Y), GROUPS, ("a", "b", "c")).split(0.3, 0.2, 0)
    found = [indices(part) for part in parts]
    assert sorted(n for part in found for n in part) == list(range(N))
    groups = [{GROUPS[n] for n in part} for part in found]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert all(set(part.y.tolist()) == {0, 1, 2} for part in parts)
    other = Collection(Samples(X, Y), GROUPS, ("a", "b", "c")).split(0.3, 0.2, 1)
    assert indices(other[2]) != found[2]


def test_own_test_samples() -> None:
    test = np.arange(N) >= 36
    train, held, own = Collection(Samples(X, Y), GROUPS, ("a", "b", "c"), test).split(0.3, 0.2, 0)
    assert indices(own) == set(range(36, N)) and own.y.tolist() == Y[36:].tolist()
    assert indices(train) | indices(held) == set(range(36))


def test_training_reads_other_samples_of_the_same_files() -> None:
    training = np.stack([X + 10, X + 20], axis=1)
    collection = Collection(Samples(X, Y), GROUPS, ("a", "b", "c"), training=training)
    train, held, test = collection.split(0.3, 0.2, 0)
    plain = Collection(Samples(X, Y), GROUPS, ("a", "b", "c")).split(0.3, 0.2, 0)
    assert np.array_equal(held.x, plain[1].x) and np.array_equal(test.x, plain[2].x)
    assert np.array_equal(train.x[0::2], plain[0].x + 10) and np.array_equal(train.x[1::2], plain[0].x + 20)
    assert train.y.tolist() == plain[0].y.repeat(2).tolist()


def test_rotations_of_an_object_stay_together() -> None:
    parts = Collection(Samples(X, Y), tuple(map(str, range(N))), ("a", "b", "c"), rotated=True).split(0.2, 0.2, 0)
    assert sum(len(part) for part in parts) == 12 * N
    first = [indices(Samples(part.x[::12], part.y[::12])) for part in parts]
    assert sorted(n for part in first for n in part) == list(range(N))
    assert np.array_equal(parts[1].x[7:8], rotate(parts[1].x[:1], 7)) and set(parts[1].y[:12].tolist()) == {
        int(parts[1].y[0])
    }


def test_own_validation_samples() -> None:
    own = np.arange(N) % 6 == 1
    collection = Collection(Samples(X, Y), GROUPS, ("a", "b", "c"), validation=own)
    train, held, test = (indices(part) for part in collection.split(0.3, 0.2, 0))
    assert held == set(np.flatnonzero(own).tolist()) and not train & test and not held & test
    assert train | held | test == set(range(N)) and test
    both = Collection(Samples(X, Y), GROUPS, ("a", "b", "c"), test=np.arange(N) % 6 == 2, validation=own)
    assert [len(part) for part in both.split(0.3, 0.2, 0)] == [40, 10, 10]
