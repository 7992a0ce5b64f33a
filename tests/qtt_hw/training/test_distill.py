import torch
import torch.nn.functional as F
from torch import nn

from qtt_hw.training.distill import Loss, balanced

Z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(6) % 4


class Constant(nn.Module):
    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value


def test_without_teacher_it_is_cross_entropy() -> None:
    assert Loss(0.1)(Z, Z, Y) == F.cross_entropy(Z, Y, label_smoothing=0.1)


def test_agreeing_with_the_teacher_costs_nothing() -> None:
    assert abs(Loss(0.0, [Constant(Z)], 3.0, 1.0)(Z, Z, Y).item()) < 1e-6


def test_mean_of_teachers_at_temperature() -> None:
    teachers = [Constant(Z.roll(1, 1)), Constant(Z.roll(2, 1))]
    p = (F.softmax(Z.roll(1, 1) / 2, 1) + F.softmax(Z.roll(2, 1) / 2, 1)) / 2
    divergence = (p * (p.log() - F.log_softmax(Z / 2, 1))).sum(1).mean()
    wanted = 0.25 * F.cross_entropy(Z, Y) + 0.75 * 4 * divergence
    assert torch.allclose(Loss(0.0, teachers, 2.0, 0.75)(Z, Z, Y), wanted, rtol=1e-5)


def test_balanced_adds_the_frequencies_of_classes_while_training() -> None:
    y = torch.tensor([0, 0, 0, 1])
    offsets = balanced(y, 3, 1.0)
    assert offsets is not None and torch.allclose(offsets[:2], torch.tensor([0.6, 0.2]).log())
    assert balanced(y, 3, 0.0) is None
    z = Z[:, :3]
    assert Loss(0.1, offsets=offsets)(z, z, Y % 3) == F.cross_entropy(z + offsets, Y % 3, label_smoothing=0.1)


def test_balanced_of_equal_classes_changes_nothing() -> None:
    offsets = balanced(torch.arange(8) % 4, 4, 1.0)
    assert torch.allclose(Loss(0.1, offsets=offsets)(Z, Z, Y), Loss(0.1)(Z, Z, Y))
