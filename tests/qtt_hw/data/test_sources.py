import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.data import load, summarise
from qtt_hw.data.modelnet10 import FILE
from qtt_hw.data.sources import _split_options, own_validation

RNG = np.random.default_rng(0)
X = RNG.integers(0, 2, size=(60, 4, 4, 4), dtype=np.uint8)
Y = np.arange(60) % 3


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_npz_with_test_set_and_labels(tmp_path: Path) -> None:
    path = save(tmp_path / "shapes.npz", x=X, y=Y, x_test=X[:5], y_test=Y[:5], labels=np.array(["a", "b", "c"]))
    splits = load(path)
    assert splits.labels == ("a", "b", "c") and splits.name == "shapes"
    assert len(splits.train) + len(splits.validation) == 60
    assert np.array_equal(splits.test.x, X[:5, ..., None]) and splits.test.y.tolist() == Y[:5].tolist()


def test_npz_without_test_set_holds_a_tenth_out(tmp_path: Path) -> None:
    splits = load(save(tmp_path / "s.npz", x=X, y=Y))
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [48, 6, 6]


def test_npz_with_class_names_and_whole_floats(tmp_path: Path) -> None:
    splits = load(save(tmp_path / "s.npz", x=X.astype(np.float32), y=np.array(["b", "a", "c"])[Y]))
    assert splits.labels == ("a", "b", "c") and splits.train.x.dtype == np.uint8


def test_planes_become_single_plane_volumes(tmp_path: Path) -> None:
    assert load(save(tmp_path / "s.npz", x=X[:, 0], y=Y)).train.sample_shape == (1, 4, 4, 1)


NAN = X.astype(np.float32)
NAN[3, 0, 1, 2] = np.nan


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"x": X}, "has no y; expected x and y"),
        ({"data": X, "y": Y}, "has no x; expected x and y"),
        ({"x": X, "y": Y[:-1]}, "y: 59 labels for 60 samples"),
        ({"x": NAN, "y": Y}, r"x: holds NaN or infinity, first at \[3, 0, 1, 2\]"),
        ({"x": X / 2, "y": Y}, "x: float64 values from 0 to 0.5, expected whole numbers 0 to 255"),
        ({"x": X.astype(int) - 1, "y": Y}, "x: int64 values from -1 to 0, expected whole numbers 0 to 255"),
        ({"x": X.astype(complex), "y": Y}, "x: holds complex128, expected uint8 or bool"),
        ({"x": X[0, 0, 0], "y": Y}, r"x: shape \[4\], expected \[N, D, H, W, C\]"),
        ({"x": X, "y": Y[:, None, None]}, r"y: shape \[60, 1, 1\], expected \[N\]"),
        ({"x": X, "y": np.eye(3)[Y]}, r"y: shape \[60, 3\], one-hot; expected one class index a sample"),
        ({"x": X, "y": np.ones((60, 14), int)}, r"y: shape \[60, 14\], several labels a sample"),
        ({"x": X, "y": np.where(Y == 2, 5, Y)}, "y: classes 0, 1, 5 up to 5, but none is 2: number them from 0"),
        ({"x": X, "y": np.where(Y == 2, 2**62, Y)}, f"y: classes 0, 1, {2**62} up to {2**62}, but none is 2"),
        ({"x": X, "y": Y.astype(np.uint64) + np.uint64(2**63)}, f"y: classes {2**63}, .*, but none is 0"),
        ({"x": X, "y": Y + 1}, "y: classes 1, 2, 3 up to 3, but none is 0"),
        ({"x": X, "y": 0 * Y}, "all its samples are of one class, 0: there is nothing to tell apart"),
        ({"x": X, "y": np.array(["a"] * 60)}, "all its samples are of one class, a"),
        ({"x": X, "y": Y, "labels": np.array(["a", "b", "a"])}, "labels: names the class 'a' twice"),
        ({"x": X, "y": 0 * Y, "labels": np.array(["a"])}, "labels: 1 class, expected two or more"),
        ({"x": X, "y": Y, "labels": np.float64([1, 2, 3])}, r"labels: float64 \[3\], expected the names"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "y_test: classes 1 to 3, expected 0 to 2"),
        ({"x": X, "y": Y, "x_train": X}, "holds both x and x_train"),
        ({"x": X, "y": Y, "y_val": Y}, "has y_val alone: samples and labels come together"),
        ({"train_images": X[:, 0], "y": Y, "train_labels": Y}, "holds both y and train_labels"),
        ({"x": (X / 255).astype(np.float32), "y": Y}, r"expected whole numbers 0 to 255; scale it back"),
        ({"x": X[:, :0], "y": Y}, r"x: shape \[60, 0, 4, 4\]"),
        ({"x": X, "y": Y.astype(float)}, "y: holds float64, expected integers"),
        ({"x": X, "y": Y - 1}, "y: classes -1 to 1"),
        ({"x": X, "y": Y, "labels": np.array(["a", "b"])}, "y: classes 0 to 2, expected 0 to 1"),
        (
            {"x": X, "y": Y, "x_test": X},
            "has x_test alone: samples and labels come together",
        ),
        ({"x": X, "y": Y, "x_test": X[:, 1:], "y_test": Y}, r"x_test has samples of \[3, 4, 4\], x of \[4, 4, 4\]"),
        ({"x": X, "y": np.array([None] * 60)}, "not a readable npz file of plain arrays"),
    ],
)
def test_npz_errors_are_one_line_with_the_file(tmp_path: Path, arrays: dict, message: str) -> None:
    path = save(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_damaged_npz(tmp_path: Path) -> None:
    path = save(tmp_path / "cut.npz", x=X, y=Y)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"cut.npz: not a readable npz file"):
        load(path)


