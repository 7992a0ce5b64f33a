"""Exact contractions: against integer arithmetic, whatever the process has switched on or off."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.integer import FLOAT32_LIMIT, exact_arithmetic, holding_dtype, input_integers
from qtt_hw.nn.contraction import contract
from qtt_hw.window import Window

CPU = torch.device("cpu")


@contextmanager
def without_onednn() -> Iterator[None]:
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(True)


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


def test_float32_only_below_its_limit() -> None:
    assert holding_dtype(FLOAT32_LIMIT - 1, CPU) == torch.float32
    assert holding_dtype(FLOAT32_LIMIT, CPU) == torch.float64
    # The limit is the format's: every integer up to it, and not the next one.
    assert float(torch.tensor(float(FLOAT32_LIMIT - 1), dtype=torch.float32)) == FLOAT32_LIMIT - 1
    assert int(torch.tensor(FLOAT32_LIMIT + 1).to(torch.float32)) != FLOAT32_LIMIT + 1


def test_float32_only_where_kernels_sum_products() -> None:
    with without_onednn():
        assert holding_dtype(1, CPU) == torch.float64
    with matmul_precision("medium"):
        assert holding_dtype(1, CPU) == torch.float64
    assert holding_dtype(1, torch.device("cuda")) == torch.float64
    assert holding_dtype(1, CPU) == torch.float32


@pytest.mark.skipif(not hasattr(torch.backends.mkldnn, "conv"), reason="this PyTorch has one precision for all")
def test_reduced_convolution_precision_is_noticed() -> None:
    torch.backends.mkldnn.conv.fp32_precision = "bf16"
    try:
        assert holding_dtype(1, CPU) == torch.float64
    finally:
        torch.backends.mkldnn.conv.fp32_precision = "none"
    assert holding_dtype(1, CPU) == torch.float32


def test_exact_arithmetic_ends_autocast() -> None:
    x, weight = torch.full((1, 1, 1, 1, 3), 257.0), torch.ones(1, 1, 1, 1, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert contract(x, weight, Window()).dtype == torch.bfloat16
        with exact_arithmetic(CPU):
            y = contract(x, weight, Window())
    assert torch.equal(y, x)


def test_inputs_must_be_integers_of_the_format() -> None:
    fmt = Format(4, True, 1)
    x = torch.tensor([-4.0, 3.5, 0.5]).view(1, 1, 1, 1, 3)
    assert input_integers(x, fmt).flatten().tolist() == [-8.0, 7.0, 1.0]
    for bad in (0.25, 4.0, -4.5, float("nan")):
        with pytest.raises(ValueError, match=r"not an integer of -8 to 7 times 2\*\*-1"):
            input_integers(torch.full((1, 1, 1, 1, 1), bad), fmt)
