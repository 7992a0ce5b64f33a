import os
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.data import load
from qtt_hw.data.egogestar import FILE
from qtt_hw.data.optical_flow import optical_flow
from qtt_hw.data.samples import sample_digests
from qtt_hw.data.video import choose_frames, count_frames, read_frames

needs_data = pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")
RNG = np.random.default_rng(0)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    serial = np.arange(40) % 10
    return {
        "X": RNG.integers(0, 256, size=(40, 3, 16, 16, 3), dtype=np.uint8),
        "y": (np.arange(40) // 10).astype(np.uint8),
        "serial": serial.astype(np.uint8),
        "fold": (serial // 2).astype(np.uint8),
        "classes": np.array(["a", "b", "c", "d"]),
    }


def test_folds_and_serials(tmp_path: Path, arrays: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "egogestar").mkdir()
    np.savez(tmp_path / "egogestar" / FILE, **arrays)
    monkeypatch.setenv("QTT_DATA", str(tmp_path))
    splits = load("egogestar", fold=4)
    assert splits.name == "egogestar" and splits.labels == ("a", "b", "c", "d")
    assert np.array_equal(splits.test.x, arrays["X"][arrays["fold"] == 4]) and len(splits.test) == 8
    serials = dict(zip(sample_digests(arrays["X"]), arrays["serial"].tolist(), strict=True))
    seen = [{serials[digest] for digest in sample_digests(splits[name].x)} for name in ("train", "validation")]
    assert [len(found) for found in seen] == [7, 1] and not seen[0] & seen[1]
    assert load("egogestar,fold=4").test.digest == splits.test.digest
    flow = load(tmp_path / "egogestar", fold=4, flow=True)
    assert np.array_equal(flow.test.x[0], optical_flow(splits.test.x[0], 32.0))
    assert sum(len(load("egogestar")[name]) for name in ("train", "validation", "test")) == 40
    with pytest.raises(ValueError, match="egogestar: frames: is not known; known are fold, flow, flow_scale"):
        load("egogestar", frames=3)
    with pytest.raises(ValueError, match=f"{FILE}: has no fold 5: 0, 1, 2, 3, 4"):
        load("egogestar", fold=5)


def test_wrong_files(tmp_path: Path, arrays: dict) -> None:
    for change, message in (
        ({"X": arrays["X"][:, 0]}, r"X is uint8 \[40, 16, 16, 3\], expected uint8 \[N, D, H, W, 3\]"),
        ({"serial": arrays["serial"][:5]}, "expected uint8"),
        ({"y": arrays["y"] + 1}, "y: classes 1 to 4, expected 0 to 3"),
        ({"y": arrays["y"] / 2}, "y: holds float64, expected integers from 0"),
    ):
        np.savez(tmp_path / FILE, **{**arrays, **change})
        with pytest.raises(ValueError, match=message):
            load(tmp_path)
    del arrays["fold"]
    np.savez(tmp_path / FILE, **arrays)
    with pytest.raises(ValueError, match="has no fold; expected X, y, serial, fold and classes"):
        load(tmp_path)


@needs_data
def test_the_npz_holds_the_clips_that_the_videos_give() -> None:
    """Its frames come from the originals, so they differ by the coding, and by no frame or pixel."""
    folder = Path(os.environ["QTT_DATA"]) / "egogestar"
    splits = load("egogestar", fold=1)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [159, 18, 40]
    with np.load(folder / FILE) as archive:
        x, names = archive["X"], archive["names"].tolist()
    for name in ("carret_7", "star_7", "up_7"):
        avi, original = folder / "avi160x120" / f"{name}.avi", folder / "originals" / f"testvideo_{name}.mp4"
        stored = x[names.index(name)].astype(int)
        for path in (original, avi):
            count = count_frames(path)
            wanted = choose_frames(count, 16, "spread", lambda _: 0)
            clip = read_frames(path, wanted, 48, 64)
            other = read_frames(path, (wanted + 1) % count, 48, 64)
            assert np.abs(clip - stored).mean() < min(4, np.abs(other - stored).mean() / 2), path