def write_classes(folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    for index, (volume, label) in enumerate(zip(x, y, strict=True)):
        target = folder / "abc"[label] / f"{index:03}.npy"
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, volume)


def test_class_folders(tmp_path: Path) -> None:
    write_classes(tmp_path, X, Y)
    splits = load(tmp_path)
    assert splits.labels == ("a", "b", "c") and splits.train.sample_shape == (4, 4, 4, 1)
    assert sum(len(splits[s]) for s in ("train", "validation", "test")) == 60


def test_class_folders_with_train_and_test(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", X, Y)
    write_classes(tmp_path / "test", X[:3], Y[:3])
    splits = load(tmp_path)
    assert np.array_equal(splits.test.x[..., 0], X[:3])
    (tmp_path / "test" / "c").rename(tmp_path / "test" / "d")
    with pytest.raises(ValueError, match=r"test/d: a class that .*train does not have"):
        load(tmp_path)


def test_class_folder_errors_name_the_file(tmp_path: Path) -> None:
    write_classes(tmp_path, X, Y)
    np.save(tmp_path / "c" / "999.npy", X[0, :3])
    with pytest.raises(ValueError, match=r"c/999.npy: shape \[3, 4, 4\], the first volume has \[4, 4, 4\]"):
        load(tmp_path)
    (tmp_path / "c" / "999.npy").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"c/999.npy: not a readable .npy file"):
        load(tmp_path)


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^mnits: no such file or folder; .*; did you mean mnist\?$"):
        load("mnits")
    with pytest.raises(ValueError, match=r"nowhere: no such file or folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=f"{tmp_path}: expected {FILE}, or class folders"):
        load(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"a.txt: expected a folder, an .npz file"):
        load(tmp_path / "a.txt")


MODULE = """
import numpy as np
X = np.arange(60 * 64).reshape(60, 4, 4, 4) % 251
Y = np.arange(60) % 3
class Dataset:
    def __init__(self):
        self.x, self.y = X, Y
def pair():
    return X, Y
def mapping():
    return {"x": X, "y": Y, "labels": ["p", "q", "r"]}
def three():
    return X, Y, X
def needs(path):
    return X, Y
number = 3
"""


def test_python_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MODULE)
    for name in ("Dataset", "pair", "mapping"):
        assert len(load(f"{path}:{name}").train) == 48
    assert load(f"{path}:mapping").labels == ("p", "q", "r")
    for name, message in {
        "three": "returned 3 arrays",
        "needs": "it asks for path",
        "number": "has no class or function number",
        "absent": "has no class or function absent",
    }.items():
        with pytest.raises(ValueError, match=message):
            load(f"{path}:{name}")
    path.write_text("import nothing_of_that_name")
    with pytest.raises(ValueError, match=r"mine.py:1: ModuleNotFoundError"):
        load(f"{path}:Dataset")
    with pytest.raises(ValueError, match=r"other.py: no such file"):
        load(f"{tmp_path}/other.py:Dataset")


