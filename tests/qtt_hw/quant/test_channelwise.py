"""Weights with a scale by output channel: values, scales of least error, and whole networks equal as integers."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, golden
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.nn import QTTConv3d, TTLinear
from qtt_hw.quant import QuantConfig
from qtt_hw.quant.channelwise import SHARES, ChannelQuantizer

VOXELS = Format(1, False, 0)


def weights(rows: int = 6, seed: int = 0) -> Tensor:
    """Rows of sizes far apart, one of them zero."""
    weight = torch.randn(rows, 3, 2, generator=torch.Generator().manual_seed(seed))
    weight *= torch.logspace(-4, 3, rows).view(-1, 1, 1)
    weight[1] = 0
    return weight


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_integers_are_of_the_divided_weights_and_use_all_their_bits(bits: int) -> None:
    weight, quantizer = weights(), ChannelQuantizer(bits, 6)
    quantizer.calibrate(weight)
    integers = quantizer.integers(weight)
    assert torch.equal(quantizer(weight).double(), integers * 2.0 ** (1 - bits))
    greatest = integers.abs().flatten(1).amax(1)
    assert greatest.tolist() == [greatest[0], 0.0, *greatest[2:]]
    assert bool((greatest[[0, 2, 3, 4, 5]] > 0.6 * quantizer.format.maximum).all())


@pytest.mark.parametrize("bits", [3, 4])
def test_of_the_shares_tried_none_has_less_error(bits: int) -> None:
    weight, quantizer = weights(seed=3), ChannelQuantizer(bits, 6)
    quantizer.calibrate(weight)
    scales = quantizer.channel_scale.double().numpy()
    most = 2 ** (bits - 1) - 1
    for row, scale in zip(weight.double().flatten(1).numpy(), scales, strict=True):
        if not row.any():
            assert scale == 1.0
            continue

        def error(step: float, row: np.ndarray = row) -> float:
            return float(np.square(np.clip(np.floor(row / step + 0.5), -most, most) * step - row).sum())

        tried = [np.abs(row).max() * share / most for share in SHARES]
        assert error(scale * 2.0 ** (1 - bits)) == pytest.approx(min(map(error, tried)), rel=1e-5)  # float32 scales


def test_a_weight_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        ChannelQuantizer(4, 2).calibrate(torch.tensor([[1.0], [float("inf")]]))


def network() -> nn.Module:
    """Layers with batch norm, with a bias and with neither, a depthwise one, tensor trains; channels of all sizes."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(1, 4, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.Conv3d(4, 4, 3, padding=1, groups=4),
        nn.ReLU(),
        QTTConv3d(4, 8, (2, 2), (4, 2), 3, padding=1),
        nn.BatchNorm3d(8),
        nn.ReLU(),
        nn.Conv3d(8, 8, 1, bias=False),
        nn.AvgPool3d(2),
        nn.Flatten(),
        TTLinear((4, 16), (4, 2), 3, bias=True),
        nn.ReLU(),
        nn.Linear(8, 3),
    )
    with torch.no_grad():
        for layer in (net[0], net[3], net[8], net[13]):
            layer.weight.mul_(torch.logspace(-2, 0, len(layer.weight)).view(-1, *(1,) * (layer.weight.ndim - 1)))
    return net


def samples(n: int = 8, seed: int = 0) -> Tensor:
    return (torch.rand(n, 1, 8, 8, 8, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def prepared(scales: str) -> PreparedModel:
    model = prepare(network(), samples(1), QuantConfig(weight_bits=4, weight_scales=scales), VOXELS)
    model.calibrate([samples(32, 1), samples(32, 2)])
    return model


def test_prepared_is_golden_in_every_phase() -> None:
    model, x = prepared("channel"), samples()
    optimizer = torch.optim.Adam(model.parameter_groups(1e-2, 1e-4, 1e-2))
    losses = []
    for step in range(4):
        if step == 2:
            model.freeze_scales()
            model.freeze_statistics([samples(64, 3)])
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model.train()(x), torch.arange(8) % 3)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        trained, evaluated = model.train()(x), model.eval()(x)
        assert torch.equal(trained, evaluated) == (step >= 2)
        graph = freeze(model, input_spec((8, 8, 8, 1)), ("a", "b", "c"), "net")
        integers = golden.run(graph, x.permute(0, 2, 3, 4, 1).numpy().astype(np.int64), intermediates=True)
        found = {name: y.permute(0, 2, 3, 4, 1).numpy() for name, y in model.forward_all(x).items()}
        assert all(np.array_equal(integers[name], y) for name, y in found.items())
    assert losses[1] < losses[0] and losses[3] < losses[2]


def test_channels_far_apart_lose_less() -> None:
    x = samples(64, 9)
    with torch.no_grad():
        wanted = network().train()(x)
    error = {}
    for scales in ("tensor", "channel"):
        model = prepared(scales)
        # Batch norm's statistics are the samples' own in training, as the float network's are here.
        error[scales] = float((model.train()(x) - wanted).detach().square().mean())
    assert error["channel"] < error["tensor"] / 2


def test_every_requantiser_between_cores_multiplies() -> None:
    graph = freeze(prepared("channel"), input_spec((8, 8, 8, 1)), ("a", "b", "c"), "net")
    assert all(node.requant.affine for node in graph.nodes if isinstance(node, Contraction))


@pytest.mark.parametrize("factor", [0.0, 1e-42, 1e6])
def test_a_layer_of_zeros_or_of_tiny_or_large_weights_is_calibrated(factor: float) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Conv3d(2, 2, 3, bias=False), nn.Flatten(), nn.Linear(128, 3))
    with torch.no_grad():
        net[2].weight.mul_(factor)
    model = prepare(net, samples(1), QuantConfig(weight_bits=4, weight_scales="channel"), VOXELS)
    x = samples()
    model.calibrate([x])
    graph = freeze(model, input_spec((8, 8, 8, 1)), ("a", "b", "c"), "net")
    integers = golden.run(graph, x.permute(0, 2, 3, 4, 1).numpy().astype(np.int64), intermediates=True)
    found = {name: y.permute(0, 2, 3, 4, 1).numpy() for name, y in model.eval().forward_all(x).items()}
    assert all(np.array_equal(integers[name], y) for name, y in found.items())
    assert bool(np.any(integers["2"])) == (factor == 1e6)


def test_weights_too_large_for_an_output_are_refused_by_name() -> None:
    net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(432, 3))
    with torch.no_grad():
        net[3].weight.mul_(1e30)
    model = prepare(net, samples(1), QuantConfig(weight_bits=4, weight_scales="channel"), VOXELS)
    with pytest.raises(ValueError, match=r"3: weights of a channel .* scale the weights down"):
        model.calibrate([samples()])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scales": "fixed"}, "scales"),
        ({"tt_form": "merged"}, "tt_form"),
        ({"codebook": "dqc"}, "codebook"),
    ],
)
def test_what_has_a_scale_for_a_tensor_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        QuantConfig(weight_scales="channel", **options)


def test_the_state_holds_the_scales() -> None:
    first, second = prepared("channel"), prepare(network(), samples(1), QuantConfig(weight_scales="channel"), VOXELS)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.eval()(samples()), second.eval()(samples()))
