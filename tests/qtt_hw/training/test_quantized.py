"""The quantised phase begins with statistics of its own calibration batches, not with those of the float phase."""

from types import SimpleNamespace

import torch
from torch import nn

from qtt_hw.lower.prepare import prepare
from qtt_hw.training.quantized import calibrate
from qtt_hw.training.sections import QuantSection


def test_calibration_in_training_replaces_trained_statistics() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2))
    x = torch.randint(0, 2, (64, 1, 2, 2, 2)).float()
    net[:2](x)
    prepared, asked = (prepare(net.eval(), x[:1]) for _ in range(2))
    trained = prepared.stage_list[0].batch_norm.running_mean.clone()
    batches = SimpleNamespace(some=lambda count, epoch: [x[:32]] * count)
    calibrate(prepared, batches, QuantSection(calibration=3))  # type: ignore[arg-type]
    asked.calibrate([x[:32]] * 3, estimate_statistics=True)
    found, expected = (model.stage_list[0].batch_norm.running_mean for model in (prepared, asked))
    assert torch.equal(found, expected) and not torch.equal(found, trained)
