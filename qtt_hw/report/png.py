"""Small pictures within a page: arrays of bytes as PNG, as data URIs."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["data_uri", "encode"]

#: The type of a PNG's colours by the channels of each pixel.
_COLOURS: Final = {1: 0, 2: 4, 3: 2, 4: 6}


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of bytes [H, W, C]: grey, grey and opacity, RGB, or RGB and opacity."""
    height, width, channels = pixels.shape
    if pixels.dtype != np.uint8 or channels not in _COLOURS or not pixels.size:
        raise ValueError(f"a picture has bytes [H, W, 1 to 4], got {pixels.dtype} {list(pixels.shape)}")
    # Each row begins with its filter; 0 is none.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """The picture as the source of an <img>."""
    return "data:image/png;base64," + base64.b64encode(encode(pixels)).decode()
