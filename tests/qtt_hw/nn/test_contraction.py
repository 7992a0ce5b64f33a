"""The windowed contraction in torch against the golden model's."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Contraction, Edge
from qtt_hw.nn.contraction import contract
from qtt_hw.window import Window


def as_on_cuda() -> Any:
    """A context in which contractions are computed as on CUDA for exact sums, there being no CUDA device here."""
    return patch("qtt_hw.nn.contraction._without_kernels", return_value=True)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Window, tuple[int, int, int], tuple[int, int, int, int]]:
    """A window with padding pairs that differ, an input's positions, and (lead, in, out, trail)."""
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
        tuple(shape),
        tuple(draw(st.integers(1, 3)) for _ in range(4)),
    )


@given(problems(), st.sampled_from([torch.float32, torch.float64]), st.integers(0, 1000))
def test_contraction_equals_the_golden_models(problem, dtype: torch.dtype, seed: int) -> None:
    window, positions, (lead, taken, out, trail) = problem
    shape = (*positions, lead * taken * trail)
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (2, *shape))
    weight = as_integers(rng.integers(-7, 8, (out, *window.kernel, taken)))
    plain = Requantizer(Format(16, True, 0), 0)
    node = Contraction("c", ("input",), "c", window, weight, Format(4, True, 0, narrow=True), plain, lead, trail)
    expected = node.golden((x, Edge(shape, Format(8, True, 0))))
    volume = torch.from_numpy(x).permute(0, 4, 1, 2, 3).to(dtype)
    kernels = torch.from_numpy(weight.transpose(0, 4, 1, 2, 3).copy()).to(dtype)
    found = contract(volume, kernels, window, lead, trail)
    assert found.dtype == dtype
    with as_on_cuda():
        assert torch.equal(contract(volume, kernels, window, lead, trail), found)
    assert torch.equal(plain(found.to(torch.int64)).permute(0, 2, 3, 4, 1), torch.from_numpy(expected))


@given(st.data())
def test_groups_and_dilated_taps_equal_the_golden_models(data: st.DataObject) -> None:
    sizes = st.tuples(*[st.integers(1, 3)] * 3)
    kernel, dilation, stride, more = (data.draw(sizes) for _ in range(4))
    spans = [(k - 1) * apart + 1 for k, apart in zip(kernel, dilation, strict=True)]
    padding = tuple((data.draw(st.integers(0, (span - 1) // 2)), (span - 1) // 2) for span in spans)
    window = Window(kernel, stride, padding, dilation)
    groups, taken, out = (data.draw(st.integers(1, 3)) for _ in range(3))
    shape = (*(span + behind - 1 for span, behind in zip(spans, more, strict=True)), groups * taken)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    x = rng.integers(-128, 128, (2, *shape))
    weight = as_integers(rng.integers(-7, 8, (groups * out, *window.kernel, taken)))
    plain = Requantizer(Format(16, True, 0), 0)
    fmt = Format(4, True, 0, narrow=True)
    node = Contraction("c", ("input",), "c", window, weight, fmt, plain, groups=groups)
    expected = node.golden((x, Edge(shape, Format(8, True, 0))))
    volume = torch.from_numpy(x).permute(0, 4, 1, 2, 3).float()
    kernels = torch.from_numpy(weight.transpose(0, 4, 1, 2, 3).copy()).float()
    found = contract(volume, kernels, window, groups=groups)
    assert torch.equal(plain(found.to(torch.int64)).permute(0, 2, 3, 4, 1), torch.from_numpy(expected))
    with as_on_cuda():
        assert torch.equal(contract(volume, kernels, window, groups=groups), found)
    flat = [side for pair in reversed(padding) for side in pair]
    # In float64, which oneDNN does not compute: in float32 it is wrong on one channel, as the next test says.
    padded = torch.nn.functional.pad(volume, flat).double()
    torchs = torch.nn.functional.conv3d(padded, kernels.double(), None, stride, 0, dilation, groups)
    assert torch.equal(found.double(), torchs)


def test_one_channel_with_a_single_strided_output_along_w() -> None:
    """Read as channels-last, this convolution came back as garbage from oneDNN."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-128, 128, (4, 4, 9, 3, 1), generator=generator).permute(0, 4, 1, 2, 3)
    weight = torch.randint(-7, 8, (3, 1, 4, 3, 3), generator=generator)
    window = Window((4, 3, 3), (2, 1, 2))
    expected = torch.nn.functional.conv3d(x.double().contiguous(), weight.double(), stride=(2, 1, 2))
    assert torch.equal(contract(x.float(), weight.float(), window).double(), expected)


def test_strided_pointwise_contractions_and_their_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-128, 128, (3, 2, 5, 6, 7), generator=generator).float().requires_grad_()
    weight = torch.randint(-7, 8, (4, 2, 1, 1, 1), generator=generator).float().requires_grad_()
    window = Window((1, 1, 1), (2, 1, 3))
    y = contract(x.contiguous(memory_format=torch.channels_last_3d), weight, window)
    expected = torch.einsum("oi,nidhw->nodhw", weight[:, :, 0, 0, 0], x[:, :, ::2, :, ::3])
    assert torch.equal(y, expected)
    found = torch.autograd.grad(y.square().sum(), [x, weight])
    for one, other in zip(found, torch.autograd.grad(expected.square().sum(), [x, weight]), strict=True):
        assert torch.allclose(one, other, rtol=1e-5)


def test_unfolded_contractions_have_the_gradients_of_convolutions() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-8, 8, (2, 6, 7, 5, 6), generator=generator).double().requires_grad_()
    weight = torch.randint(-7, 8, (4, 3, 3, 2, 3), generator=generator).double().requires_grad_()
    window = Window((3, 2, 3), (2, 1, 1), ((1, 2), (0, 1), (2, 2)), (1, 2, 2))
    expected = contract(x, weight, window, groups=2)
    wanted = torch.autograd.grad(expected.square().sum(), [x, weight])
    with as_on_cuda():
        y = contract(x, weight, window, groups=2)
        found = torch.autograd.grad(y.square().sum(), [x, weight])
    assert torch.equal(y, expected) and all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kernel", [1, 3])
def test_carried_modes_and_their_gradients(kernel: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-8, 8, (2, 3 * 4 * 5, 3, 4, 5), generator=generator).double().requires_grad_()
    weight = torch.randint(-7, 8, (2, 4, *(kernel,) * 3), generator=generator).double().requires_grad_()
    pad = kernel // 2
    window = Window((kernel,) * 3, padding=((pad, pad),) * 3)
    y = contract(x.contiguous(memory_format=torch.channels_last_3d), weight, window, lead=3, trail=5)
    # The dense kernel that carries: identities over lead and trail.
    dense = torch.einsum("ab,oidhw,xy->aoxbiydhw", torch.eye(3).double(), weight, torch.eye(5).double())
    expected = torch.nn.functional.conv3d(x, dense.reshape(30, 60, *(kernel,) * 3), padding=pad)
    assert torch.equal(y, expected)
    found = torch.autograd.grad(y.square().sum(), [x, weight])
    for one, other in zip(found, torch.autograd.grad(expected.square().sum(), [x, weight]), strict=True):
        assert torch.equal(one, other)
