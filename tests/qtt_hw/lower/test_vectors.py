"""Networks that read vectors [N, C]: volumes of one position."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import qtt_hw
from qtt_hw.cli.show import input_shape
from qtt_hw.fixedpoint import Format
from qtt_hw.freezing import check_source
from qtt_hw.graph.preprocess import input_spec, preprocess
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn import TTLinear
from qtt_hw.nn.planar import as_volumes, reading

IMAGE = Format(8, True, 7)


def autoencoder(*widths: int) -> nn.Sequential:
    """Linear layers with batch norm and ReLU, through a bottleneck, and one that puts out as many as come in."""
    layers: list[nn.Module] = []
    for width, made in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(width, made), nn.BatchNorm1d(made), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], widths[0]))


def test_an_autoencoder_is_simulated_with_equal_integers_and_cycles_as_predicted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = autoencoder(24, 8, 4, 8)
    raw = np.random.default_rng(0).integers(0, 256, (64, 24), dtype=np.uint8)
    spec = input_spec((24,), offset=128, format=IMAGE)
    x = torch.from_numpy(preprocess(spec, raw)).flatten(1) / 128
    assert x.shape == (64, 24) and all(row.supported for row in check(net, x[:2], IMAGE))
    prepared = prepare(net, x[:2], input_format=IMAGE)
    assert [stage.name for stage in prepared.stage_list] == ["0", "3", "6", "9"]
    prepared.calibrate([x], estimate_statistics=True)
    graph = qtt_hw.freeze(prepared.eval(), spec, name="autoencoder")
    qtt_hw.save(graph, tmp_path / "model.qtt")
    graph = qtt_hw.load(tmp_path / "model.qtt")
    assert graph.input.sample_shape == (1, 1, 1, 24) and graph.output.shape == (1, 1, 1, 24)
    logits = qtt_hw.run(graph, preprocess(spec, raw))["9"]
    assert torch.equal(torch.from_numpy(logits).flatten(1) * 2.0**-graph.output.format.frac, prepared(x))
    qtt_hw.emit(graph, tmp_path / "build", qtt_hw.plan(graph, "ecp5-25f"), taps=True)
    np.savez(tmp_path / "own.npz", x=raw, y=np.arange(64) % 24, x_test=raw, y_test=np.arange(64) % 24)
    result = qtt_hw.cosim(tmp_path / "build", tmp_path / "own.npz", samples=6)
    assert result.equal and result.cycles_equal
    assert (result.cycles, result.latency) == (result.predicted_cycles, result.predicted_latency)


def test_they_train_as_vectors_and_as_volumes_of_one_position() -> None:
    torch.manual_seed(0)
    x = torch.randint(-128, 128, (64, 6)) / 128
    prepared = prepare(autoencoder(6, 3), x[:1], input_format=IMAGE)
    prepared.calibrate([(x, None)])
    assert torch.equal(prepared.train()(x), prepared(x[:, :, None, None, None]))
    prepared(x).square().sum().backward()
    assert all(p.grad is not None for p in prepared.parameters() if p.requires_grad)
    with pytest.raises(ValueError, match=r"input of shape \[64, 5, 1, 1, 1\] given, the model takes \[N, 6, 1, 1, 1\]"):
        prepared(x[:, :5])


class Joins(nn.Module):
    """Two branches of a vector, in a sum, a product and a concatenation, and a layer in tensor trains."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 4), nn.Linear(8, 4)
        self.train_layer = TTLinear((2, 4), (2, 2), 2)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.one(x), F.gelu(self.two(x))
        y = torch.cat([a + b, a * torch.sigmoid(b)], dim=1)
        return self.train_layer(y.relu()) + y[:, 2:6]


def test_joins_of_vectors(inputs, assert_equal) -> None:
    torch.manual_seed(0)
    x, values = inputs(IMAGE, (16, 1, 1, 1, 8), 0)
    prepared = prepare(Joins(), values.flatten(1), input_format=IMAGE)
    prepared.calibrate([values.flatten(1)])
    assert_equal(prepared, x, values.flatten(1))


