import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from qtt_hw.data import Splits, load
from qtt_hw.data.rotations import rotate
from qtt_hw.data.samples import sample_digests
from qtt_hw.data.shapes import read_mat
from qtt_hw.data.sources import own_validation
from qtt_hw.data.voxelize import read_off, voxelize

needs_data = pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")


def box(x: float, y: float, z: float, glued: bool) -> str:
    corners = [(a, b, c) for a in (0, x) for b in (0, y) for c in (0, z)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    lines = [" ".join(map(str, corner)) for corner in corners] + ["4 " + " ".join(map(str, face)) for face in faces]
    return ("OFF8 6 0\n" if glued else "OFF\n8 6 0\n") + "\n".join(lines) + "\n"


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """Ten training and two test boxes of each of two classes: upright and lying."""
    root = tmp_path / "ModelNet2"
    for part, numbers in (("train", range(1, 11)), ("test", range(11, 13))):
        for label in ("lying", "upright"):
            (root / label / part).mkdir(parents=True)
            for n in numbers:
                size = (8, n / 3, 2) if label == "lying" else (2, n / 3, 8)
                (root / label / part / f"{label}_{n:04}.off").write_text(box(*size, glued=n % 2 == 0))
    (root / "README.txt").write_text("a data set")
    (root / "lying" / "train" / "._hidden.off").write_text("a copy's shadow")
    return root


def sizes(splits: Splits) -> list[int]:
    return [len(splits[name]) for name in ("train", "validation", "test")]


def test_modelnet_layout(meshes: Path) -> None:
    splits = load(meshes, edge=12, padding=1)
    assert sizes(splits) == [18, 2, 4] and splits.labels == ("lying", "upright") and splits.name == "ModelNet2"
    assert splits.train.sample_shape == (12, 12, 12, 1) and int(splits.train.x.max()) == 1
    tall = np.ptp(np.argwhere(splits.test.x[3, ..., 0]), axis=0)
    assert splits.test.y.tolist() == [0, 0, 1, 1] and tall.tolist()[2] == 9 and tall[0] < 5  # z is up, along W
    first = voxelize(read_off(meshes / "lying" / "test" / "lying_0011.off"), 12, 1)
    assert np.array_equal(splits.test.x[0, ..., 0], first)
    assert load(meshes).train.sample_shape == (30, 30, 30, 1)


def test_twelve_rotations_of_meshes(meshes: Path) -> None:
    plain, splits = load(meshes, edge=12), load(meshes, edge=12, rotations=12)
    assert sizes(splits) == [12 * n for n in sizes(plain)]
    for name in ("train", "validation", "test"):
        assert np.array_equal(splits[name].x[::12], plain[name].x)
        assert np.array_equal(splits[name].x[4::12], rotate(plain[name].x, 4))


def test_meshes_without_a_test_set(meshes: Path) -> None:
    for label in ("lying", "upright"):
        shutil.rmtree(meshes / label / "test")
    assert sizes(load(meshes, test=0.2)) == [14, 2, 4]


def test_mesh_errors(meshes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = meshes / "lying" / "train" / "lying_0003.off"
    bad.write_text("OFF8 6 0\n0 0 0\n")
    with pytest.raises(ValueError, match=f"^{bad}: ends after 1 of the 14 lines"):
        load(meshes)
    bad.write_text("")
    with pytest.raises(ValueError, match=f"^{bad}: is empty$"):
        load(meshes)
    bad.write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match=f"^{bad}: not an .off mesh"):
        load(meshes)
    assert sizes(load(meshes, corrupt="skip")) == [17, 2, 4]
    assert capsys.readouterr().err.count(str(bad)) == 1
    with pytest.raises(ValueError, match="padding 6 on both sides leaves nothing of edge 12"):
        load(meshes, edge=12, padding=6)
    with pytest.raises(ValueError, match=f"^{meshes}: frames: is not known; known are edge"):
        load(meshes, frames=3)
    (meshes / "sofa" / "test").mkdir(parents=True)
    (meshes / "sofa" / "test" / "sofa_1.off").write_text(box(1, 1, 1, True))
    with pytest.raises(ValueError, match=r"sofa: a class with test files, but no train/\*.off"):
        load(meshes)


@needs_data
def test_real_meshes(tmp_path: Path) -> None:
    source = Path(os.environ["QTT_DATA"]) / "modelnet10" / "off_samples"
    for path in source.glob("*.off"):
        label, _, number = path.stem.rpartition("_")
        for n in range(1 if label == "bathtub" else 4):  # a class needs several objects
            target = tmp_path / "set" / label / "train" / f"{label}_{number}{n}.off"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    splits = load(tmp_path / "set", validation=0.2, test=0.2)
    assert splits.labels == ("bathtub", "toilet") and sum(sizes(splits)) == 9
    # Four copies of one mesh are one object: never on two sides.
    toilets = [set(sample_digests(splits[p].x[splits[p].y == 1])) for p in ("train", "validation", "test")]
    assert sorted(len(found) for found in toilets) == [0, 0, 1]


def volume(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((30, 30, 30)) < 0.1).astype(np.uint8)


@pytest.fixture
def mats(tmp_path: Path) -> Path:
    """Six training objects and one test object of each of two classes, in twelve files each."""
    root = tmp_path / "volumetric_data"
    for index, label in enumerate(("bed", "chair")):
        for part, numbers in (("train", range(6)), ("test", (6,))):
            folder = root / label / "30" / part
            folder.mkdir(parents=True)
            for n in numbers:
                for k in range(1, 13):
                    content = {"instance": volume(100 * n + 10000 * index + k)}
                    savemat(folder / f"{label}_{n:09}_{k}.mat", content, do_compression=True)
    return root


def test_shapenets_layout(mats: Path) -> None:
    splits = load(mats, rotations=12, validation=0.2)
    assert sizes(splits) == [120, 24, 24] and splits.labels == ("bed", "chair")
    assert np.array_equal(splits.test.x[9, ..., 0], volume(610)) and splits.test.y.tolist() == [0] * 12 + [1] * 12
    first = {volume(100 * n + 10000 * c + k).tobytes(): (c, n) for c in (0, 1) for n in range(6) for k in range(1, 13)}
    objects = [{first[x.tobytes()] for x in splits[part].x[..., 0]} for part in ("train", "validation")]
    assert not objects[0] & objects[1] and [len(found) for found in objects] == [10, 2]


def test_one_rotation_and_a_larger_edge_of_mats(mats: Path) -> None:
    splits = load(mats, edge=32, validation=0.2)
    assert sizes(splits) == [10, 2, 2] and splits.test.sample_shape == (32, 32, 32, 1)
    assert np.array_equal(splits.test.x[:, 1:-1, 1:-1, 1:-1, 0], np.stack([volume(601), volume(10601)]))
    assert splits.test.x.sum() == volume(601).sum() + volume(10601).sum()


def test_single_mats_are_rotated(mats: Path) -> None:
    for path in mats.rglob("*.mat"):
        if path.stem.endswith("_1"):
            path.rename(path.with_stem(path.stem.removesuffix("_1")))
        else:
            path.unlink()
    splits = load(mats, rotations=12, validation=0.2)
    assert sizes(splits) == [120, 24, 24]
    assert np.array_equal(splits.test.x[5:6], rotate(volume(601)[None, ..., None], 5))


def test_missing_rotations(mats: Path) -> None:
    (mats / "bed" / "30" / "train" / "bed_000000002_7.mat").unlink()
    with pytest.raises(ValueError, match=r"bed_000000002_\*.mat: 11 files of one object, expected 12 of every one"):
        load(mats)


@pytest.mark.parametrize(
    "content, message",
    [
        ({"voxels": np.zeros((30, 30, 30))}, "has no variable instance"),
        ({"instance": np.zeros((30, 30, 29))}, r"instance is float64 \[30, 30, 29\], expected numbers \[30, 30, 30\]"),
        ({"instance": np.full((30, 30, 30), 2)}, "holds other values than 0 and 1"),
        ({"instance": np.full((30, 30, 30), np.nan)}, "holds other values than 0 and 1"),
        ({"instance": np.full((30, 30, 30), "x", object)}, "instance is object"),
        ({"instance": {"a": 1}}, "expected numbers"),
        (b"MATLAB 7.3 MAT-file" + bytes(105) + b"\x00\x02IM" + bytes(400), "not a readable .mat file"),
        (b"junk" * 100, "not a readable .mat file"),
        (b"x", "not a readable .mat file"),
    ],
)
def test_wrong_mats(tmp_path: Path, content: dict | bytes, message: str) -> None:
    path = tmp_path / "a.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    with pytest.raises(ValueError, match=message) as error:
        read_mat(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_cut_mat_is_named(mats: Path) -> None:
    path = mats / "chair" / "30" / "train" / "chair_000000001_1.mat"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match=f"^{path}: not a readable .mat file"):
        load(mats)
    assert sum(sizes(load(mats, corrupt="skip"))) == 13


def test_official_validation_meshes(meshes: Path) -> None:
    for label in ("lying", "upright"):
        (meshes / label / "val").mkdir()
        for n in (1, 2):
            name = f"{label}_{n:04}.off"
            (meshes / label / "train" / name).rename(meshes / label / "val" / name)
    splits = load(meshes, edge=12)
    assert sizes(splits) == [16, 4, 4] and splits.held_out == () and own_validation(meshes) == "official"
    assert "24 meshes as voxels [12, 12, 12]" in splits.read
    with pytest.raises(ValueError, match="has its own validation samples: leave validation = 0.2 out"):
        load(meshes, edge=12, validation=0.2)


def test_a_mat_of_zeros_without_end_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"instance": np.zeros((300, 300, 300), np.uint8)}, do_compression=True)
    monkeypatch.setattr("scipy.io.loadmat", None)
    with pytest.raises(ValueError, match=r"a.mat: instance is \[300, 300, 300\], expected numbers \[30, 30, 30\]"):
        read_mat(path)
