"""Pictures: every pixel is read back by another reader."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from qtt_hw.report.png import data_uri, encode


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pixels_are_read_back(channels: int) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(channels).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    read = np.asarray(image.open(io.BytesIO(encode(pixels)))).reshape(pixels.shape)
    assert np.array_equal(read, pixels)
    kind, _, content = data_uri(pixels).partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(content) == encode(pixels)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bytes \[H, W, 1 to 4\], got float64 \[2, 2, 1\]"):
        encode(np.zeros((2, 2, 1)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got uint8 \[2, 2, 5\]"):
        encode(np.zeros((2, 2, 5), np.uint8))
