import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from qtt_hw.data.prepare import Unusable
from qtt_hw.data.video import choose_frames, count_frames, random_start, read_frames, resize

needs_data = pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")
RNG = np.random.default_rng(0)


def bright(clip: np.ndarray) -> list[int]:
    """The number of bright columns of every frame [D, H, W, 3]."""
    return [int(n) for n in (clip[:, clip.shape[1] // 2, :, 1] > 120).sum(axis=1)]


def middle(places: int) -> int:
    return (places - 1) // 2


def test_consecutive_frames() -> None:
    assert choose_frames(20, 4, "consecutive", middle).tolist() == [8, 9, 10, 11]
    assert choose_frames(20, 4, "consecutive", lambda places: places - 1).tolist() == [16, 17, 18, 19]
    assert choose_frames(4, 4, "consecutive", middle).tolist() == [0, 1, 2, 3]
    assert choose_frames(3, 5, "consecutive", middle).tolist() == [0, 1, 2, 2, 2]


def test_spread_frames() -> None:
    assert choose_frames(81, 5, "spread", middle).tolist() == [0, 20, 40, 60, 80]
    assert choose_frames(2, 4, "spread", middle).tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="sampling must be"):
        choose_frames(2, 4, "random", middle)


def test_random_starts_depend_on_name_seed_and_number_alone() -> None:
    keys = [(name, seed, number) for name in ("a", "b") for seed in (0, 1) for number in (0, 1)]
    assert len({random_start(*key)(1 << 40) for key in keys}) == 8
    assert all(random_start(*key)(100) == random_start(*key)(100) for key in keys)
    found = np.bincount([random_start("v", 0, number)(5) for number in range(1000)], minlength=5)
    assert found.min() > 150 and len(found) == 5


@pytest.mark.parametrize(
    "size, wanted", [((24, 32), (6, 8)), ((25, 33), (6, 8)), ((6, 8), (9, 8)), ((60, 80), (15, 16))]
)
def test_resize_is_the_mean_over_the_area(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    image = RNG.integers(0, 256, size=(*size, 3), dtype=np.uint8)
    # Every pixel split so finely that the new pixels are whole blocks of it.
    fine = image.astype(int).repeat(wanted[0], axis=0).repeat(wanted[1], axis=1)
    blocks = fine.reshape(wanted[0], size[0], wanted[1], size[1], 3).sum(axis=(1, 3))
    area = size[0] * size[1]
    assert np.array_equal(resize(image, *wanted), (2 * blocks + area) // (2 * area))


def test_resize_rounds_half_up_and_keeps_what_fits() -> None:
    assert resize(np.array([[[0], [1]], [[1], [0]]], np.uint8), 1, 1).item() == 1
    assert resize(np.full((7, 5, 3), 255, np.uint8), 3, 2).min() == 255
    image = RNG.integers(0, 256, size=(4, 5, 3), dtype=np.uint8)
    assert resize(image, 4, 5) is image


def test_frames_of_a_file(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    path = write_video(tmp_path / "a.avi", 20)
    assert count_frames(path) == 20
    clip = read_frames(path, np.array([0, 7, 7, 19]), 24, 64)
    assert clip.shape == (4, 24, 64, 3) and clip.dtype == np.uint8 and bright(clip) == [1, 8, 8, 20]
    assert bright(read_frames(path, np.array([15]), 12, 32)) == [8]


def audio(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    return path


def test_unreadable_files_are_named_in_one_line(
    tmp_path: Path, write_video: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    content = write_video(tmp_path / "whole.avi", 20).read_bytes()
    for name, data in (("text", b"no video " * 200), ("cut", content[: len(content) // 2]), ("head", content[:300])):
        path = tmp_path / f"{name}.avi"
        path.write_bytes(data)
        with pytest.raises(Unusable, match=f"^{path}: not a readable video: Invalid data found") as error:
            count_frames(path)
        assert "\n" not in str(error.value)
    with pytest.raises(Unusable, match="holds no video stream"):
        count_frames(audio(tmp_path / "audio.avi"))
    assert capfd.readouterr().err == ""


@needs_data
def test_real_files() -> None:
    folder = Path(os.environ["QTT_DATA"])
    for name, frames in (
        ("video_samples/v_ApplyEyeMakeup_g01_c01.avi", 164),
        ("video_samples/v_BaseballPitch_g01_c01.avi", 107),
        ("egogestar/avi160x120/carret_1.avi", 81),
        ("egogestar/originals/testvideo_carret_7.mp4", 34),
    ):
        assert count_frames(folder / name) == frames, name
    clip = read_frames(folder / "video_samples/v_BaseballPitch_g01_c01.avi", np.arange(50), 30, 40)
    assert clip.shape == (50, 30, 40, 3) and clip.std() > 20
    assert np.abs(np.diff(clip.astype(int), axis=0)).mean() < 10  # neighbouring frames are alike


def written(path: Path, frames: int, **options: str) -> Path:
    """A video of noise, whose frames take enough bytes to be damaged one by one."""
    rng = np.random.default_rng(1)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for _ in range(frames):
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_damaged_frame_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.avi", 30)
    assert count_frames(path) == 30
    content = bytearray(path.read_bytes())
    middle = content.find(b"00dc", len(content) // 2) + 200
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(Unusable, match=rf"^{path}: a damaged video: frame \d+ cannot be decoded whole: "):
        count_frames(path)


def test_a_video_that_is_cut_between_two_frames_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.avi", 30)
    content = path.read_bytes()
    path.write_bytes(content[: content.find(b"00dc", len(content) * 2 // 3)])
    size = path.stat().st_size
    with pytest.raises(
        Unusable, match=f"^{path}: a damaged video: cut short, {size} of the {len(content)} bytes that it"
    ):
        count_frames(path)


def test_frames_that_a_container_states_but_does_not_hold(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", 30, movflags="faststart")
    assert count_frames(path) == 30
    content = path.read_bytes()
    table = content.find(b"stsz") + 12  # their number, then the size of every frame
    sizes = [int(size) for size in np.frombuffer(content[table : table + 4 * 31], dtype=">u4")]
    assert sizes[0] == 30
    path.write_bytes(content[: content.find(b"mdat") + 4 + sum(sizes[1:26])])
    with pytest.raises(Unusable, match=f"^{path}: a damaged video: holds 25 of the 30 frames that it states$"):
        count_frames(path)


def test_an_avi_without_a_size_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.avi", 5)
    content = bytearray(path.read_bytes())
    content[4:8] = bytes(4)
    path.write_bytes(content)
    assert count_frames(path) == 5


def _encoded(path: Path, codec: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for image in pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mkv", "mpeg4"), ("webm", "libvpx"), ("avi", "mjpeg"), ("avi", "mpeg4")]
)
@pytest.mark.parametrize("damage", ["cut to half", "cut to 99 %", "removed", "overwritten"])
def test_damage_is_noticed_in_every_container(tmp_path: Path, suffix: str, codec: str, damage: str) -> None:
    path = tmp_path / f"a.{suffix}"
    data = _encoded(path, codec)
    assert count_frames(path) == 30
    half = len(data) // 2
    path.write_bytes(
        {
            "cut to half": data[:half],
            "cut to 99 %": data[: len(data) * 99 // 100],
            "removed": data[:half] + data[half + 3000 :],
            "overwritten": data[:half] + b"\xff" * 5000 + data[half + 5000 :],
        }[damage]
    )
    with pytest.raises(Unusable, match=rf"^{path}: (a damaged|not a readable) video"):
        count_frames(path)
    assert av.logging.get_level() is None
