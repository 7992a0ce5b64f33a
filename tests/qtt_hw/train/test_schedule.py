import pytest
import torch
from torch import nn

from qtt_hw.train.schedule import END, START, build_optimizer, rate, set_rates


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_rises_then_falls(schedule: str) -> None:
    rates = [rate(step, 200, schedule, 0.2) for step in range(200)]
    assert rates[0] == START and rates[40] == 1 and abs(rates[-1] - END) < 1e-12
    assert rates[:41] == sorted(rates[:41]) and rates[40:] == sorted(rates[40:], reverse=True)


def test_constant_and_no_warmup() -> None:
    assert [rate(step, 4, "constant", 0.0) for step in range(4)] == [1, 1, 1, 1]
    assert rate(0, 10, "cosine", 0.0) == 1 and rate(0, 1, "cosine", 0.0) == 1
    assert rate(0, 4, "constant", 0.5) == START and rate(2, 4, "constant", 0.5) == 1


def test_cosine_warmup_is_straight() -> None:
    rates = [rate(step, 100, "cosine", 0.4) for step in range(40)]
    differences = [b - a for a, b in zip(rates, rates[1:], strict=False)]
    assert max(differences) - min(differences) < 1e-12


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_groups(kind: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    scale = nn.Parameter(torch.zeros(()))
    model.register_parameter("scale", scale)
    optimizer = build_optimizer(model, kind, 0.1, 0.5, 0.9, [scale], 0.02)  # type: ignore[arg-type]
    found = {id(p): (g["weight_decay"], g["lr"]) for g in optimizer.param_groups for p in g["params"]}
    assert found == {
        id(p): (0.0, 0.02) if p is scale else (0.5, 0.1) if p.dim() > 1 else (0.0, 0.1) for p in model.parameters()
    }
    set_rates(optimizer, 0.5)
    set_rates(optimizer, 0.5)
    assert sorted(group["lr"] for group in optimizer.param_groups) == [0.01, 0.05, 0.05]