def pack(x: np.ndarray) -> np.ndarray:
    return np.packbits(x.reshape(len(x), -1), axis=1)


def test_modelnet10_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.integers(0, 2, size=(80, 5, 5, 5), dtype=np.uint8)  # 125 bits: the last byte is partly padding
    y = (np.arange(80) % 4).astype(np.uint8)
    arrays = {
        "X_train": pack(x[:60]),
        "y_train": y[:60],
        "X_test": pack(x[40:]),
        "y_test": y[40:],
        "shape": np.array([5, 5, 5], np.int32),
        "classes": np.array(list("abcd")),
    }
    folder = tmp_path / "modelnet10"
    folder.mkdir()
    save(folder / FILE, **arrays)
    monkeypatch.setenv("QTT_DATA", str(tmp_path))
    splits = load("modelnet10")
    assert splits.name == "modelnet10" and splits.labels == ("a", "b", "c", "d")
    assert np.array_equal(splits.test.x[..., 0], x[40:])
    assert splits.unseen.tolist() == [False] * 20 + [True] * 20
    assert np.array_equal(load(folder).train.x, splits.train.x)
    save(folder / FILE, **{**arrays, "y_train": y[:59]})
    with pytest.raises(ValueError, match="X_train has 60 samples, y_train has 59"):
        load(folder)
    save(folder / FILE, **{**arrays, "y_test": y[40:] + 1})
    with pytest.raises(ValueError, match="y_test: classes 1 to 4, expected 0 to 3"):
        load(folder)
    save(folder / FILE, **{**arrays, "shape": np.array([2**32, 2**32, 1])})
    with pytest.raises(ValueError, match="X_train is uint8 .* expected packed"):
        load(folder)
    save(folder / FILE, **{**arrays, "X_test": x[40:]})
    with pytest.raises(ValueError, match="X_test is uint8 .* expected packed"):
        load(folder)
    del arrays["classes"]
    save(folder / FILE, **arrays)
    with pytest.raises(ValueError, match="has no classes"):
        load(folder)
    (folder / FILE).write_bytes(b"PK junk")
    with pytest.raises(ValueError, match="not a readable npz file"):
        load(folder)
    monkeypatch.delenv("QTT_DATA")
    with pytest.raises(ValueError, match="set QTT_DATA"):
        load("modelnet10")


def test_solids_options() -> None:
    splits = load("solids:8", per_class=20, classes=3)
    assert splits.train.sample_shape == (8, 8, 8, 1) and splits.labels == ("box", "sphere", "cone")
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [54, 6, 30]
    for source, options, message in (
        ("solids:x", {}, "expected solids or solids:EDGE"),
        ("solids", {"size": 3}, "solids: size: is not known"),
        ("solids", {"edge": "8"}, "solids: edge: Input should be a valid integer, got '8'"),
        ("solids", {"edge": 2}, "edge of 4 voxels at least"),
        ("solids", {"classes": 1}, "classes must be 2 to 8"),
        ("solids", {"per_class": 1}, "per_class must be 4 at least"),
        ("modelnet10", {"edge": 2}, "takes no option edge"),
    ):
        with pytest.raises(ValueError, match=message):
            load(source, **options)


def test_options_behind_commas(tmp_path: Path) -> None:
    splits = load("solids,edge=8,per_class=20,classes=3")
    assert splits.train.digest == load("solids:8", per_class=20, classes=3).train.digest
    assert load("solids,edge=8,per_class=20", per_class=40).test.x.shape[0] == 120
    with pytest.raises(ValueError, match="solids: edge: Input should be a valid integer, got 'large'"):
        load("solids,edge=large")
    for text, value in (("3", 3), ("0.5", 0.5), ("true", True), ("false", False), ("spread", "spread"), ("1e2", 100.0)):
        found = _split_options(f"some/folder,a_b={text}")
        assert found == ("some/folder", {"a_b": value}) and type(found[1]["a_b"]) is type(value)
    # A file of that very name comes first, and a comma in a path is no option.
    path = save(tmp_path / "x,edge=3.npz", x=X, y=Y)
    assert load(path).name == "x,edge=3"
    with pytest.raises(ValueError, match=r"a,b.npz: no such file"):
        load(tmp_path / "a,b.npz")
    with pytest.raises(ValueError, match=r"s.npz: edge: is not known; known are axes"):
        load(f"{save(tmp_path / 's.npz', x=X, y=Y)},edge=3")


