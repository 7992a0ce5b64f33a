"""From raw samples of unsigned bytes to the network's input integers: offset and space to depth, in numpy."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import Format
from qtt_hw.graph.graph import InputSpec
from qtt_hw.graph.node import Edge
from qtt_hw.window import Shape

__all__ = ["blocks", "check_values", "input_spec", "preprocess"]

#: Voxels {0, 1}: padding is emptiness.
VOXELS = Format(bits=1, signed=False, frac=0)


def blocks(sample_shape: Shape, block: int) -> tuple[int, int, int]:
    """The block along D, H, W: a single plane has none along D."""
    return (block if sample_shape[0] > 1 else 1), block, block


def input_spec(
    sample_shape: Shape, block: int = 1, offset: int = 0, format: Format = VOXELS, gain: int = 1
) -> InputSpec:
    """The InputSpec of raw samples [D, H, W, C]: the edge [ceil(D/b), ceil(H/b), ceil(W/b), b*b*b*C].

    Parameters
    ----------
    sample_shape : tuple of int, (D, H, W, C)
        Of vectors (C,), which are volumes of one position.
    block : int
        Edge length of a space-to-depth block; b is 1 along D when D is 1.
    offset : int
        Subtracted from every raw value.
    format : Format
        Of the input integers.
    gain : int
        That raw values are multiplied by beforehand.

    Returns
    -------
    InputSpec
        For `preprocess`, `freeze` and a Graph.

    Raises
    ------
    ValueError
        When a size is below 1, the offset is not 0 to 255, or the gain is not 1 to 64.

    Examples
    --------
    >>> import qtt_hw
    >>> qtt_hw.input_spec((30, 30, 30, 1), block=2).edge.shape  # voxels
    (15, 15, 15, 8)
    >>> spec = qtt_hw.input_spec((1, 28, 28, 1), offset=128, format=qtt_hw.Format(8, signed=True, frac=7))  # images
    >>> spec.edge.shape, spec.edge.format.minimum
    ((1, 28, 28, 1), -128)
    >>> qtt_hw.input_spec((28, 28, 1))
    Traceback (most recent call last):
        ...
    ValueError: a sample's shape must be four sizes (D, H, W, C) of at least 1, or a vector's (C), got [28, 28, 1]
    """
    if not hasattr(sample_shape, "__len__") or not all(isinstance(size, Integral) for size in sample_shape):
        got = type(sample_shape).__name__
        raise ValueError(f"a sample's shape must be sizes (D, H, W, C), such as a split's sample_shape, got a {got}")
    shape = tuple(int(size) for size in sample_shape)
    if len(shape) == 1:
        shape = (1, 1, 1, *shape)
    if len(shape) != 4 or min(shape) < 1:
        raise ValueError(
            "a sample's shape must be four sizes (D, H, W, C) of at least 1, or a vector's (C), got "
            f"{list(sample_shape)}"
        )
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    if not 0 <= offset <= 255:
        raise ValueError(f"offset must be 0 to 255, got {offset}")
    if not 1 <= gain <= 64:
        raise ValueError(f"gain must be 1 to 64, got {gain}")
    d, h, w, c = shape
    bd, bh, bw = blocks((d, h, w, c), block)
    edge = Edge((-(-d // bd), -(-h // bh), -(-w // bw), bd * bh * bw * c), format)
    return InputSpec(edge, (d, h, w, c), block, offset, gain)


def check_values(spec: InputSpec, raw: NDArray) -> None:
    """Raise ValueError when raw * gain - offset does not fit the spec's format."""
    if not raw.size:
        return
    fmt = spec.edge.format
    low, high = (int(end) * spec.gain - spec.offset for end in (raw.min(), raw.max()))
    if low < fmt.minimum or high > fmt.maximum:
        times = f" times {spec.gain}" if spec.gain > 1 else ""
        raise ValueError(
            f"raw samples{times} minus offset {spec.offset} span {low} to {high}, "
            f"the model's input takes {fmt.minimum} to {fmt.maximum}"
        )


def preprocess(spec: InputSpec, raw: NDArray) -> NDArray:
    """raw * gain - offset with every block of positions moved to channels: uint8 or int16, [N, D', H', W', bd*bh*bw*C].

    A block has bd x bh x bw positions: the spec's `block` along every axis, but 1 along D where D is 1. Where it does
    not divide an axis, zeros are appended to that axis after the offset, so that they act like a convolution's padding.

    Parameters
    ----------
    spec : InputSpec
    raw : uint8 or bool array, [N, D, H, W, C], or [N, D, H, W] when C is 1, or [N, C] of a single position

    Returns
    -------
    uint8 array for unsigned formats of at most 8 bits, else int16
        The place (d, h, w) within its block and channel c become channel ((d * bh + h) * bw + w) * C + c.

    Raises
    ------
    ValueError
        When dtype, shape or values do not fit the spec.

    Examples
    --------
    >>> import numpy as np
    >>> import qtt_hw
    >>> raw = np.zeros((1, 2, 2, 4), dtype=bool)
    >>> raw[0, 0, 1, 2] = True
    >>> spec = qtt_hw.input_spec((2, 2, 4, 1), block=2)
    >>> x = qtt_hw.preprocess(spec, raw)
    >>> x.shape, x.dtype
    ((1, 1, 1, 2, 8), dtype('uint8'))
    >>> x[0, 0, 0].tolist()
    [[0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]]
    >>> qtt_hw.preprocess(spec, raw.astype(float))
    Traceback (most recent call last):
        ...
    ValueError: raw samples must be uint8 or bool, got float64
    """
    d, h, w, c = spec.sample_shape
    if raw.dtype == np.bool_:
        raw = raw.view(np.uint8)
    if raw.dtype != np.uint8:
        raise ValueError(f"raw samples must be uint8 or bool, got {raw.dtype}")
    if raw.ndim == 4 and c == 1:
        raw = raw[..., None]
    if raw.ndim == 2 and (d, h, w) == (1, 1, 1):
        raw = raw[:, None, None, None]
    if raw.ndim != 5 or raw.shape[1:] != (d, h, w, c):
        raise ValueError(f"raw samples of shape {list(raw.shape[1:])} given, the model takes {[d, h, w, c]}")
    check_values(spec, raw)
    fmt = spec.edge.format
    dtype = np.uint8 if not fmt.signed and fmt.bits <= 8 else np.int16
    x = (raw.astype(np.int16) * spec.gain - spec.offset).astype(dtype)
    bd, bh, bw = blocks(spec.sample_shape, spec.block)
    if (bd, bh, bw) == (1, 1, 1):
        return x
    x = np.pad(x, ((0, 0), (0, -d % bd), (0, -h % bh), (0, -w % bw), (0, 0)))
    n, d, h, w, c = x.shape
    split = x.reshape(n, d // bd, bd, h // bh, bh, w // bw, bw, c)
    return np.ascontiguousarray(split.transpose(0, 1, 3, 5, 2, 4, 6, 7)).reshape(n, *spec.edge.shape)
