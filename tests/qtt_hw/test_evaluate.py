import numpy as np
import pytest

from qtt_hw.data import Samples, Splits
from qtt_hw.evaluate import accuracy, evaluate, predictions
from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.ir.graph import Contraction, Graph, Window, as_integers
from qtt_hw.ir.preprocess import input_spec

SPEC = input_spec((1, 1, 4, 1), 2)


def graph() -> Graph:
    """Logits are the four values of a sample, which space to depth has split in two positions of two channels."""
    window = Window((1, 1, 2))
    weight = np.zeros((4, 1, 1, 2, 4), np.int64)
    for i in range(4):
        weight[i, 0, 0, i // 2, i % 2] = 1
    node = Contraction(
        "c", ("input",), "c", window, as_integers(weight), Format(2, True, 0, True), Requantizer(Format(2, True, 0), 0)
    )
    return Graph("g", SPEC, (node,), tuple("abcd"))


X = np.eye(4, dtype=np.uint8).reshape(4, 1, 1, 4, 1)
TEST = Samples(np.concatenate([X, 0 * X[:1], 0 * X[:1]]), np.array([0, 1, 2, 0, 0, 3]))


def test_predictions_take_the_lowest_of_equal_logits() -> None:
    told: list[int] = []
    assert predictions(graph(), TEST.x, batch=4, progress=told.append).tolist() == [0, 1, 2, 3, 0, 0]
    assert told == [4, 6]
    assert accuracy(graph(), TEST) == accuracy(graph(), TEST, SPEC) == 4 / 6
    with pytest.raises(ValueError, match="g: takes .* the samples were given with"):
        accuracy(graph(), TEST, input_spec((1, 1, 4, 1)))


def test_evaluate_with_and_without_seen_volumes() -> None:
    train, held = Samples(X[:1], np.array([0])), Samples(X[1:2], np.array([1]))
    splits = Splits(train, held, TEST, tuple("abcd"), "t")
    found = evaluate(graph(), splits)
    assert (found.accuracy, found.samples, found.accuracy_unseen, found.samples_unseen) == (4 / 6, 6, 2 / 4, 4)
    assert found.weight_bytes == graph().weight_bytes
    on_validation = evaluate(graph(), splits, "validation")
    assert (on_validation.accuracy, on_validation.samples, on_validation.accuracy_unseen) == (1.0, 1, None)
    fresh = Splits(Samples(1 - X, np.arange(4)), held.take(np.array([], dtype=int)), TEST, tuple("abcd"), "t")
    assert evaluate(graph(), fresh).accuracy_unseen is None


def test_other_classes_are_refused() -> None:
    splits = Splits(TEST, TEST, TEST, tuple("abce"), "t")
    with pytest.raises(ValueError, match="t: its classes are a, b, c, e; g knows a, b, c, d"):
        evaluate(graph(), splits)
