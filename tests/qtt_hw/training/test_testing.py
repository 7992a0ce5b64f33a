import numpy as np
from torch import nn

from qtt_hw.data import Samples, Splits
from qtt_hw.data.rotations import rotate
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.training.testing import float_accuracy, voted_accuracy


def test_whole_and_unseen() -> None:
    x = np.eye(4, dtype=np.uint8).reshape(4, 1, 1, 4, 1)
    train = Samples(x[:1], np.array([0]))
    test = Samples(x, np.array([0, 1, 2, 0]))
    splits = Splits(train, Samples(x[1:2], np.array([1])), test, tuple("abcd"), "t")
    spec = input_spec((1, 1, 4, 1))
    assert float_accuracy(nn.Flatten(), splits, spec) == (0.75, 0.5)
    fresh = Splits(Samples(1 - x[:1], np.array([0])), Samples(1 - x[1:2], np.array([1])), test, tuple("abcd"), "t")
    assert float_accuracy(nn.Flatten(), fresh, spec) == (0.75, None)


def test_rotations_vote() -> None:
    """Of two objects one is seen in its own pose alone, where its logit is large; the other wins most rotations."""
    x = np.zeros((2, 4, 4, 1, 1), dtype=np.uint8)
    x[0, 0, 1] = x[1, 0, 0] = 1
    poses = [rotate(x, k).reshape(2, -1) for k in range(12)]

    def run(volumes: np.ndarray) -> np.ndarray:
        flat = volumes.reshape(2, -1)
        own = (flat == poses[0]).all(axis=1)
        return np.stack([np.where(own, 5.0, 0.0), np.full(2, 1.0)], axis=1)

    assert (run(x).argmax(axis=1) == 0).all()
    samples = Samples(x, np.array([1, 1]))
    assert voted_accuracy(run, samples) == 1.0
