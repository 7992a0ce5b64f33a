"""Exact contractions: against integer arithmetic, whatever the process has switched on or off."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.ir import golden
from qtt_hw.ir.graph import Contraction, Edge, Window, as_integers
from qtt_hw.ir.integer import FLOAT32_LIMIT, contract, exact_arithmetic, holding_dtype, input_integers

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


@st.composite
def problems(draw: st.DrawFn) -> tuple[Window, tuple[int, int, int, int], int]:
    """A window with padding pairs that differ, an input shape, and output channels."""
    kernel, stride, padding, shape = [], [], [], []
    for _ in range(3):
        k, n = draw(st.integers(1, 4)), draw(st.integers(1, 6))
        before, after = draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))
        while n + before + after < k or before + n < 1:
            n += 1
        s = draw(st.integers(1, 3))
        last = (n + before + after - k) // s * s - before
        if last >= n:
            after = max(0, after - (last - n + 1))
        kernel.append(k), stride.append(s), padding.append((before, after)), shape.append(n)
    return (
        Window(tuple(kernel), tuple(stride), tuple(padding)),
        (*shape, draw(st.integers(1, 4))),
        draw(st.integers(1, 4)),
    )


@given(problems(), st.sampled_from([torch.float32, torch.float64]), st.integers(0, 1000))
def test_contraction_equals_the_golden_models(problem, dtype: torch.dtype, seed: int) -> None:
    window, shape, out = problem
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (2, *shape))
    weight = as_integers(rng.integers(-7, 8, (out, *window.kernel, shape[3])))
    plain = Requantizer(Format(16, True, 0), 0)
    node = Contraction("c", ("input",), "c", window, weight, Format(4, True, 0, narrow=True), plain)
    expected = golden.run_node(x, node, Edge(shape, Format(8, True, 0)))
    found = contract(
        torch.from_numpy(x).permute(0, 4, 1, 2, 3).to(dtype),
        torch.from_numpy(weight.transpose(0, 4, 1, 2, 3).copy()).to(dtype),
        window,
        shape,
    )
    assert found.dtype == dtype
    assert torch.equal(plain(found.to(torch.int64)).permute(0, 2, 3, 4, 1), torch.from_numpy(expected))


def test_one_channel_with_a_single_strided_output_along_w() -> None:
    """Read as channels-last, this convolution came back as garbage from oneDNN."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-128, 128, (4, 4, 9, 3, 1), generator=generator).permute(0, 4, 1, 2, 3)
    weight = torch.randint(-7, 8, (3, 1, 4, 3, 3), generator=generator)
    window = Window((4, 3, 3), (2, 1, 2))
    expected = torch.nn.functional.conv3d(x.double().contiguous(), weight.double(), stride=(2, 1, 2))
    assert torch.equal(contract(x.float(), weight.float(), window, (4, 9, 3, 1)).double(), expected)


def test_strided_pointwise_contractions_and_their_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-128, 128, (3, 2, 5, 6, 7), generator=generator).float().requires_grad_()
    weight = torch.randint(-7, 8, (4, 2, 1, 1, 1), generator=generator).float().requires_grad_()
    window = Window((1, 1, 1), (2, 1, 3))
    y = contract(x.contiguous(memory_format=torch.channels_last_3d), weight, window, (5, 6, 7, 2))
    expected = torch.einsum("oi,nidhw->nodhw", weight[:, :, 0, 0, 0], x[:, :, ::2, :, ::3])
    assert torch.equal(y, expected)
    found = torch.autograd.grad(y.square().sum(), [x, weight])
    for one, other in zip(found, torch.autograd.grad(expected.square().sum(), [x, weight]), strict=True):
        assert torch.allclose(one, other, rtol=1e-5)


def test_exact_arithmetic_ends_autocast() -> None:
    x, weight = torch.full((1, 1, 1, 1, 3), 257.0), torch.ones(1, 1, 1, 1, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert contract(x, weight, Window(), (1, 1, 3, 1)).dtype == torch.bfloat16
        with exact_arithmetic(CPU):
            y = contract(x, weight, Window(), (1, 1, 3, 1))
    assert torch.equal(y, x)


def test_inputs_must_be_integers_of_the_format() -> None:
    fmt = Format(4, True, 1)
    x = torch.tensor([-4.0, 3.5, 0.5]).view(1, 1, 1, 1, 3)
    assert input_integers(x, fmt).flatten().tolist() == [-8.0, 7.0, 1.0]
    for bad in (0.25, 4.0, -4.5, float("nan")):
        with pytest.raises(ValueError, match=r"not an integer of -8 to 7 times 2\*\*-1"):
            input_integers(torch.full((1, 1, 1, 1, 1), bad), fmt)
