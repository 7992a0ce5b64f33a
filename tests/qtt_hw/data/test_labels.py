"""Labels as class indices; what they must not be is tested through whole sources."""

import numpy as np
import pytest

from qtt_hw.data.labels import class_indices, class_names, names_in


def test_objects_that_are_strings() -> None:
    labels = np.array(["b", b"a", "b"], dtype=object)
    assert names_in(labels) == ("a", "b") and class_indices(labels, 3, None, "y").tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="y: holds object, expected integers from 0, or class names"):
        class_indices(np.array(["a", None], dtype=object), 2, None, "y")
    with pytest.raises(ValueError, match="y: class 'c' is not one of a, b"):
        class_indices(np.array(["a", "c"]), 2, ("a", "b"), "y")


def test_named_classes_may_be_without_samples() -> None:
    assert class_indices([0, 4], 2, tuple("abcde"), "y").tolist() == [0, 4]


def test_numbers_as_names() -> None:
    assert class_names(np.array([3, 1]), "labels") == ("3", "1")
    with pytest.raises(ValueError, match="labels: names the class '3' twice"):
        class_names([3, 3], "labels")


@pytest.mark.parametrize("labels", [[0, 2**62], [2**62, 2**62], [0, 2**40]])
def test_huge_labels_are_refused_without_building_anything(labels: list) -> None:
    with pytest.raises(ValueError, match="number them from 0"):
        class_indices(labels, 2, None, "y")
