"""The bars of `progress_bar`: one per step, with or without an end that is known."""

from __future__ import annotations

import pytest

from qtt_hw.training.progress import progress_bar


def test_a_bar_per_step(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as told:
        told("train: float", 1, 3, "loss 0.693")
        told("train: float", 3, 3, "loss 0.512")
        told("ranks")
        told("ranks", 1, 2, text="plan")
    found = capsys.readouterr()
    assert found.out == ""
    bars = [line.split() for line in found.err.splitlines() if line.strip()]
    assert [(bar[0], bar[-1]) for bar in bars] == [("train:", "0.512"), ("ranks", "plan")]
    assert "3/3" in bars[0] and "1/2" in bars[1]
