import pytest
import torch
from torch import nn

from qtt_hw.training.schedule import END, START, Schedule, build_optimizer, set_rates


def rate(step: int, steps: int, kind: str, warmup: float) -> float:
    return Schedule(kind, warmup).rate(step, steps)  # type: ignore[arg-type]


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


def test_steps_fall_to_a_tenth() -> None:
    schedule = Schedule("steps", drops=(0.5, 0.75))
    rates = [schedule.rate(step, 8) for step in range(8)]
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    assert Schedule("steps", warmup=0.25, drops=(0.5,)).rate(0, 8) == START


def test_exp_range_is_the_published_cycle() -> None:
    """Against torch's CyclicLR of the same cycles."""
    steps, cycles, base, fade = 120, 3, 0.2, 0.05
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    cyclic = torch.optim.lr_scheduler.CyclicLR(
        optimizer, base, 1.0, step_size_up=steps // cycles // 2, mode="exp_range", gamma=fade ** (1 / steps)
    )
    schedule = Schedule("exp-range", warmup=0.5, cycles=cycles, base=base, fade=fade)
    for step in range(steps):
        assert schedule.rate(step, steps) == pytest.approx(cyclic.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        cyclic.step()
