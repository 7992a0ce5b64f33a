"""PyTorch's ways to write kernel sizes, strides and paddings, as triples and padding pairs over D, H, W."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Pairs", "Triple", "flat_padding", "padding_pairs", "pool_padding", "same_padding", "triple"]

Triple = tuple[int, int, int]
#: Padding before and after, by axis.
Pairs = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def triple(value: int | Sequence[int], name: str) -> Triple:
    """One number for all three axes, or three of them, each at least 1."""
    values = (value,) * 3 if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) != 3 or min(values) < 1:
        raise ValueError(f"{name} must be one number or three of at least 1, got {value}")
    return values[0], values[1], values[2]


def same_padding(
    kernel: Triple, stride: Triple, padding: int | Sequence[int] | str, dilation: Triple = (1, 1, 1)
) -> Pairs:
    """The padding pairs of PyTorch's `padding`: a number, three numbers, "valid" or "same" (which needs stride 1)."""
    if padding == "same":
        if stride != (1, 1, 1):
            raise ValueError(f"padding 'same' needs stride 1, got {stride}")
        totals = ((k - 1) * d for k, d in zip(kernel, dilation, strict=True))
        first, second, third = ((total // 2, total - total // 2) for total in totals)
        return first, second, third
    if padding == "valid":
        padding = 0
    values = (padding,) * 3 if isinstance(padding, int) else padding
    if isinstance(values, str) or len(values) != 3 or min(values) < 0:
        raise ValueError(f"padding must be a number, three numbers of at least 0, 'same' or 'valid', got {padding!r}")
    d, h, w = (int(v) for v in values)
    return (d, d), (h, h), (w, w)


def padding_pairs(
    kernel: Triple, stride: Triple, padding: int | Sequence[int] | Pairs | str, dilation: Triple = (1, 1, 1)
) -> Pairs:
    """Padding pairs themselves, or what `same_padding` makes of the other ways to write them."""
    if isinstance(padding, str | int) or (
        isinstance(padding, Sequence) and all(isinstance(side, int) for side in padding)
    ):
        return same_padding(kernel, stride, padding, dilation)  # type: ignore[arg-type]
    try:
        pairs = [(int(before), int(after)) for before, after in padding]  # type: ignore[misc]
    except (TypeError, ValueError):
        pairs = []
    if len(pairs) != 3 or min(min(pair) for pair in pairs) < 0:
        raise ValueError(f"padding pairs must be three of two numbers of at least 0, got {padding!r}")
    return pairs[0], pairs[1], pairs[2]


def pool_padding(
    size: Sequence[int], kernel: Triple, stride: Triple, padding: int | Sequence[int] | Pairs | str
) -> Pairs:
    """As `padding_pairs`, but "same" gives ceil(size / stride) outputs at any stride, the odd place padded behind."""
    if padding != "same":
        return padding_pairs(kernel, stride, padding)
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride, strict=True)]
    first, second, third = ((total // 2, total - total // 2) for total in totals)
    return first, second, third


def flat_padding(pairs: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """torch.nn.functional.pad's list: last axis first."""
    return tuple(side for pair in reversed(pairs) for side in pair)
