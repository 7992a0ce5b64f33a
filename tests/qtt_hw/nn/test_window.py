"""PyTorch's kernel, stride and padding arguments."""

import pytest
import torch
from torch import nn

from qtt_hw.nn.window import flat_padding, same_padding, triple


def test_triples() -> None:
    assert triple(3, "kernel_size") == triple([3, 3, 3], "kernel_size") == (3, 3, 3)
    with pytest.raises(ValueError, match="stride must be one number or three of at least 1, got 0"):
        triple(0, "stride")
    with pytest.raises(ValueError, match="kernel_size must be one number or three"):
        triple((3, 3), "kernel_size")


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_is_pytorchs_same() -> None:
    x = torch.randn(1, 1, 5, 5, 5)
    for kernel in ((1, 2, 3), (4, 5, 2)):
        conv = nn.Conv3d(1, 1, kernel, padding="same")
        padded = nn.functional.pad(x, flat_padding(same_padding(kernel, (1, 1, 1), "same")))
        assert torch.allclose(conv(x), nn.functional.conv3d(padded, conv.weight, conv.bias), atol=1e-6)


def test_numbers_pad_both_sides() -> None:
    assert same_padding((3, 3, 3), (2, 2, 2), 1) == ((1, 1), (1, 1), (1, 1))
    assert same_padding((3, 3, 3), (2, 2, 2), (0, 1, 2)) == ((0, 0), (1, 1), (2, 2))
    assert same_padding((3, 3, 3), (2, 2, 2), "valid") == ((0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize("padding", [(1, 1), -1, "full"])
def test_refusals(padding: object) -> None:
    with pytest.raises(ValueError, match="padding must be a number, three numbers"):
        same_padding((3, 3, 3), (1, 1, 1), padding)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'same' needs stride 1"):
        same_padding((3, 3, 3), (1, 2, 1), "same")
