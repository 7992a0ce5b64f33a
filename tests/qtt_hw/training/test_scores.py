"""Losses, accuracies and their differences, with standard errors that are those of the samples drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qtt_hw.data import Samples
from qtt_hw.training.scores import Scores, decibels


def scores(count: int, seed: int = 0) -> tuple[Scores, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (count,), generator=generator).numpy()
    logits = torch.randn(count, 3, generator=generator)
    return Scores(Samples(np.zeros((count, 1, 1, 1, 1), np.uint8), y)), logits


def test_levels_by_hand() -> None:
    found = Scores(Samples(np.zeros((2, 1, 1, 1, 1), np.uint8), np.array([0, 1])))
    level = found.level(torch.tensor([[0.0, 0.0], [0.0, 0.0]]))  # of equal logits the lowest index is taken
    assert (level.accuracy, level.accuracy_error) == (0.5, 0.5)
    assert level.loss == pytest.approx(np.log(2)) and level.loss_error == pytest.approx(0.0)


def test_errors_of_differences_are_of_the_same_samples() -> None:
    of, logits = scores(500)
    change = of.change(logits + 0.01 * torch.randn(500, 3, generator=torch.Generator().manual_seed(1)), logits)
    assert change.loss_error < 0.1 * of.level(logits).loss_error
    assert abs(change.loss) < 4 * change.loss_error
    assert change.snr == pytest.approx(40, abs=1)
    same = of.change(logits, logits)
    assert (same.loss, same.loss_error, same.accuracy, same.accuracy_error, same.snr) == (0, 0, 0, 0, None)


def test_standard_errors_say_how_far_samples_are_off() -> None:
    of, logits = scores(20_000, 3)
    whole = of.level(logits)
    off = []
    for start in range(0, 20_000, 200):
        part = Scores(Samples(of.samples.x[start : start + 200], of.samples.y[start : start + 200]))
        level = part.level(logits[start : start + 200])
        off.append((level.loss - whole.loss) / level.loss_error)
    assert 0.8 < np.std(off) < 1.2


def test_one_sample_has_no_error_and_no_energy_no_ratio() -> None:
    of, logits = scores(1)
    assert of.level(logits).loss_error == 0.0
    assert decibels(0.0, 1.0) is None and decibels(1.0, 0.0) is None and decibels(100.0, 1.0) == pytest.approx(20)
