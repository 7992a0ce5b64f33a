"""Folders of videos: UCF11, UCF50, UCF101, and flat ones with a clips.csv, as clips of bytes."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.collection import Collection
from qtt_hw.data.optical_flow import optical_flow
from qtt_hw.data.options import VideoOptions, require
from qtt_hw.data.prepare import prepare
from qtt_hw.data.samples import Samples
from qtt_hw.data.video import choose_frames, count_frames, random_start, read_frames

__all__ = ["SUFFIXES", "Video", "fold_mask", "has_videos", "list_videos", "load_videos"]

SUFFIXES = (".avi", ".mpg", ".mpeg", ".mp4", ".mov", ".mkv", ".webm")

#: UCF50 and UCF101: v_CLASS_gNN_cNN; UCF11: v_CLASS_GG_NN, where GG is the group.
_UCF = re.compile(r"v_(?P<label>.+)_(?:g(?P<group>\d+)_c\d+|(?P<number>\d+)_\d+)")


@dataclass(frozen=True)
class Video:
    """A file, its class, what it must not be parted from in a split, and its fold where the set has folds."""

    path: Path
    label: str
    group: str
    fold: int | None


def has_videos(folder: Path) -> bool:
    """Whether the folder holds videos, or class folders that do."""
    return any(_videos(folder, "*")) or any(_videos(folder, "*/*")) or any(_videos(folder, "*/*/*"))


def _videos(folder: Path, pattern: str) -> Iterable[Path]:
    """Video files, without the Annotation folders of UCF11 and without hidden files."""
    for path in sorted(folder.glob(pattern)):
        inner = path.relative_to(folder).parts
        if path.suffix.lower() in SUFFIXES and "Annotation" not in inner and not any(p.startswith(".") for p in inner):
            yield path


def list_videos(folder: Path) -> list[Video]:
    """The videos of a folder, by class and name.

    A flat folder is described by a clips.csv in it or beside it (columns file and class, optionally serial and fold;
    rows without a fold, where others have one, are left out), or by its names CLASS_SERIAL or as in UCF. Videos of one
    serial share their scene: they are one group. Otherwise videos lie in CLASS/ (UCF50, UCF101) or
    CLASS/v_CLASS_GG/ (UCF11). There a group gNN is the same number in every class, and is also the fold, as the sets'
    authors evaluate them: leaving one group out.

    Raises
    ------
    ValueError
        One line that names the file.
    """
    flat = list(_videos(folder, "*"))
    if flat:
        table = next((path for path in (folder / "clips.csv", folder.parent / "clips.csv") if path.is_file()), None)
        found = _from_table(folder, table) if table else [_from_name(path) for path in flat]
    else:
        nested = sorted([*_videos(folder, "*/*"), *_videos(folder, "*/*/*")])
        found = [_from_folder(folder, path) for path in nested]
    return sorted(found, key=lambda video: (video.label, str(video.path)))


def _from_folder(folder: Path, path: Path) -> Video:
    label = path.relative_to(folder).parts[0]
    match = _UCF.fullmatch(path.stem)
    if match is None:
        return Video(path, label, path.relative_to(folder).as_posix(), None)
    number = int(match["group"] or match["number"])
    return Video(path, label, f"g{number}", number)


def _from_name(path: Path) -> Video:
    match = _UCF.fullmatch(path.stem)
    if match is not None:
        number = int(match["group"] or match["number"])
        return Video(path, match["label"], f"g{number}", number)
    label, _, serial = path.stem.rpartition("_")
    if not label or not serial.isdecimal():
        raise ValueError(f"{path}: expected CLASS_SERIAL, v_CLASS_gNN_cNN, or a clips.csv with columns file and class")
    return Video(path, label, serial, None)


def _from_table(folder: Path, table: Path) -> list[Video]:
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{table}: not a readable table: {' '.join(str(error).split())}") from None
    for column in ("file", "class"):
        if not rows or any(not row.get(column) for row in rows):
            raise ValueError(f"{table}: expected rows with the columns file and class, optionally serial and fold")
    folds = any(row.get("fold") for row in rows)
    videos = []
    for line, row in enumerate(rows, start=2):
        fold = row.get("fold") or None
        if folds and fold is None:
            continue
        if fold is not None and not fold.isdecimal():
            raise ValueError(f"{table}: line {line}: fold {fold!r}, expected a number from 0")
        path = folder / row["file"]
        if not path.is_file():
            raise ValueError(f"{path}: is listed in {table}, but there is no such file")
        videos.append(Video(path, row["class"], row.get("serial") or row["file"], None if fold is None else int(fold)))
    return videos


def fold_mask(folds: list[int | None], fold: int | None, where: str) -> NDArray[np.bool_] | None:
    """Which samples are the test set, of the fold of each: None where no fold was asked for."""
    if fold is None:
        return None
    known = sorted({number for number in folds if number is not None})
    if fold not in known:
        listed = ", ".join(map(str, known)) if known else "it has no folds"
        raise ValueError(f"{where}: has no fold {fold}: {listed}")
    return np.array([number == fold for number in folds], dtype=bool)


def load_videos(folder: Path, options: VideoOptions, seed: int) -> Collection:
    """Clips uint8 [N, frames, height, width, 3] in RGB, or of 2 channels of optical flow.

    Validation and test read one clip a video, its middle. Training reads `clips_per_video` others, whose starts
    depend on the seed, the video's path in the folder and the clip's number alone; they are drawn once and stay the
    same in every epoch. With `sampling = "spread"` all of them are the same frames, so there is one clip a video.

    Parameters
    ----------
    folder : Path
    options : VideoOptions
    seed : int
        Of the starts of the training clips.

    Raises
    ------
    ValueError
        One line that names the file; with `short = "refuse"` also of a video with fewer frames than the clip.
    """
    require("av", "reading videos")
    if options.flow:
        require("cv2", "optical flow")
    videos = list_videos(folder)
    labels = tuple(sorted({video.label for video in videos}))
    # Row 0 is what is tested on, the others are what is trained on.
    drawn = 0 if options.sampling == "spread" else options.clips_per_video
    channels = 2 if options.flow else 3
    kept_options = options.model_dump(exclude={"fold", "corrupt"})
    prepared = prepare(
        folder,
        [video.path for video in videos],
        (1 + drawn, options.frames, options.height, options.width, channels),
        {"kind": "video", "reader": 2, **kept_options, "seed": seed},
        lambda path: _clips(path, path.relative_to(folder).as_posix(), options, seed, drawn),
        corrupt=options.corrupt,
    )
    chosen = [videos[row] for row in prepared.kept]
    y = np.array([labels.index(video.label) for video in chosen], dtype=np.int64)
    return Collection(
        Samples(prepared.rows[:, 0], y),
        tuple(video.group for video in chosen),
        labels,
        fold_mask([video.fold for video in chosen], options.fold, str(folder)),
        training=prepared.rows[:, 1:] if drawn else None,
        read=f"{len(chosen)} videos as {'optical flow' if options.flow else 'RGB'} of {options.frames} frames",
    )


def _clips(path: Path, name: str, options: VideoOptions, seed: int, drawn: int) -> NDArray[np.uint8]:
    count = count_frames(path)
    if count < options.frames and options.short == "refuse":
        raise ValueError(f'{path}: has {count} frames, the clip wants {options.frames}; or set short = "repeat"')
    starts: list[Callable[[int], int]] = [lambda places: (places - 1) // 2]
    starts += [random_start(name, seed, number) for number in range(drawn)]
    wanted = np.stack([choose_frames(count, options.frames, options.sampling, start) for start in starts])
    frames = read_frames(path, wanted.reshape(-1), options.height, options.width)
    clips = frames.reshape(len(starts), options.frames, *frames.shape[1:])
    if options.flow:
        return np.stack([optical_flow(clip, options.flow_scale) for clip in clips])
    return clips
