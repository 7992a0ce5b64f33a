"""Clips of video files: which frames, resized by area, as bytes."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.options import require
from qtt_hw.data.prepare import Unusable

__all__ = ["choose_frames", "count_frames", "random_start", "read_frames", "resize"]


@contextmanager
def _complaints(av: Any) -> Iterator[Callable[[], str | None]]:
    """What the demuxer and the decoder say of damage that they conceal: the first of it, of any of their threads."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as said:
            yield lambda: next(
                (text.split("\n")[0].strip() for grade, _, text in said if grade <= av.logging.ERROR), None
            )
    finally:
        av.logging.set_level(level)


def _decode(path: Path) -> Iterator[Any]:
    """The frames of the file's first video stream, in the order shown.

    Damage is noticed by what libav says of it, by frames that are fewer than an MP4 states, and by a Matroska file of
    one stream that ends before its stated duration. Not noticed are zeroed bytes that a VP8 frame decodes as something
    else, and the end of an MPEG program stream, which states no length.
    """
    av = require("av", "reading videos")
    try:
        with _complaints(av) as complaint, av.open(str(path)) as container:
            if not container.streams.video:
                raise Unusable(f"{path}: holds no video stream")
            stream, stated = container.streams.video[0], container.streams.video[0].frames
            # The demuxer and the decoder conceal damage, and mark what they did it to.
            frames = skipped = 0
            last = 0.0
            for packet in container.demux(stream):
                skipped += packet.is_discard
                for frame in packet.decode():
                    if packet.is_corrupt or frame.is_corrupt or complaint() is not None:
                        why = f": {complaint()}" if complaint() is not None else ""
                        raise Unusable(f"{path}: a damaged video: frame {frames} cannot be decoded whole{why}")
                    last = frame.time if frame.time is not None else last
                    yield frame
                    frames += 1
                if packet.is_corrupt:
                    raise Unusable(f"{path}: a damaged video: what follows frame {frames - 1} is not whole")
            if (said := complaint()) is not None:
                raise Unusable(f"{path}: a damaged video: what follows frame {frames - 1} is not whole: {said}")
            alone = "matroska" in container.format.name and len(container.streams) == 1 and container.duration
            if alone and stream.average_rate and frames:
                ends, step = container.duration / av.time_base, 1 / float(stream.average_rate)
                if last + 1.75 * step < ends:
                    raise Unusable(
                        f"{path}: a damaged video: its frames end at {last + step:.2f} s of the {ends:.2f} s stated"
                    )
            # What other containers state is no count of frames: that of AVI counts those that stand for a repetition.
            stated -= skipped
            if "mp4" in container.format.name and frames < stated:
                raise Unusable(f"{path}: a damaged video: holds {frames} of the {stated} frames that it states")
    except Unusable:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise Unusable(f"{path}: not a readable video: {reason}") from None


def count_frames(path: Path) -> int:
    """The number of frames that decode.

    Raises
    ------
    Unusable
        One line that names the file, where a frame is damaged or missing, or there is none.
    """
    count = sum(1 for _ in _decode(path))
    if not count:
        raise Unusable(f"{path}: holds no frames")
    stated, size = _riff_size(path), path.stat().st_size
    if size < stated:
        raise Unusable(f"{path}: a damaged video: cut short, {size} of the {stated} bytes that it states")
    return count


def _riff_size(path: Path) -> int:
    """The size in bytes that an AVI states for itself; 0 of any other file, and where it was not filled in."""
    total = 0
    with path.open("rb") as stream:
        # One of more than a gigabyte is several such parts, one after the other.
        while len(header := stream.read(12)) == 12 and header[:4] == b"RIFF" and header[8:] in (b"AVI ", b"AVIX"):
            size = struct.unpack("<I", header[4:8])[0]
            if not size:
                break
            total += 8 + size + size % 2
            stream.seek(total)
    return total


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
