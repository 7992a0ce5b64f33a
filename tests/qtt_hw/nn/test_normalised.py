"""Networks behind the normalisation of their images: values as torchvision's, and equal as integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import InputSpec, golden
from qtt_hw.graph.preprocess import input_spec, preprocess
from qtt_hw.lower.freeze import freeze
from qtt_hw.nn.normalised import Normalised
from qtt_hw.nn.planar import squeezing_depth
from qtt_hw.quant import QuantConfig
from qtt_hw.training.quantized import prepare_model
from qtt_hw.training.sections import QuantSection

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BYTES = Format(8, True, 7)


def images(shape: tuple[int, int, int, int], n: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def values(spec: InputSpec, raw: np.ndarray) -> Tensor:
    """The input edge's values, [N, C, D, H, W]."""
    return (
        torch.from_numpy(preprocess(spec, raw).astype(np.float32)).permute(0, 4, 1, 2, 3) * 2.0**-spec.edge.format.frac
    )


@pytest.mark.parametrize("spec", [input_spec((1, 6, 6, 3), 1, 128, BYTES), input_spec((4, 6, 6, 3), 2, 128, BYTES)])
def test_values_are_those_of_the_transform(spec: InputSpec) -> None:
    raw = images(spec.sample_shape, 4)
    seen = Normalised(nn.Identity(), spec, MEAN, STD)(values(spec, raw))
    wanted = (raw.astype(np.float64) / 255 - MEAN) / STD
    back = np.moveaxis(seen.double().numpy(), 1, 4)
    if spec.block > 1:
        n, d, h, w, _ = back.shape
        back = back.reshape(n, d, h, w, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(n, 2 * d, 2 * h, 2 * w, 3)
    assert np.abs(back - wanted).max() < 1e-5


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_prepared_is_near_the_float_network_and_equal_to_the_golden_model(padding: int, dimensions: int) -> None:
    torch.manual_seed(0)
    sample = (1 if dimensions == 2 else 5, 6, 6, 3)
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if dimensions == 2 else (nn.Conv3d, nn.BatchNorm3d)
    left = (6 - 2 + 2 * padding) ** 2 * (1 if dimensions == 2 else 3 + 2 * padding)
    net = nn.Sequential(conv(3, 4, 3, padding=padding), norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * left, 3)).eval()
    net[1].running_mean.fill_(0.1)  # known statistics, which calibration leaves
    spec, raw = input_spec(sample, 1, 128, BYTES), images(sample)
    wrapped = squeezing_depth(Normalised(net, spec, MEAN, STD)).eval()
    how = QuantSection(**QuantConfig(weight_bits=8, weight_scales="channel").model_dump())
    prepared, x = prepare_model(wrapped, spec, how), values(spec, raw)
    prepared.calibrate([x])
    normalised = torch.from_numpy(((raw / 255 - MEAN) / STD).astype(np.float32)).permute(0, 4, 1, 2, 3)
    with torch.no_grad():
        wanted = net(normalised.squeeze(2) if dimensions == 2 else normalised)
    found = prepared.eval()(x)
    assert float((found - wanted).abs().max()) < 0.08 * float(wanted.std())
    graph = freeze(prepared, spec, ("a", "b", "c"), "net")
    integers = golden.run(graph, preprocess(spec, raw))[graph.nodes[-1].name]
    assert np.array_equal(integers.reshape(found.shape), (found.double() * 2.0**graph.output.format.frac).numpy())


def test_one_channel_is_normalised_by_the_first_layer() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()
    spec, raw = input_spec((4, 4, 4, 1), 1, 128, BYTES), images((4, 4, 4, 1))
    wrapped = Normalised(net, spec, (0.3,), (0.2,)).eval()
    how = QuantSection(**QuantConfig(weight_bits=8, activation_bits=8).model_dump())
    prepared, x = prepare_model(wrapped, spec, how), values(spec, raw)
    prepared.calibrate([x])
    graph = freeze(prepared, spec, ("a", "b", "c"), "net")
    assert [node.name for node in graph.nodes] == ["network.0", "network.3"]
    found = prepared.eval()(x)
    integers = golden.run(graph, preprocess(spec, raw))[graph.nodes[-1].name]
    assert np.array_equal(integers.reshape(found.shape), (found.double() * 2.0**graph.output.format.frac).numpy())
    with torch.no_grad():
        wanted = net(torch.from_numpy(((raw / 255 - 0.3) / 0.2).astype(np.float32)).permute(0, 4, 1, 2, 3))
    assert float((found - wanted).abs().max()) < 0.08 * float(wanted.std())


def test_other_channels_and_a_std_of_zero_are_refused() -> None:
    spec = input_spec((1, 6, 6, 3), 1, 128, BYTES)
    with pytest.raises(ValueError, match="mean: 2 values for samples of 3 channels; give 1 or 3"):
        Normalised(nn.Identity(), spec, (0.5, 0.5), (1.0,))
    with pytest.raises(ValueError, match="std: must be above 0, got 0"):
        Normalised(nn.Identity(), spec, (0.5,), (0.0,))
    with pytest.raises(ValueError, match="by 1e-40 are not finite"):
        Normalised(nn.Identity(), spec, (0.5,), (1e-40,))
