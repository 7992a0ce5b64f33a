import numpy as np
import pytest
import torch
from torch import nn

from qtt_hw.data import Samples
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.training.measure import accuracies, accuracy, refuse_inexact

X = np.zeros((5, 1, 1, 3, 1), np.uint8)
X[[0, 1, 2], 0, 0, [0, 1, 2]] = 1
SPEC = input_spec((1, 1, 3, 1))
CPU = torch.device("cpu")


def test_ties_go_to_the_lowest_class_and_the_mode_comes_back() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9)).train()
    samples = Samples(X, np.array([0, 1, 2, 0, 1], dtype=np.int64))
    assert accuracy(model, samples, SPEC, CPU) == 0.8
    assert model.training


def test_balanced_counts_every_class_alike() -> None:
    samples = Samples(X, np.array([0, 1, 2, 0, 0], dtype=np.int64))
    network = nn.Flatten()  # of X, the classes 0, 1, 2, 0, 0
    assert accuracies(network, samples, SPEC, CPU) == (1.0, 1.0)
    wrong = Samples(X, np.array([0, 4, 2, 0, 0], dtype=np.int64))  # and none of 1 and 3
    assert accuracies(network, wrong, SPEC, CPU) == (0.8, 2 / 3)


def test_autocast_is_refused() -> None:
    refuse_inexact()
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="evaluation refuses autocast"):
        accuracy(nn.Flatten(), Samples(X, np.zeros(5, np.int64)), SPEC, CPU)


def test_tf32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with pytest.raises(ValueError, match="evaluation refuses TF32"):
        refuse_inexact()
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    refuse_inexact()
