"""Clips of video files: which frames, resized by area, as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.options import require
from qtt_hw.data.prepare import Unusable

__all__ = ["choose_frames", "count_frames", "random_start", "read_frames", "resize"]


def _decode(path: Path) -> Iterator[Any]:
    """The frames of the file's first video stream, in the order shown."""
    av = require("av", "reading videos")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise Unusable(f"{path}: holds no video stream")
            yield from container.decode(video=0)
    except Unusable:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise Unusable(f"{path}: not a readable video: {reason}") from None


def count_frames(path: Path) -> int:
    """The number of frames that decode; what a container's header says of it is not relied on.

    Raises
    ------
    Unusable
        One line that names the file, where it is corrupt or holds no frame.
    """
    count = sum(1 for _ in _decode(path))
    if not count:
        raise Unusable(f"{path}: holds no frames")
    return count


def read_frames(path: Path, wanted: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
    """The wanted frames, each resized to uint8 [D, height, width, 3], RGB.

    Parameters
    ----------
    path : Path
    wanted : int64 array, [D]
        Indices of frames, from 0; an index may occur more than once.
    height, width : int
    """
    needed = set(wanted.tolist())
    last = max(needed)
    frames: dict[int, NDArray[np.uint8]] = {}
    stream = _decode(path)
    try:
        for index, frame in enumerate(stream):
            if index in needed:
                frames[index] = resize(frame.to_ndarray(format="rgb24"), height, width)
            if index == last:
                break
    finally:
        stream.close()  # type: ignore[attr-defined]  # a generator: closes the file
    return np.stack([frames[index] for index in wanted.tolist()])


def choose_frames(count: int, frames: int, sampling: str, start: Callable[[int], int]) -> NDArray[np.int64]:
    """The indices int64 [frames] of a clip in a video of `count` frames.

    Parameters
    ----------
    count, frames : int
    sampling : "consecutive" or "spread"
        Frames one after the other, the last one repeated where the video ends, or frames at even distances from the
        first to the last, rounded half to even.
    start : callable
        Of consecutive frames: the first one, given how many places there are for it.
    """
    if sampling == "spread":
        return np.round(np.linspace(0, count - 1, frames)).astype(np.int64)
    if sampling != "consecutive":
        raise ValueError(f"sampling must be consecutive or spread, got {sampling!r}")
    first = start(max(count - frames, 0) + 1)
    return np.minimum(first + np.arange(frames), count - 1)


def random_start(name: str, seed: int, number: int) -> Callable[[int], int]:
    """Starts of training clips: a pure function of the video's name, the seed and the clip's number."""

    def start(places: int) -> int:
        digest = hashlib.blake2b(f"{seed} {number} {name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") % places

    return start


def _overlaps(size: int, wanted: int) -> NDArray[np.int64]:
    """How much of input pixel j lies in output pixel i, [wanted, size], in units where rows sum to `size`."""
    i, j = np.arange(wanted)[:, None], np.arange(size)[None]
    overlap = np.minimum((i + 1) * size, (j + 1) * wanted) - np.maximum(i * size, j * wanted)
    return np.maximum(overlap, 0)


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """An image uint8 [H, W, C] as [height, width, C]: means over each new pixel's area, rounded half up.

    Every sum is of integers that floating point holds exactly, so the result is the same on every machine.
    """
    h, w, c = image.shape
    if (h, w) == (height, width):
        return image
    rows = _overlaps(h, height).astype(np.float64) @ image.reshape(h, w * c).astype(np.float64)
    total = np.matmul(_overlaps(w, width).astype(np.float64), rows.reshape(height, w, c))
    return np.asarray(np.floor((2 * total + h * w) / (2 * h * w)), dtype=np.uint8)