def test_maps_of_vectors_are_refused_where_pytorch_does() -> None:
    (row,) = check(nn.Sequential(nn.Linear(8, 8), nn.Conv2d(8, 8, 1)), torch.zeros(2, 8), IMAGE)
    assert not row.supported and row.instead.startswith("Sequential: does not run on an example of shape [2, 8]: ")


def test_the_command_line_takes_their_size_alone(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\ndef Net():\n    return nn.Linear(6, 3)\n")
    assert check_source(f"{tmp_path / 'net.py'}:Net", (6,)).supported
    assert input_shape("640") == (640,) and input_shape("3,8,8") == (3, 1, 8, 8) and input_shape(None) is None
    for text in ("0", "1" * 80, "8,15", "-3"):
        with pytest.raises(ValueError, match=r"^--input .*expected C,D,H,W or C,H,W|has more than"):
            input_shape(text)


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("depth", [True, False])
def test_functions_alone_say_whether_they_read_maps_or_volumes(planar: bool, depth: bool) -> None:
    class Functions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(4, 2, *[3] * (3 - planar)))
            self.rows = nn.Parameter(torch.randn(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            y = (F.conv2d if planar else F.conv3d)(x, self.kernel, padding=1).relu()
            y = F.max_pool2d(y, 2) if planar else F.max_pool3d(y, (1, 2, 2))
            return F.linear(y.mean((2, 3) if planar else (2, 3, 4)), self.rows)

    example = torch.zeros(2, 2, 1, 4, 4) if depth else torch.zeros(2, 2, 4, 4)
    assert [row.instead for row in check(Functions(), example, IMAGE)] == [""] * 5


def test_functions_alone_are_followed_as_training_reads_them(inputs, assert_equal) -> None:
    class Functions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.head = nn.Parameter(torch.randn(4, 2, 3, 3)), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.conv2d(x, self.kernel).relu().mean((2, 3)))

    torch.manual_seed(0)
    x, values = inputs(IMAGE, (8, 1, 4, 4, 2), 0)
    model = prepare(reading(Functions().eval(), values), values, input_format=IMAGE)
    model.calibrate([values])
    assert_equal(model, x, values)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 3, 1, 4, 4)])
def test_a_map_that_forward_makes_a_volume_of_is_refused_for_what_is_read(shape: tuple[int, ...]) -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(1, 4, 3, padding=(0, 1, 1)), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv(x.unsqueeze(1)).mean((2, 3, 4)))

    (row,) = [row for row in check(Deep(), torch.zeros(shape), IMAGE) if not row.supported]
    assert row.layer == "conv" and row.instead.startswith("reads [N, 1, C, H, W] of a volume, which is not supported")
    with pytest.raises(ValueError, match=r"^conv \(Conv3d\) reads \[N, 1, C, H, W\] of a volume"):
        prepare(reading(Deep().eval(), as_volumes(torch.zeros(shape))), torch.zeros(shape), input_format=IMAGE)


def test_a_3d_network_is_told_of_the_volumes_that_it_was_given() -> None:
    net = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.Flatten(), nn.Linear(5, 2))
    (row,) = check(net, torch.zeros(2, 2, 4, 4), IMAGE)
    assert row.instead.startswith("Sequential: does not run on an example of shape [2, 2, 1, 4, 4]: 2 (Linear): mat1")
    with pytest.raises(RuntimeError, match=r"\(2x64 and 5x2\)"):
        reading(net.eval(), torch.zeros(2, 2, 1, 4, 4))


def test_one_that_runs_neither_way_is_told_of_the_axes_that_were_given() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(5, 2))
    for shape in ((2, 2, 4, 4), (2, 2, 1, 4, 4)):
        (row,) = check(net, torch.zeros(shape), IMAGE)
        assert f"does not run on an example of shape {list(shape)}" in row.instead
