"""Odd arrays, labels and folders: what they mean is plain, or they are refused by name."""

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

from qtt_hw.data import load, summarise
from qtt_hw.data.arrays import from_mapping

X = np.random.default_rng(0).integers(0, 2, (60, 5, 5, 5)).astype(np.uint8)
Y = np.arange(60) % 3
Parts = namedtuple("Parts", "x y x_val y_val")


def test_bytes_that_are_no_utf_8_stay_apart() -> None:
    found = from_mapping({"x": X, "y": np.array([b"caf\xe9", b"caf\xe8", b"tea"])[Y]}, "l.npz")
    assert found.labels == ("caf\\xe8", "caf\\xe9", "tea") and found.train.y.tolist() == [(1, 0, 2)[k] for k in Y]


def test_a_named_tuple_is_read_by_its_names(tmp_path: Path) -> None:
    (tmp_path / "ds.py").write_text(
        "from collections import namedtuple\nimport numpy as np\n"
        "T = namedtuple('T', 'x y x_val y_val')\nrng = np.random.default_rng(0)\n"
        "x, y = rng.integers(0, 2, (60, 5, 5, 5)).astype('u1'), np.arange(60) % 3\n"
        "def D():\n    return T(x, y, 1 - x[:4], y[:4])\n"
        "M = {'x': x, 'y': y}\nL = lambda: [x, y]\n"
    )
    splits = load(f"{tmp_path / 'ds.py'}:D")
    assert len(splits.validation) == 4 and len(splits.test) == 6
    for name in "ML":
        assert len(load(f"{tmp_path / 'ds.py'}:{name}").train) == 48


@pytest.mark.parametrize(
    ("labels", "y", "expected"),
    [([1, 2, 3, 4], Y + 1, (0, 1, 2)), ([2, 0, 1], Y, (1, 2, 0)), (["a", "b", "c"], Y, (0, 1, 2))],
)
def test_names_that_are_numbers_are_what_labels_hold(labels: list, y: np.ndarray, expected: tuple) -> None:
    found = from_mapping({"x": X, "y": y, "labels": labels}, "n.npz")
    assert found.labels == tuple(map(str, labels)) and found.train.y.tolist() == [expected[k] for k in Y]
    y_val = np.array(found.labels)[found.train.y]
    both = {"x": X, "y": found.train.y, "labels": found.labels, "x_val": X, "y_val": y_val}
    again = from_mapping(both, "n.npz")
    assert again.validation is not None and np.array_equal(again.validation.y, found.train.y)


def test_a_number_that_is_no_class_s_name_is_refused() -> None:
    with pytest.raises(ValueError, match="^n.npz: y: class '0' is not one of 1, 2, 3$"):
        from_mapping({"x": X, "y": Y, "labels": [1, 2, 3]}, "n.npz")


def test_names_beside_numbers_are_refused() -> None:
    named = np.array(["cat", "dog", "ant"])[Y]
    for y, y_val, message in (
        (named, Y, "y_val holds numbers, y names"),
        (Y, named, "y_val holds names, y numbers"),
    ):
        with pytest.raises(ValueError, match=f"^n.npz: {message}: use one of them, or name the classes in labels$"):
            from_mapping({"x": X, "y": y, "x_val": X, "y_val": y_val}, "n.npz")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("x", torch.zeros(60, 5, 5, 5, requires_grad=True), "x: makes no array: Can't call numpy"),
        ("x", torch.zeros(60, 5, 5, 5, device="meta"), "x: makes no array: "),
        ("x", [[1, 2], [3]], "x: makes no array: setting an array element"),
        ("y", [[1, 2], [3]], "y: makes no array: setting an array element"),
        ("x", np.ma.masked_array(X, X > 5), "x: is a masked array; leave the samples"),
        ("x", X[:0], "x: holds no samples; leave it out"),
        ("labels", ["a", "b", " "], "labels: a class's name is empty"),
        ("labels", ["a", "b\nc", "d"], "labels: a class's name is empty, or holds what cannot be printed"),
    ],
)
def test_what_makes_no_samples_is_refused_with_its_key(key: str, value: object, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        from_mapping({"x": X, "y": Y, key: value}, "n.npz")
    assert str(refused.value).startswith(f"n.npz: {message}") and "\n" not in str(refused.value)


def test_keys_that_are_no_text_are_not_read() -> None:
    assert from_mapping({"x": X, "y": Y, 3: 4}, "n").notes == ("not read: 3",)
    assert from_mapping({"x": X[..., None], "y": Y, "axes": b"NDHWC"}, "n").train.x.shape == (60, 5, 5, 5, 1)


MESH = "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"


def test_mesh_folders_note_what_they_do_not_read(tmp_path: Path) -> None:
    for label, part, names in (
        ("chair", "train", ("a.off", "b.OFF", "c.off", "d.off")),
        ("lamp", "train", ("a.OFF", "b.OFF", "c.OFF", "d.OFF")),
        ("lamp", "Test", ("e.off",)),
        ("empty", "train", ()),
    ):
        (tmp_path / label / part).mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(names):
            (tmp_path / label / part / name).write_text(MESH.replace("0 0 1\n", f"0 0 {number + 1}\n", 1))
    splits = load(f"{tmp_path},edge=8,padding=0", validation=2, test=2)
    assert splits.labels == ("chair", "lamp") and len(splits.train) + 4 == 8
    assert splits.notes == ("not read: empty/ (no train/*.off), lamp/Test/",)


@pytest.mark.parametrize(("train", "test"), [(1, 255), (255, 1)])
def test_parts_of_other_ranges_are_noted_in_both_directions(tmp_path: Path, train: int, test: int) -> None:
    np.savez(tmp_path / "r.npz", x=X * train, y=Y, x_test=(1 - X[:9]) * test, y_test=Y[:9])
    notes = summarise(load(tmp_path / "r.npz")).notes
    assert f"test values reach {test}, those of training {train}" in notes


def test_bools_beside_bytes_in_a_folder_are_refused(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(6):
            volume = X[number] if label == "a" else X[number].astype(bool)
            np.save(tmp_path / label / f"{number}.npy", volume)
    with pytest.raises(ValueError, match=r"b/0\.npy: holds bool, .*a/0\.npy uint8: convert all to one of them$"):
        load(tmp_path)