def test_an_unknown_folder_lists_the_layouts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=".") as error:
        load(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}: expected ") and "\n" not in message
    for part in (FILE, ".npy", "CLASS/train/*.off", "CLASS/30/train/*.mat", "v_CLASS_gNN_cNN.avi", "clips.csv"):
        assert part in message


@pytest.mark.parametrize(
    "module, file, message",
    [
        ("scipy.io", "a/30/train/a_1.mat", "reading .mat volumes needs scipy"),
        ("av", "a/v_a_g01_c01.avi", "reading videos needs av"),
        ("cv2", "a/v_a_g01_c01.avi", "optical flow needs cv2"),
    ],
)
def test_missing_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, file: str, message: str
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("content")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"^{message}: pip install 'qtt-hw\[data\]'$"):
        load(tmp_path, **({"flow": True} if module == "cv2" else {}))


MEDICAL = RNG.integers(0, 256, size=(40, 9, 9, 3), dtype=np.uint8)


def medmnist(path: Path, images: np.ndarray, **more: np.ndarray) -> Path:
    """As MedMNIST's files are: images of three parts, labels [N, 1]."""
    labels = (np.arange(40) % 2).astype(np.uint8)[:, None]
    parts = {"train": slice(0, 24), "val": slice(24, 32), "test": slice(32, 40)}
    arrays = {f"{name}_images": images[part] for name, part in parts.items()}
    return save(path, **arrays, **{f"{name}_labels": labels[part] for name, part in parts.items()}, **more)


@pytest.mark.parametrize(
    "images, shape, axes",
    [
        (MEDICAL, (1, 9, 9, 3), "N, H, W, C"),
        (MEDICAL[..., 0], (1, 9, 9, 1), "N, H, W"),
        (MEDICAL[..., :1].repeat(9, axis=3), (9, 9, 9, 1), "N, D, H, W"),
    ],
)
def test_medmnist_with_its_official_split(tmp_path: Path, images: np.ndarray, shape: tuple, axes: str) -> None:
    path = medmnist(tmp_path / "m.npz", images)
    splits = load(path)
    assert splits.train.sample_shape == shape and splits.labels == ("0", "1")
    for name, part in (("train", images[:24]), ("validation", images[24:32]), ("test", images[32:])):
        assert np.array_equal(splits[name].x.reshape(part.shape), part) and splits[name].y.tolist()[:3] == [0, 1, 0]
    assert splits.held_out == () and splits.validation_from == "official" == own_validation(path)
    assert axes in str(summarise(splits))


def test_an_official_validation_set_and_a_share_exclude_each_other(tmp_path: Path) -> None:
    path = save(tmp_path / "s.npz", x=X, y=Y, x_val=X[:9], y_val=Y[:9])
    splits = load(path)
    assert np.array_equal(splits.validation.x[..., 0], X[:9]) and len(splits.train) == 54 and len(splits.test) == 6
    assert splits.held_out == ("test",)
    assert load(path, validation="official").validation.digest == splits.validation.digest
    with pytest.raises(ValueError, match="s.npz: has its own validation samples: leave validation = 0.1 out"):
        load(path, validation=0.1)
    other = save(tmp_path / "t.npz", x=X, y=Y)
    with pytest.raises(ValueError, match="t.npz: has no validation samples of its own"):
        load(other, validation="official")
    assert own_validation(other) == 0.1 == load(other).validation_from


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "s.npz", x=X, y=Y, x_mean=X[0], ids=Y)
    assert "note: not read: x_mean, ids" in str(summarise(load(path)))


def test_one_column_bytes_and_bools_as_labels(tmp_path: Path) -> None:
    assert (
        load(save(tmp_path / "c.npz", x=X, y=Y[:, None])).train.digest
        == load(save(tmp_path / "d.npz", x=X, y=Y)).train.digest
    )
    names = load(save(tmp_path / "b.npz", x=X, y=np.array([b"b", b"a", b"c"])[Y], labels=np.array([b"c", b"b", b"a"])))
    assert names.labels == ("c", "b", "a")
    assert load(save(tmp_path / "t.npz", x=X, y=Y > 0)).labels == ("0", "1")


