import numpy as np
from torch import nn

from qtt_hw.data import Samples, Splits
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.training.testing import float_accuracy


def test_whole_and_unseen() -> None:
    x = np.eye(4, dtype=np.uint8).reshape(4, 1, 1, 4, 1)
    train = Samples(x[:1], np.array([0]))
    test = Samples(x, np.array([0, 1, 2, 0]))
    splits = Splits(train, Samples(x[1:2], np.array([1])), test, tuple("abcd"), "t")
    spec = input_spec((1, 1, 4, 1))
    assert float_accuracy(nn.Flatten(), splits, spec) == (0.75, 0.5)
    fresh = Splits(Samples(1 - x[:1], np.array([0])), Samples(1 - x[1:2], np.array([1])), test, tuple("abcd"), "t")
    assert float_accuracy(nn.Flatten(), fresh, spec) == (0.75, None)
