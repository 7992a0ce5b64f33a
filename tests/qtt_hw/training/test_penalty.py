"""Penalties: their sums, on the weights that the model computes with."""

import pytest
import torch
from torch import nn

from qtt_hw.lower.prepare import prepare
from qtt_hw.quant import QuantConfig
from qtt_hw.training.distill import Loss
from qtt_hw.training.penalty import Penalised, weights_of


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 3))


@pytest.mark.parametrize(("kind", "size"), [("l1", lambda w: w.abs().sum()), ("l2", lambda w: (w * w).sum() / 2)])
@pytest.mark.parametrize("codebook", [None, "dqc"])
def test_a_penalty_is_on_kernels_and_matrices_as_they_are_computed_with(kind, size, codebook) -> None:
    model = network()
    x, y = (torch.rand(4, 1, 2, 2, 2) < 0.5).float(), torch.arange(4) % 3
    weights = [model[0].weight, model[4].weight]
    if codebook is not None:
        model = prepare(model, x, QuantConfig(codebook=codebook, weight_bits=3, zero=True))
        model.calibrate([x])
        weights = [stage.quantized_weight().detach() for stage in model.contractions]
        assert all(len(weight.abs().unique()) <= 4 for weight in weights)
    logits = model.train()(x)
    loss = Loss()
    found = Penalised(loss, model, kind, 0.25)(x, logits, y)
    expected = loss(x, logits, y) + 0.25 * sum(size(weight) for weight in weights)
    assert torch.isclose(found, expected)
    assert len(list(weights_of(model))) == 2


def test_its_gradient_is_the_quantiser_s() -> None:
    """Of l2 with the published gradient |q| * q: weights at 0 are not pulled."""
    x = (torch.rand(4, 1, 2, 2, 2) < 0.5).float()
    model = prepare(network(), x, QuantConfig(codebook="dqc", weight_bits=3, zero=True))
    model.calibrate([x])
    stage = model.contractions[0]
    Penalised(lambda *_: torch.zeros(()), model, "l2", 2.0)(x, x, x).backward()
    quantized = stage.quantized_weight().detach()
    assert torch.equal(stage.weight.grad, 2.0 * quantized * quantized.abs())
