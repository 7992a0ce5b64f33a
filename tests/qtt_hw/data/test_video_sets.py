import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.data import Samples, Splits, load
from qtt_hw.data.optical_flow import optical_flow
from qtt_hw.data.options import VideoOptions
from qtt_hw.data.video_sets import list_videos, load_videos

needs_data = pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")
SMALL = {"frames": 4, "height": 24, "width": 64}

Writer = Callable[..., Path]


def bright(clip: np.ndarray) -> list[int]:
    """The number of bright columns of every frame [D, H, W, 3]."""
    return [int(n) for n in (clip[:, clip.shape[1] // 2, :, 1] > 120).sum(axis=1)]


def sizes(splits: Splits) -> list[int]:
    return [len(splits[name]) for name in ("train", "validation", "test")]


def starts(samples: Samples) -> list[int]:
    """The number of bright columns of every clip's first frame."""
    return [bright(clip)[0] for clip in samples.x]


@pytest.fixture(scope="module")
def ucf50(tmp_path_factory: pytest.TempPathFactory, write_video: Writer) -> Path:
    """Two classes, five groups of two clips; the bar begins at 4 * group, so that a clip tells its group."""
    root = tmp_path_factory.mktemp("ucf") / "UCF50"
    for label in ("Biking", "Diving"):
        for group in range(1, 6):
            for clip in (1, 2):
                name = f"v_{label}_g{group:02}_c{clip:02}.avi"
                write_video(root / label / name, 4, offset=10 * group + (label == "Diving") + 2 * clip)
    return root


@pytest.fixture
def ucf11(tmp_path: Path, write_video: Writer) -> Path:
    root = tmp_path / "UCF11"
    for label in ("diving", "tennis"):
        for group in range(1, 5):
            for clip in (1, 2):
                inner = f"v_{label}_{group:02}"
                write_video(root / label / inner / f"{inner}_{clip:02}.avi", 14, offset=group)
        write_video(root / label / "Annotation" / f"v_{label}_01_01.avi", 5)
        (root / label / "Annotation" / "v_01.xgtf").write_text("<viper/>")
    return root


def test_ucf50_groups_stay_together(ucf50: Path) -> None:
    splits = load(ucf50, validation=0.3, test=0.2, **SMALL)
    assert splits.labels == ("Biking", "Diving") and splits.train.sample_shape == (4, 24, 64, 3)
    groups = [{(start - 2) // 10 for start in starts(splits[name])} for name in ("train", "validation", "test")]
    assert sum(map(len, groups)) == 5 and groups[0] | groups[1] | groups[2] == {1, 2, 3, 4, 5}
    assert sizes(splits) == [4 * len(found) for found in groups] == [12, 4, 4]


def test_a_fold_of_ucf_is_a_group(ucf50: Path) -> None:
    splits = load(ucf50, fold=3, validation=0.3, **SMALL)
    assert {(start - 2) // 10 for start in starts(splits.test)} == {3} and len(splits.test) == 4
    with pytest.raises(ValueError, match=f"^{ucf50}: has no fold 9: 1, 2, 3, 4, 5$"):
        load(ucf50, fold=9, **SMALL)


def test_ucf11_layout(ucf11: Path) -> None:
    videos = list_videos(ucf11)
    assert len(videos) == 16 and {video.group for video in videos} == {"g1", "g2", "g3", "g4"}
    assert [video.fold for video in videos[:3]] == [1, 1, 2] and videos[8].label == "tennis"
    splits = load(ucf11, validation=0.3, fold=2, **SMALL)
    assert sizes(splits) == [8, 4, 4] and splits.labels == ("diving", "tennis")
    # 14 frames have 11 places for a clip of 4: the middle one begins at frame 5.
    assert starts(splits.test) == [2 + 5 + 1] * 4


def test_training_clips_are_drawn_by_seed_and_name(ucf11: Path) -> None:
    def drawn(seed: int = 0, clips: int = 1) -> list[int]:
        return starts(load(ucf11, validation=0.3, fold=2, seed=seed, clips_per_video=clips, **SMALL).train)

    assert drawn() == drawn() and len(set(drawn())) > 2
    three = drawn(clips=3)
    assert len(three) == 24 and three[::3] == drawn()
    first, other = (load_videos(ucf11, VideoOptions(**SMALL), seed) for seed in (0, 1))
    assert np.array_equal(first.samples.x, other.samples.x)
    assert first.training is not None and not np.array_equal(first.training, other.training)


def test_spread_clips_are_the_same_in_training(ucf11: Path) -> None:
    splits = load(ucf11, validation=0.3, fold=2, sampling="spread", clips_per_video=3, **SMALL)
    assert sizes(splits) == [8, 4, 4]
    assert {tuple(np.diff(bright(clip))) for clip in splits.train.x} == {(4, 5, 4)}


def test_short_videos(ucf11: Path, write_video: Writer) -> None:
    path = write_video(ucf11 / "tennis" / "v_tennis_01" / "v_tennis_01_03.avi", 3, offset=1)
    splits = load(ucf11, validation=0.3, fold=1, **SMALL)
    assert [bright(clip) for clip in splits.test.x][-1] == [2, 3, 4, 4]
    message = f'^{path}: has 3 frames, the clip wants 4; or set short = "repeat"$'
    for corrupt in ("refuse", "skip"):
        with pytest.raises(ValueError, match=message):
            load(ucf11, short="refuse", corrupt=corrupt, **SMALL)


def test_corrupt_videos(ucf11: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ucf11 / "tennis" / "v_tennis_02" / "v_tennis_02_01.avi"
    path.write_bytes(b"RIFF" + bytes(3000))
    with pytest.raises(ValueError, match=f"^{path}: not a readable video: Invalid data"):
        load(ucf11, **SMALL)
    path.with_name("v_tennis_02_02.avi").write_bytes(b"")
    splits = load(ucf11, validation=0.3, fold=2, corrupt="skip", **SMALL)
    assert sizes(splits) == [8, 4, 2] and splits.test.y.tolist() == [0, 0]
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and f"skipped 2 of 16 files: {path}: not a" in err and "02_02.avi: is empty" in err


def test_flow_in_place_of_colours(ucf50: Path) -> None:
    plain = load(ucf50, fold=1, **SMALL)
    # The same videos are held out, so that the two can be put together.
    splits = load(ucf50, fold=1, flow=True, flow_scale=20.0, **SMALL)
    assert all(
        np.array_equal(splits[name].x, np.stack([optical_flow(clip, 20.0) for clip in plain[name].x]))
        for name in ("train", "validation")
    )
    assert splits.train.sample_shape == (4, 24, 64, 2)
    assert np.array_equal(splits.test.x, np.stack([optical_flow(clip, 20.0) for clip in plain.test.x]))
    other = load(ucf50, fold=1, flow=True, **SMALL)
    motion = [np.median(x[:, 6:-6, 30:-6, 0]) - 128 for x in np.concatenate([splits.test.x, other.test.x])]
    assert motion == pytest.approx([20] * 4 + [32] * 4, abs=5)  # one pixel a frame, to the right


@pytest.fixture
def flat(tmp_path: Path, write_video: Writer) -> Path:
    """clips.csv above a folder of CLASS_SERIAL.avi; serial n is in fold n // 2."""
    rows = []
    for label in ("left", "right", "other"):
        for serial in range(6):
            name = f"{label}_{serial}.avi"
            write_video(tmp_path / "avi" / name, 4, offset=5 * serial)
            rows.append(
                {"file": name, "class": label, "serial": serial, "fold": "" if label == "other" else serial // 2}
            )
    with (tmp_path / "clips.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["file", "class", "serial", "fold"])
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "avi"


def test_a_flat_folder_with_a_table(flat: Path) -> None:
    splits = load(flat, fold=1, validation=0.3, **SMALL)
    assert splits.labels == ("left", "right") and splits.test.y.tolist() == [0, 0, 1, 1]
    assert starts(splits.test) == [11, 16, 11, 16]  # serials 2 and 3
    seen = [{(start - 1) // 5 for start in starts(splits[name])} for name in ("train", "validation")]
    assert not seen[0] & seen[1] and seen[0] | seen[1] == {0, 1, 4, 5} and sizes(splits) == [6, 2, 4]
    assert sum(sizes(load(flat, **SMALL))) == 12
    (flat.parent / "clips.csv").rename(flat / "clips.csv")
    assert load(flat, fold=1, validation=0.3, **SMALL).test.digest == splits.test.digest


def test_a_flat_folder_by_its_names(flat: Path, write_video: Writer) -> None:
    (flat.parent / "clips.csv").unlink()
    splits = load(flat, **SMALL)
    assert splits.labels == ("left", "other", "right") and sum(sizes(splits)) == 18
    with pytest.raises(ValueError, match=f"^{flat}: has no fold 0: it has no folds$"):
        load(flat, fold=0, **SMALL)
    write_video(flat / "noname.avi", 4)
    with pytest.raises(ValueError, match=r"noname.avi: expected CLASS_SERIAL, v_CLASS_gNN_cNN, or a clips.csv"):
        load(flat)


@pytest.mark.parametrize(
    "table, message",
    [
        ("", "clips.csv: expected rows with the columns file and class"),
        ("name,class\na.avi,left\n", "clips.csv: expected rows with the columns file and class"),
        ("file,class,fold\nleft_0.avi,left,x\n", "clips.csv: line 2: fold 'x', expected a number from 0"),
        ("file,class\nleft_9.avi,left\n", "left_9.avi: is listed in .*clips.csv, but there is no such file"),
        ("file,class\nleft_0.avi,\xff\n", "clips.csv: not a readable table"),
    ],
)
def test_wrong_tables(flat: Path, table: str, message: str) -> None:
    (flat.parent / "clips.csv").write_text(table, encoding="latin-1")
    with pytest.raises(ValueError, match=message) as error:
        load(flat)
    assert "\n" not in str(error.value)


@needs_data
def test_real_ucf101_files(tmp_path: Path) -> None:
    """Two real clips stand for two groups each of their classes."""
    source = Path(os.environ["QTT_DATA"]) / "video_samples"
    for path in source.glob("*.avi"):
        label = path.name.split("_")[1]
        for group in ("g01", "g02", "g03"):
            target = tmp_path / "UCF101" / label / path.name.replace("g01", group)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    videos = list_videos(tmp_path / "UCF101")
    assert [(v.label, v.group) for v in videos[:2]] == [("ApplyEyeMakeup", "g1"), ("ApplyEyeMakeup", "g2")]
    splits = load(tmp_path / "UCF101", fold=3, validation=0.5)
    assert sizes(splits) == [2, 2, 2] and splits.train.sample_shape == (50, 30, 40, 3)
    assert splits.test.y.tolist() == [0, 1] and not np.array_equal(*splits.test.x)


@needs_data
def test_real_gestures() -> None:
    folder = Path(os.environ["QTT_DATA"]) / "egogestar"
    videos = list_videos(folder / "avi160x120")
    assert len(videos) == 217 and len({video.label for video in videos}) == 10
    assert [sum(video.fold == fold for video in videos) for fold in range(5)] == [60, 40, 40, 37, 40]
    with pytest.raises(ValueError, match=r"originals/carret_1.avi: is listed in .*clips.csv"):
        load(folder / "originals")
