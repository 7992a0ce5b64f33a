"""Pools in every form: layers, functions, windows of ceil_mode; as PyTorch, and golden as prepared."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)


class Net(nn.Module):
    """A convolution, a pool, and a head over what it leaves."""

    def __init__(self, pool, features: int) -> None:
        super().__init__()
        self.conv, self.pool, self.head = nn.Conv3d(2, 3, 1), pool, nn.Linear(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.conv(x).relu()).flatten(1))


SHAPE = (2, 4, 6, 2)
FORMS = {
    "mean that counts padding": lambda x: F.avg_pool3d(x, (1, 3, 3), 1, (0, 1, 1)),
    "mean that counts some padding": lambda x: F.avg_pool3d(x, (1, 2, 3), (1, 2, 2), (0, 1, 1)),
    "dilated maximum": lambda x: F.max_pool3d(x, (1, 2, 3), 1, (0, 0, 1), dilation=(1, 2, 2)),
    "adaptive": lambda x: F.adaptive_avg_pool3d(x, (1, 2, 3)),
    "adaptive maximum": lambda x: F.adaptive_max_pool3d(x, (None, 2, 1)),
    "adaptive, of every position": lambda x: F.adaptive_avg_pool3d(x, (2, 4, 6)),
    "function": lambda x: F.max_pool3d(x, (1, 2, 2)),
    "function with a stride": lambda x: F.avg_pool3d(x, 2, stride=(2, 1, 3)),
    "padding": lambda x: F.avg_pool3d(x, (1, 3, 3), 2, (0, 1, 1), count_include_pad=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, inputs, assert_equal) -> None:
    torch.manual_seed(0)
    pool = FORMS[form]
    x, values = inputs(IMAGE, (4, *SHAPE), 1)
    features = pool(torch.zeros(1, 3, *SHAPE[:3])).numel()
    prepared = prepare(Net(pool, features), values, QuantConfig(weight_bits=8), IMAGE)
    prepared.calibrate([values])
    assert_equal(prepared, np.asarray(x), values)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_windows_are_those_of_pytorch(data: st.DataObject) -> None:
    """With and without ceil_mode, a layer at random computes on floats what PyTorch does: walk compares them."""
    kernel, stride = (data.draw(st.tuples(*[st.integers(1, 4)] * 3)) for _ in range(2))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    ceil = data.draw(st.booleans())
    if data.draw(st.booleans()):
        pool: nn.Module = nn.MaxPool3d(kernel, stride, padding, ceil_mode=ceil)
    else:
        pool = nn.AvgPool3d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=data.draw(st.booleans()))
    sizes = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    try:
        features = pool(torch.zeros(1, 3, *sizes)).numel()
    except RuntimeError:
        assume(False)
    try:
        prepared = prepare(Net(pool, features), torch.zeros(2, 2, *sizes), input_format=IMAGE)
    except ValueError as error:
        assert ceil and "counts padding in the mean but not what ceil_mode adds to it" in str(error)
        return
    assert [stage.name for stage in prepared.stages] == ["conv", "pool", "head"]
