"""What the line about a data set says, and what it warns of."""

import numpy as np

from qtt_hw.data import Samples, Splits, load, summarise


def samples(values: np.ndarray, y: list[int]) -> Samples:
    return Samples(values.astype(np.uint8).reshape(-1, 1, 2, 2, 1), np.array(y, dtype=np.int64))


def test_the_line_of_a_plain_set() -> None:
    found = summarise(load("solids,edge=8,classes=3,per_class=20"))
    assert str(found) == (
        "solids: generated in 8 voxels along each edge; samples D, H, W, C = 8, 8, 8, 1 of values 0 to 1; "
        "3 classes: box, sphere, cone; samples: 54 train, 6 validation (held out), 30 test"
    )
    assert (found.train, found.validation, found.test, found.held_out) == (54, 6, 30, ("validation",))


def test_what_may_be_wrong() -> None:
    train = samples(np.arange(12) % 2, [0, 1, 1])
    held = samples(np.array([0, 1, 0, 1, 7, 7, 7, 7]), [0, 2])
    test = samples(np.array([0, 1, 0, 1, 9, 9, 9, 9]), [0, 1])
    notes = summarise(Splits(train, held, test, ("a", "b", "c"), "t")).notes
    assert notes == (
        "no train sample of c",
        "no validation sample of b",
        "no test sample of c",
        "validation values reach 7, those of training 1",
        "test values reach 9, those of training 1",
        "1 of the validation samples also stand in training",
        "1 of the test samples also stand in training or validation",
    )
    zeros = Splits(samples(np.zeros(8), [0, 1]), held.take(np.array([0])), test, tuple("abc"), "t", notes=("mine",))
    assert summarise(zeros).notes[:2] == ("mine", "every value of the training samples is 0")


def test_of_many_classes_the_first_and_the_last_are_listed() -> None:
    labels = tuple(f"c{n}" for n in range(100))
    part = samples(np.arange(400) % 5, list(range(100)))
    assert "100 classes: c0, c1, c2, ..., c99;" in str(summarise(Splits(part, part, part, labels, "t")))
