"""The algorithm on losses whose constrained optimum is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from qtt_hw.lc.algorithm import LCModel
from qtt_hw.lc.compression import Codes, TensorTrain


class Quadratic(nn.Module):
    """L(w) = 1/2 ||w - optimum||^2 of a kernel."""

    def __init__(self, optimum: Tensor) -> None:
        super().__init__()
        self.layer = nn.Conv2d(optimum.shape[1], optimum.shape[0], tuple(optimum.shape[2:]), bias=False).double()
        self.optimum = optimum

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * (self.layer.weight - self.optimum).square().sum() * x


def solve(model: LCModel, pairs: int) -> Tensor:
    """Alternate exact L steps (the penalised quadratic has a closed form) and C steps; the last compressed weight."""
    network = model.network
    assert isinstance(network, Quadratic)
    weight = network.layer.weight
    for _ in range(pairs):
        mu = float(model.mu) if model.pulled else 0.0
        pull = model.target_0 + model.multiplier_0 / mu if mu else 0.0
        with torch.no_grad():
            weight.copy_((network.optimum + mu * pull) / (1.0 + mu))
        gradient = torch.autograd.grad(network(torch.ones(())) + model.penalty(), weight)[0]
        assert gradient.norm() < 1e-9  # the closed form is the minimum of what training would see
        model.compress()
    return model.target_0


@pytest.mark.parametrize("method", ["augmented", "penalty"])
def test_it_ends_at_the_best_constrained_weight(method: str) -> None:
    """Under a quadratic loss the optimum is the optimum's own compression."""
    torch.manual_seed(0)
    optimum = torch.randn(6, 4, 1, 1, dtype=torch.float64)
    how = TensorTrain((2, 2, 2))  # a 1x1 kernel: the best matrix of rank 2
    model = LCModel(Quadratic(optimum), {"layer": how}, mu=0.1, growth=1.3, method=method)  # type: ignore[arg-type]
    assert not model.pulled and model.penalty() == 0
    found = solve(model, 60)
    u, s, vt = torch.linalg.svd(optimum[:, :, 0, 0])
    best = (u[:, :2] * s[:2]) @ vt[:2]
    assert torch.allclose(found[:, :, 0, 0], best, atol=1e-6)
    assert model.distance < 1e-4 and set(model.distances()) == {"layer"}
    assert float(model.mu) == pytest.approx(0.1 * 1.3**59) and int(model.progress) == 60


def test_multipliers_bring_the_weights_nearer_than_the_penalty_alone() -> None:
    torch.manual_seed(1)
    optimum = torch.randn(5, 5, 1, 1, dtype=torch.float64)
    distance = {}
    for method in ("augmented", "penalty"):
        model = LCModel(Quadratic(optimum), {"layer": TensorTrain((1, 1, 1))}, 4.0, 1.0, method)  # type: ignore[arg-type]
        solve(model, 20)
        distance[method] = model.distance
        assert bool(model.multiplier_0.any()) is (method == "augmented")
    assert distance["augmented"] < 0.1 * distance["penalty"]


def test_the_first_step_is_plain_training() -> None:
    optimum = torch.randn(3, 3, 1, 1, dtype=torch.float64)
    model = LCModel(Quadratic(optimum), {"layer": Codes(3, "dqc")})
    solve(model, 1)
    network = model.network
    assert isinstance(network, Quadratic) and torch.equal(network.layer.weight, optimum)
    assert float(model.mu) == 1e-3 and not model.multiplier_0.any() and model.pulled
    assert model.penalty() == 0.5e-3 * (optimum - model.target_0).square().sum()


def test_its_state_is_all_that_is_needed() -> None:
    torch.manual_seed(2)
    optimum = torch.randn(4, 4, 1, 1, dtype=torch.float64)

    def new() -> LCModel:
        return LCModel(Quadratic(optimum), {"layer": TensorTrain((2, 2, 2))}, 0.1, 1.5)

    whole, first, second = new(), new(), new()
    solve(whole, 8)
    solve(first, 3)
    second.load_state_dict(first.state_dict())
    solve(second, 5)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_refusals() -> None:
    network = Quadratic(torch.randn(2, 2, 1, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="nothing to compress"):
        LCModel(network, {})
    with pytest.raises(ValueError, match="has no layer 'other' with a weight"):
        LCModel(network, {"other": Codes(2)})
    model = LCModel(network, {"layer": Codes(3, "dqc")})
    nn.init.zeros_(network.layer.weight)
    with pytest.raises(ValueError, match="layer: all its weights are 0"):
        model.compress()
