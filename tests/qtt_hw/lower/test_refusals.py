"""All of a network's refusals in one run of check, each with its true reason; wrong input, with the layer's name."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)
EXAMPLE = torch.zeros(2, 2, 4, 4, 4)
NORM = "batch norm behind a convolution in its place would be another network, to be trained as such"
UPSAMPLED = "no stage makes more positions than it reads"
ATTENTION = "no stage has weights that are results, as attention does"
WITHIN = "is not supported within a network; one over classes at its end is left out"


def refused(model: nn.Module, example: Tensor = EXAMPLE) -> dict[str, str]:
    rows = check(model, example, IMAGE)
    assert all("\n" not in row.instead for row in rows)
    return {row.layer: row.instead for row in rows if not row.supported}


class Many(nn.Module):
    """One of everything that has no stage, between layers that have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(2, 4, 1), nn.Linear(4, 3)
        self.group, self.instance, self.layer = nn.GroupNorm(2, 4), nn.InstanceNorm3d(4), nn.LayerNorm([4, 4, 4, 4])
        self.up, self.transposed, self.softmax = nn.Upsample(scale_factor=2), nn.ConvTranspose3d(4, 4, 1), nn.Softmax(1)
        self.attention, self.recurrent = nn.MultiheadAttention(4, 2, batch_first=True), nn.GRU(4, 4, batch_first=True)
        self.embedding = nn.Embedding(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(self.instance(self.group(self.conv(x)))).relu()
        x = F.group_norm(self.softmax(self.transposed(self.up(x))), 2)
        x = torch.fft.fftn(F.interpolate(x, scale_factor=0.5), dim=(2, 3, 4)).real
        t = torch.einsum("ncdhw->nchw", F.softmax(x, 1)).flatten(2).transpose(1, 2)
        t, _ = self.recurrent(self.attention(t, t, t)[0])
        t = torch.bmm(F.scaled_dot_product_attention(t, t, t).transpose(1, 2), t)[:, 0]
        t = self.embedding(t.argmax(1))
        return self.head(torch.where(t > 0, t, -t))


def test_all_refusals_come_in_one_run() -> None:
    assert refused(Many()) == {
        "group": f"is not supported; {NORM}",
        "instance": f"is not supported; {NORM}",
        "layer": f"is not supported; {NORM}",
        "up": f"is not supported; {UPSAMPLED}",
        "transposed": "is not supported; a convolution in its place would be another network, to be trained as such",
        "softmax": WITHIN,
        "group_norm": f"is not followed; {NORM}",
        "interpolate": f"is not followed; {UPSAMPLED}",
        "fft_fftn": "is not followed; no stage computes with complex numbers",
        "softmax_1": WITHIN,
        "einsum": f"is not followed; {ATTENTION}",
        "attention": f"is not supported; {ATTENTION}",
        "recurrent": "is not supported; no stage keeps a state from one position to the next",
        "scaled_dot_product_attention": f"is not followed; {ATTENTION}",
        "bmm": f"is not followed; {ATTENTION}",
        "argmax": (
            "is not followed; a network is made of convolutions and linear layers, dense or in tensor trains, batch "
            "norm, pools, functions of one value, sums, products, concatenations and slices"
        ),
        "embedding": "is not supported; no stage looks up rows of a matrix",
        "gt": "is not followed; no stage compares results, or chooses by one",
        "where": "is not followed; no stage compares results, or chooses by one",
    }


def test_what_is_refused_before_the_trace_hides_nothing() -> None:
    net = nn.Sequential(
        *(nn.Conv3d(2, 4, 1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3), nn.LayerNorm(3))
    )
    parametrizations.weight_norm(net[0])
    found = refused(net)
    assert list(found) == ["0", "1", "5"] and "parametrised weight" in found["0"] and found["1"].endswith(NORM)
    with pytest.raises(ValueError, match=r"^0 \(ParametrizedConv3d\) has a parametrised weight"):
        prepare(net, EXAMPLE, input_format=IMAGE)


def test_ends_that_are_no_logits() -> None:
    class Ends(nn.Module):
        def __init__(self, end: Callable[[Tensor, Tensor], object]) -> None:
            super().__init__()
            self.end, self.conv, self.head = end, nn.Conv3d(2, 4, 1), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> object:
            y = self.conv(x)
            return self.end(y, self.head(y.mean((2, 3, 4))))

    single = {"output": "is not a single result; return the logits alone"}
    assert refused(Ends(lambda y, logits: (logits, logits.relu()))) == single
    assert refused(Ends(lambda y, logits: {"logits": logits})) == single
    another = "ended by nn.Flatten() and nn.Linear it would be another network"
    assert refused(Ends(lambda y, logits: y)) == {
        "": f"ends with a volume of [4, 4, 4], which is not supported; {another}"
    }
    leave = "leave it out: the hardware puts out logits and their argmax"
    assert refused(Ends(lambda y, logits: logits.argmax(1))) == {"argmax": f"is not followed; {leave}"}
    assert refused(Ends(lambda y, logits: logits.tanh())) == {
        "tanh": f"ends with a tanh, which is not supported; {leave}"
    }
    assert refused(Ends(lambda y, logits: F.gelu(logits))) == {
        "gelu": "ends with a gelu, which is not supported; without it, it would be another network"
    }
    assert refused(Ends(lambda y, logits: F.normalize(logits)))["normalize"].startswith("is not followed; a network is")


class Joins(nn.Module):
    def __init__(self, join: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.join, self.conv, self.head = join, nn.Conv3d(2, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.join(self.conv(x)).mean((2, 3, 4)))


def changed(change: Callable[[nn.Sequential], object]) -> nn.Sequential:
    net = nn.Sequential(nn.Conv3d(2, 4, 1), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(256, 2))
    change(net)
    return net


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


RUN = "does not run on an example of shape "


@pytest.mark.parametrize(
    ("net", "example", "text"),
    [
        (changed(lambda net: None), torch.zeros(2, 3, 4, 4, 4), f"{RUN}[2, 3, 4, 4, 4]: 0 (Conv3d): Given groups=1, "),
        (changed(lambda net: None), torch.zeros(2, 2), f"{RUN}[2, 2]: 0 (Conv3d): Expected 4D"),
        (changed(lambda net: setattr(net[0], "weight", parameter(4, 3, 1, 1, 1))), EXAMPLE, "0 (Conv3d): Given groups"),
        (changed(lambda net: setattr(net[0], "bias", parameter(3))), EXAMPLE, "0 (Conv3d): Given weight of size"),
        (changed(lambda net: setattr(net[0], "weight", None)), EXAMPLE, "0 (Conv3d): TypeError: conv3d() received"),
        (changed(lambda net: setattr(net, "1", nn.BatchNorm3d(5))), EXAMPLE, "1 (BatchNorm3d): running_mean should"),
        (changed(lambda net: setattr(net, "3", nn.Linear(255, 2))), EXAMPLE, "3 (Linear): mat1 and mat2 shapes"),
        (Joins(lambda y: torch.cat([y, F.max_pool3d(y, 2)], 1)), EXAMPLE, "test_refusals.py, line "),
        (Joins(lambda y: y + y[:, :3]), EXAMPLE, "must match the size of tensor b (3)"),
        (
            nn.Sequential(nn.Conv2d(2, 4, 1)),
            EXAMPLE,
            "2D layers takes [N, C, H, W] or [N, C, 1, H, W], got shape [2, 2,",
        ),
        (nn.Bilinear(2, 2, 2), torch.zeros(2, 2), "0 (Bilinear)"),
    ],
)
def test_wrong_input_is_one_line_with_the_layer_s_name(net: nn.Module, example: Tensor, text: str) -> None:
    ((layer, reason),) = refused(net, example).items()
    assert layer == "" and text in reason
    with pytest.raises(ValueError):
        prepare(net, example, input_format=IMAGE)


def test_a_second_input_is_named() -> None:
    class Two(Joins):
        def forward(self, x: Tensor, y: Tensor, z: Tensor | None = None) -> Tensor:
            return super().forward(x + y)

    text = "Two: forward takes x, y; a network takes one input"
    assert refused(Two(lambda y: y)) == {"": text}


def test_values_wider_than_a_table_are_refused_by_layer() -> None:
    net = nn.Sequential(nn.GELU(), nn.Flatten(), nn.Linear(128, 2))
    with pytest.raises(ValueError, match="^0: looks up values of 9 bits, 8 are the most$"):
        prepare(net, EXAMPLE, input_format=Format(9, True, 8))
    with pytest.raises(ValueError, match="activation_bits: .* less than or equal to 8, got 9$"):
        QuantConfig(activation_bits=9)