def test_axes_are_given_where_sizes_leave_a_doubt(tmp_path: Path) -> None:
    first = X[:, None, :, :, :].repeat(3, axis=3)  # [N, 1, 4, 12, 4]
    path = save(tmp_path / "s.npz", x=first, y=Y)
    doubt = r"s.npz: x: samples of \[1, 4, 12, 4\] may be N, C, D, H, W or N, D, H, W, C: say which .*s.npz,axes=NCDHW"
    with pytest.raises(ValueError, match=doubt):
        load(path)
    splits = load(f"{path},axes=NCDHW")
    assert np.array_equal(np.sort(splits.train.x[..., 0].ravel()), np.sort(load(path, axes="cdhw").train.x.ravel()))
    assert splits.train.sample_shape == (4, 12, 4, 1)
    own = save(tmp_path / "own.npz", x=first, y=Y, axes="NCDHW")
    assert load(own).train.digest == splits.train.digest
    with pytest.raises(ValueError, match="says itself that its axes are NCDHW, the option says NDHWC"):
        load(own, axes="NDHWC")
    with pytest.raises(ValueError, match="axes 'NCDH': expected N, then H and W"):
        load(path, axes="NCDH")
    with pytest.raises(ValueError, match="has not the axes N, H, W, C"):
        load(path, axes="NHWC")


def test_an_npz_of_zeros_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zeros.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as out,
    ):
        np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": (1200, 1024, 1024)})
        for _ in range(1200):
            out.write(bytes(1 << 20))
    with pytest.raises(ValueError, match=r"zeros.npz: \d+ bytes would unpack to 1.2 GiB, more than 250 times as much"):
        load(path)


def test_class_folders_with_validation_samples(tmp_path: Path) -> None:
    for part, chosen in (("train", slice(0, 40)), ("val", slice(40, 50)), ("test", slice(50, 60))):
        write_classes(tmp_path / part, X[chosen], Y[chosen])
    splits = load(tmp_path)
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [40, 10, 10] and splits.held_out == ()
    assert own_validation(tmp_path) == "official"
    (tmp_path / "dev").mkdir()
    (tmp_path / "train" / "a" / "notes.txt").write_text("x")
    assert load(tmp_path).notes == ("not read: dev/", "not read: 1 files in the class folders that are no .npy")
    (tmp_path / "validation").mkdir()
    with pytest.raises(ValueError, match="validation: validation samples stand in val/ too"):
        load(tmp_path)


def test_class_folders_of_channels_first_volumes(tmp_path: Path) -> None:
    write_classes(tmp_path, X[:, None].repeat(2, axis=1), Y)
    with pytest.raises(ValueError, match=r"000.npy: samples of \[2, 4, 4, 4\] may be N, C, D, H, W"):
        load(tmp_path)
    assert load(f"{tmp_path},axes=CDHW").train.sample_shape == (4, 4, 4, 2)


def test_a_npy_header_that_states_too_much(tmp_path: Path) -> None:
    write_classes(tmp_path, X, Y)
    with (tmp_path / "a" / "000.npy").open("wb") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": (10**6,) * 3})
    with pytest.raises(ValueError, match=r"a/000.npy: not a readable .npy file"):
        load(tmp_path)


def test_python_sources_bring_their_validation_samples(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        MODULE
        + """
class Whole(Dataset):
    x_val, y_val, helper = X[:12], Y[:12], 3
def fails():
    raise OSError("no disk")
"""
    )
    splits = load(f"{path}:Whole")
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [54, 12, 6] and splits.notes == ()
    assert own_validation(f"{path}:Whole") == "official" and own_validation(f"{path}:Dataset") == 0.1
    with pytest.raises(ValueError, match=r"mine.py:\d+: fails: OSError: no disk"):
        load(f"{path}:fails")


def test_solids_that_would_take_gigabytes_are_refused() -> None:
    for options, message in (
        ({"edge": 10**9}, "solids: edge: Input should be less than or equal to 128"),
        ({"edge": 128, "per_class": 100_000}, "take 1757.8 GiB; expected at most 4"),
        ({"per_class": 10**12}, "per_class: Input should be less than or equal to 100000"),
    ):
        with pytest.raises(ValueError, match=message):
            load("solids", **options)
