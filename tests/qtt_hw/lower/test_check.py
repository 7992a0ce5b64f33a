"""check lists every layer and raises for none."""

import torch
from torch import nn

from qtt_hw.lower.check import Row, check


def rows(*layers: nn.Module) -> list[tuple[str, str, bool]]:
    return [(r.layer, r.type, r.supported) for r in check(nn.Sequential(*layers), torch.zeros(1, 1, 4, 4, 4))]


def test_supported_layers_are_all_listed() -> None:
    layers = (nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(16, 3))
    assert rows(*layers) == [(str(i), type(layer).__name__, True) for i, layer in enumerate(layers)]


def test_layers_behind_an_unsupported_one_are_judged_on_their_own() -> None:
    found = rows(
        nn.Conv3d(1, 2, 3, groups=1),
        nn.GELU(),
        nn.ReLU(),
        nn.Conv3d(2, 4, 2, dilation=1, groups=2),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.MaxPool3d(1),
        nn.Conv3d(4, 4, 1),
        nn.Flatten(),
        nn.Linear(4, 2),
        nn.BatchNorm1d(2),
    )
    assert [name for name, _, supported in found if not supported] == ["1", "3"]
    assert len(found) == 11


def test_rows_say_what_to_use_instead() -> None:
    found = check(nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.Softmax(1)), torch.zeros(1, 1, 4, 4, 4))
    assert found[-1] == Row(
        layer="2",
        type="Softmax",
        supported=False,
        instead="is not supported; leave it out: the hardware puts out logits and their argmax",
    )
    assert found[0].instead == ""


def test_faults_of_the_whole_model_are_rows_too() -> None:
    class Branchy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    (row,) = check(Branchy(), torch.zeros(1, 1, 4, 4, 4))
    assert (row.layer, row.type, row.supported) == ("", "Branchy", False) and "cannot be traced" in row.instead
    found = check(nn.Sequential(nn.Conv3d(1, 2, 3)), torch.zeros(1, 1, 4, 4, 4))
    assert [(r.layer, r.supported) for r in found] == [("0", True), ("", False)]


def test_pools_that_cannot_be_exact_are_found() -> None:
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.AvgPool3d((1, 1, 4)), nn.Flatten(), nn.Linear(32, 2))
    assert all(r.supported for r in check(net, torch.zeros(1, 1, 4, 4, 4)))
