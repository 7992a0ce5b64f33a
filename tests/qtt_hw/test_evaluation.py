import numpy as np
import pytest

from qtt_hw.data import Samples, Splits
from qtt_hw.evaluation import accuracy, evaluate, evaluate_streams, predictions, samples_of
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Contraction, Graph
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window

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
    told: list[tuple[object, ...]] = []
    many = np.concatenate([TEST.x] * 7)
    assert predictions(graph(), many, progress=lambda *report: told.append(report)).tolist() == [0, 1, 2, 3, 0, 0] * 7
    assert told == [("eval", 32, 42), ("eval", 42, 42)]
    assert accuracy(graph(), TEST) == accuracy(graph(), TEST, SPEC) == 4 / 6
    with pytest.raises(ValueError, match="g: takes .* the samples were given with"):
        accuracy(graph(), TEST, input_spec((1, 1, 4, 1)))


def test_evaluate_with_and_without_seen_volumes() -> None:
    train, held = Samples(X[:1], np.array([0])), Samples(X[1:2], np.array([1]))
    splits = Splits(train, held, TEST, tuple("abcd"), "t")
    found = evaluate(graph(), splits)
    assert (found.accuracy, found.samples, found.accuracy_unseen, found.samples_unseen) == (4 / 6, 6, 2 / 4, 4)
    assert found.weight_bytes == graph().weight_bytes
    # Of class 0 two of three are right, of 1 and 2 all, of 3 none.
    assert found.accuracy_balanced == (2 / 3 + 1 + 1 + 0) / 4
    on_validation = evaluate(graph(), splits, "validation")
    assert (on_validation.accuracy, on_validation.samples, on_validation.accuracy_unseen) == (1.0, 1, None)
    fresh = Splits(Samples(1 - X, np.arange(4)), held.take(np.array([], dtype=int)), TEST, tuple("abcd"), "t")
    assert evaluate(graph(), fresh).accuracy_unseen is None


def test_other_classes_are_refused() -> None:
    splits = Splits(TEST, TEST, TEST, tuple("abce"), "t")
    with pytest.raises(ValueError, match="t: its classes are a, b, c, e; g knows a, b, c, d"):
        evaluate(graph(), splits)


def scaled(frac: int, order: tuple[int, ...]) -> Graph:
    """As `graph`, with the logits in another order and at another scale."""
    plain = graph().nodes[0]
    assert isinstance(plain, Contraction)
    requant = Requantizer(Format(4, True, frac), 0)
    node = Contraction("c", ("input",), "c", plain.window, plain.weight[list(order)], plain.weight_format, requant)
    return Graph(f"g{frac}", SPEC, (node,), tuple("abcd"))


def test_streams_are_averaged_on_the_finer_scale() -> None:
    splits = Splits(TEST, TEST, TEST, tuple("abcd"), "t")
    # The first one's logits of 1 are worth four of the second's, so that it decides wherever it says anything.
    first, second = scaled(0, (0, 1, 2, 3)), scaled(2, (3, 2, 1, 0))
    alone = evaluate(first, splits).accuracy
    told: list[tuple[object, ...]] = []
    found = evaluate_streams([first, second], [splits, splits], progress=lambda *report: told.append(report[:3]))
    assert told == [("eval", 6, 12), ("eval", 12, 12)]
    assert (found.accuracy, found.samples, found.model) == (alone, 6, "g0 + g2")
    assert found.weight_bytes == first.weight_bytes + second.weight_bytes
    turned = evaluate_streams([scaled(2, (0, 1, 2, 3)), scaled(0, (3, 2, 1, 0))], [splits, splits])
    assert turned.accuracy == evaluate(second, splits).accuracy != alone


def test_streams_of_other_samples_are_refused() -> None:
    splits = Splits(TEST, TEST, TEST, tuple("abcd"), "t")
    other = Splits(TEST, TEST, TEST.take(np.array([1, 0, 2, 3, 4, 5])), tuple("abcd"), "u")
    with pytest.raises(ValueError, match="u: its test samples are not those of t"):
        evaluate_streams([graph(), graph()], [splits, other])
    with pytest.raises(ValueError, match="2 models and 1 data sources"):
        evaluate_streams([graph(), graph()], [splits])


def test_classes_in_another_order_are_renumbered() -> None:
    splits = Splits(TEST, TEST, TEST, tuple("abcd"), "t")
    turned = Samples(TEST.x, 3 - TEST.y)
    found = samples_of(graph(), Splits(turned, turned, turned, tuple("dcba"), "u"), "test")
    assert found.labels == tuple("abcd") and found.test.y.tolist() == TEST.y.tolist()
    assert found.notes == ("its classes are numbered in the model's order",)
    assert (
        evaluate(graph(), Splits(turned, turned, turned, tuple("dcba"), "u")).accuracy
        == evaluate(graph(), splits).accuracy
    )
    with pytest.raises(ValueError, match="u: its classes are a, b, c, e; g knows a, b, c, d"):
        samples_of(graph(), Splits(TEST, TEST, TEST, tuple("abce"), "u"), "test")


def test_samples_that_are_none_or_out_of_range_are_refused() -> None:
    empty = TEST.take(np.array([], dtype=int))
    with pytest.raises(ValueError, match="t: has no test samples"):
        evaluate(graph(), Splits(TEST, TEST, empty, tuple("abcd"), "t"))
    with pytest.raises(ValueError, match="t: raw samples minus offset 0 span 0 to 255, the model's input takes 0 to 1"):
        evaluate(graph(), Splits(TEST, TEST, Samples(TEST.x * 255, TEST.y), tuple("abcd"), "t"))
    unnamed = Graph("g", SPEC, graph().nodes, ())
    assert evaluate(unnamed, Splits(TEST, TEST, TEST, tuple("abcd"), "t")).accuracy == 4 / 6
    with pytest.raises(ValueError, match="t: has 5 classes, g gives 4 logits"):
        evaluate(unnamed, Splits(TEST, TEST, TEST, tuple("abcde"), "t"))


def test_solids_are_generated_for_a_model_without_labels() -> None:
    shape = input_spec((16, 16, 16, 1))
    weight = np.zeros((6, 16, 16, 16, 1), np.int64)
    unlabelled = Contraction(
        *("c", ("input",), "c", Window((16, 16, 16)), as_integers(weight)),
        *(Format(2, True, 0, True), Requantizer(Format(2, True, 0), 0)),
    )
    splits = samples_of(Graph("g", shape, (unlabelled,), ()), "solids", "test")
    assert len(splits.labels) == 6 and splits.test.sample_shape == (16, 16, 16, 1)
