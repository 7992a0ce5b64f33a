"""Prepared arrays of these tests are kept apart from the user's; small videos."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("QTT_CACHE", str(folder))
    return folder


def _write_video(path: Path, frames: int, offset: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = 24, 64
        stream.pix_fmt = "yuv420p"
        rows, columns = np.mgrid[:24, :64]
        for n in range(frames):
            # The texture moves with the bar's end, so that there is motion to see everywhere.
            texture = 25 * np.sin((columns - n) * 0.7) * np.sin(rows * 0.7)
            plane = np.where(columns <= n + offset, 200, 40) + texture
            image = plane.astype(np.uint8)[..., None].repeat(3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """(path, frames, offset=0) to an MPEG-4 file of 24 x 64 whose frame n is bright in n + 1 + offset columns."""
    return _write_video
