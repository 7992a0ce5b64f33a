"""The promise: prepared.eval(), training after the freeze, and the golden run of the frozen graph are equal."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, Graph
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn import PairAvgPool3d, PairMaxPool3d, QTTConv3d, TTConv2d, TTConv3d, TTLinear
from qtt_hw.quant import QuantConfig
from qtt_hw.tt.chain import paths
from tests.batch_norms import disturb

VOXELS, IMAGE = Format(1, False, 0), Format(8, True, 7)


@st.composite
def windows(draw: st.DrawFn, size: tuple[int, ...], largest: int = 3) -> dict:
    kernel = tuple(draw(st.integers(1, min(largest, n))) for n in size)
    stride = tuple(draw(st.integers(1, 2)) for _ in size)
    padding = tuple(draw(st.integers(0, (k - 1) // 2)) for k in kernel)
    return {"kernel_size": kernel, "stride": stride, "padding": padding}


@st.composite
def dilations(draw: st.DrawFn, size: tuple[int, ...], window: dict) -> dict:
    """A window whose taps are apart along the axes that are long enough."""
    axes = zip(size, window["kernel_size"], window["padding"], strict=True)
    apart = tuple(draw(st.integers(1, 2)) if n + 2 * p >= 2 * k - 1 else 1 for n, k, p in axes)
    return {**window, "dilation": apart}


def out_size(
    size: tuple[int, ...], kernel_size: tuple, stride: tuple, padding: tuple, dilation: tuple = (1, 1, 1)
) -> tuple[int, ...]:
    axes = zip(size, kernel_size, stride, padding, dilation, strict=True)
    return tuple((n + 2 * p - (k - 1) * d - 1) // s + 1 for n, k, s, p, d in axes)


@st.composite
def qtt_convs(draw: st.DrawFn, channels: int, out: int, window: dict, bias: bool) -> QTTConv3d:
    """A QTTConv3d of random modes and ranks along a random path."""
    modes = []
    for total in (channels, out):
        first = draw(st.sampled_from([m for m in range(1, total + 1) if total % m == 0]))
        modes.append((first, total // first))
    path = str(draw(st.sampled_from(list(paths(3)))))
    ranks = [draw(st.integers(1, 4)) for _ in range(2)]
    return QTTConv3d(channels, out, *modes, ranks, bias=bias, path=path, redundant_ranks=True, **window)


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...], Format]:
    """A random chain of supported layers with its input shape (D, H, W, C) and format."""
    fmt = draw(st.sampled_from([VOXELS, IMAGE]))
    size = tuple(draw(st.integers(1, 6)) for _ in range(3))
    channels = draw(st.integers(1, 4))
    shape = (*size, channels)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["conv", "tt", "qtt", "max", "average", "pair_max", "pair_average"]))
        window = draw(windows(size))
        if kind in ("conv", "tt", "qtt"):
            out, window = draw(st.integers(1, 6)), draw(dilations(size, window))
            if draw(st.booleans()):
                window |= {"stride": (1, 1, 1), "padding": "same"}
            else:
                size = out_size(size, **window)
            bias = draw(st.booleans())
            if kind == "qtt":
                layers.append(draw(qtt_convs(channels, out, window, bias)))
            elif kind == "conv":
                layers.append(nn.Conv3d(channels, out, bias=bias, **window))
            else:
                ranks = [draw(st.integers(1, 5)) for _ in range(4)]
                layers.append(TTConv3d(channels, out, ranks=ranks, bias=bias, redundant_ranks=True, **window))
            channels = out
            if draw(st.booleans()):
                layers.append(nn.BatchNorm3d(channels))
            if draw(st.booleans()):
                layers.append(nn.ReLU())
        elif kind.startswith("pair"):
            pool = PairMaxPool3d if kind == "pair_max" else PairAvgPool3d
            padding = draw(st.sampled_from(["same", tuple((0, k - 1) for k in window["kernel_size"])]))
            layers.append(pool(window["kernel_size"], window["stride"], padding))
            size = layers[-1].window(size).out_positions((*size, channels))
        else:
            size = out_size(size, **window)
            if kind == "max":
                layers.append(nn.MaxPool3d(**window))
            else:
                layers.append(nn.AvgPool3d(**window, count_include_pad=False))
    if draw(st.booleans()):
        layers.append(nn.AdaptiveAvgPool3d(1))
        size = (1, 1, 1)
    layers += [nn.Dropout(), nn.Flatten()]
    features = channels * int(np.prod(size))
    if draw(st.booleans()):
        modes = draw(st.sampled_from([m for m in range(1, features + 1) if features % m == 0]))
        out_modes = tuple(draw(st.integers(1, 4)) for _ in range(3))
        in_modes, rank, bias = (modes, features // modes, 1), draw(st.integers(1, 4)), draw(st.booleans())
        layers.append(TTLinear(in_modes, out_modes, rank, bias, redundant_ranks=True))
        features = int(np.prod(out_modes))
        if draw(st.booleans()):
            layers.append(nn.BatchNorm1d(features))
        if draw(st.booleans()):
            layers.append(nn.ReLU())
    layers.append(nn.Linear(features, draw(st.integers(2, 5)), bias=draw(st.booleans())))
    return nn.Sequential(*layers), shape, fmt


@st.composite
def configurations(draw: st.DrawFn) -> QuantConfig:
    bits = st.integers(2, 8)
    return QuantConfig(
        weight_bits=draw(bits),
        activation_bits=draw(bits),
        intermediate_bits=draw(bits),
        first_weight_bits=draw(st.none() | bits),
        last_weight_bits=draw(st.none() | bits),
        logit_bits=draw(st.integers(2, 16)),
        tt_form=draw(st.sampled_from(["streamed", "merged"])),
        scales=draw(st.sampled_from(["learned", "fixed"])),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), configurations(), st.integers(0, 2**31))
def test_random_networks_are_equal_in_every_phase(
    inputs, assert_equal, network, config: QuantConfig, seed: int
) -> None:
    model, shape, fmt = network
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    disturb(model)
    x, values = inputs(fmt, (4, *shape), seed)
    prepared = prepare(model, values[:1], config, fmt)
    prepared.calibrate([values])
    assert_equal(prepared, x, values)
    prepared.freeze_scales()
    prepared.freeze_statistics([values])
    graph = assert_equal(prepared, x, values)
    evaluated = prepared(values)
    prepared.train()
    trained = prepared(values)
    assert torch.equal(trained, evaluated)
    trained.square().sum().backward()
    assert all(stage.weight_format.bits == config_bits(config, graph, stage) for stage in contractions(graph))


def contractions(graph: Graph) -> list[Contraction]:
    return [node for node in graph.nodes if isinstance(node, Contraction)]


def config_bits(config: QuantConfig, graph: Graph, node: Contraction) -> int:
    """The weight bits that the configuration asks for at a node."""
    sources = [n.source for n in contractions(graph)]
    if node.source == sources[-1] and config.last_weight_bits is not None:
        return config.last_weight_bits
    if node.source == sources[0] and config.first_weight_bits is not None:
        return config.first_weight_bits
    return config.weight_bits


@pytest.mark.parametrize(("first", "last"), [(6, 8), (6, 2), (2, 8), (2, 2)])
@pytest.mark.parametrize(("kernel", "stride"), [((3, 3, 3), 2), ((3, 1, 3), 1)])
def test_trains_are_equal_whatever_their_ends(
    inputs, assert_equal, first: int, last: int, kernel: tuple, stride: int
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv3d(6, 8, kernel, stride, tuple(k // 2 for k in kernel))
    flat = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
    layer = TTConv3d.from_dense(conv, (first, 3, 3, last))
    assert layer.ends == (first == 2, last == 2)
    network = nn.Sequential(layer, nn.BatchNorm3d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    plane = nn.Sequential(
        TTConv2d.from_dense(flat, (8 if first == 6 else 2, 3, last)), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()
    )
    plane.append(nn.LazyLinear(5))
    fmt = Format(4, True, 2)
    for model, shape in ((network, (5, 4, 6, 6)), (plane, (1, 5, 4, 8))):
        x, values = inputs(fmt, (3, *shape), 1)
        model(values if model is network else values.squeeze(2))
        disturb(model)
        prepared = prepare(model, values[:1], QuantConfig(), fmt)
        prepared.calibrate([values])
        assert_equal(prepared, x, values)
