"""The merged tensor train: cores and products quantised one after the other, against a plain loop."""

import numpy as np
import torch
from torch import nn

from qtt_hw.fixedpoint import Format, quantize
from qtt_hw.graph import Contraction
from qtt_hw.lower.kinds.merged import MergedStage
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.nn import QTTConv3d
from qtt_hw.quant import QuantConfig


def prepared(scales: str) -> PreparedModel:
    torch.manual_seed(0)
    conv = QTTConv3d(4, 6, (2, 2), (3, 2), (3, 4), padding=1)
    model = nn.Sequential(conv, nn.BatchNorm3d(6), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 2))
    config = QuantConfig(weight_bits=6, tt_form="merged", scales=scales)
    made = prepare(model, torch.zeros(1, 4, 5, 5, 5), config)
    made.calibrate([torch.randint(0, 2, (8, 4, 5, 5, 5)).float()])
    return made


def by_hand(stage: MergedStage) -> np.ndarray:
    """The integers [out, in, taps] of the kernel, core after core."""

    def rounded(values: np.ndarray, fmt: Format) -> np.ndarray:
        return quantize(values, fmt) * 2.0**-fmt.frac

    cores = [core.detach().double().numpy() for core in stage.cores]
    if stage.weight_quantizer.fixed:  # rescaled to equal norms at every step
        norms = np.array([np.linalg.norm(core) for core in cores])
        cores = [core * np.exp(np.log(norms).mean()) / norm for core, norm in zip(cores, norms, strict=True)]
    factors = [rounded(core, q.format) for core, q in zip(cores, stage.core_quantizers, strict=True)]
    merged = factors[0]
    formats = [q.format for q in (*stage.product_quantizers, stage.weight_quantizer)]
    for factor, fmt in zip(factors[1:], formats, strict=True):
        product = np.einsum("rcsx,xdtq->rcdstq", merged, factor)
        r, c, d, s, t, q = product.shape
        merged = rounded(product.reshape(r, c * d, s * t, q), fmt)
    kernel = merged[0, :, :, 0].reshape(4, 27, 6).transpose(2, 0, 1)
    return kernel * 2.0**stage.weight_quantizer.frac


def test_the_kernel_is_the_product_rounded_after_every_merge() -> None:
    for scales in ("learned", "fixed"):
        model = prepared(scales)
        stage = model.stages[0]
        assert isinstance(stage, MergedStage)
        expected = by_hand(stage)
        assert np.array_equal(stage.weight_integers().flatten(2).numpy(), expected)
        node = stage.node(model.input.format)
        assert isinstance(node, Contraction) and node.carried == 1
        assert np.array_equal(node.weight.transpose(0, 4, 1, 2, 3).reshape(6, 4, 27), expected)
        assert np.abs(expected).max() > 4


def test_fixed_scales_are_the_published_ones() -> None:
    model = prepared("fixed")
    stage = model.stages[0]
    assert isinstance(stage, MergedStage)
    quantizers = [*stage.core_quantizers, *stage.product_quantizers, stage.weight_quantizer]
    assert [q.frac for q in quantizers] == [5] * 5
    assert stage.output_quantizer.format == Format(8, False, 7)
    model.train()
    model(torch.ones(2, 4, 5, 5, 5)).sum().backward()
    assert not any(p.requires_grad for n, p in stage.named_parameters() if n.endswith("log2_scale"))
    groups = {group["name"]: {id(p) for p in group["params"]} for group in model.parameter_groups(1, 1, 1)}
    assert set.union(*groups.values()) == {id(p) for p in model.parameters() if p.requires_grad}
    assert {id(core) for core in stage.cores} < groups["weights"]


def test_fixed_cores_may_drift_apart_in_norm() -> None:
    stage = prepared("fixed").stages[0]
    assert isinstance(stage, MergedStage)
    before = stage.weight_integers()
    with torch.no_grad():
        stage.cores[0].mul_(8.0)
        stage.cores[1].div_(8.0)
    assert torch.equal(stage.weight_integers(), before)


def test_every_core_learns() -> None:
    model = prepared("learned").train()
    model(torch.randint(0, 2, (4, 4, 5, 5, 5)).float()).square().sum().backward()
    stage = model.stages[0]
    assert isinstance(stage, MergedStage)
    assert all(float(core.grad.abs().sum()) > 0 for core in stage.cores)


def test_calibration_leaves_cores_of_equal_norm() -> None:
    stage = prepared("learned").stages[0]
    assert isinstance(stage, MergedStage)
    norms = [float(core.detach().double().norm()) for core in stage.cores]
    assert max(norms) / min(norms) < 1.001
