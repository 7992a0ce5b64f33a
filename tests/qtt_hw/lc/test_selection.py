"""Choices that are made once, recorded as numbers, and left out where nothing is saved."""

import pytest
import torch
from torch import nn

from qtt_hw.lc.algorithm import LCModel
from qtt_hw.lc.compression import Codes, TensorTrain, Whole
from qtt_hw.lc.selection import EVBMF, BayesOpt, Given


def low_rank(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    core = torch.randn(3, 3, 3, 4, generator=generator, dtype=torch.float64)
    ends = [torch.randn(n, r, generator=generator, dtype=torch.float64) for n, r in ((16, 3), (20, 4))]
    clean = torch.einsum("ia,axyb,jb->jixy", ends[0], core, ends[1])
    return clean / clean.std() + 0.05 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("how", [EVBMF(), BayesOpt(), EVBMF(codes=Codes(4)), BayesOpt(tucker="bayes")])
def test_ranks_of_a_kernel(how: EVBMF) -> None:
    weight = low_rank()
    numbers = how.numbers(weight)
    assert len(numbers) == how.count(weight) == 5
    found = how.compression(numbers)
    assert isinstance(found, TensorTrain) and found.codes == how.codes
    if how != BayesOpt(tucker="bayes"):
        assert found.tucker == (3, 4) and found.ranks is not None and (found.ranks[0], found.ranks[2]) == (3, 4)
        assert (found.compress(weight) - weight).norm() < (0.5 if how.codes else 0.2) * weight.norm()


def test_what_would_not_be_smaller_stays_whole() -> None:
    weight = torch.randn(4, 3, 3, 3)
    assert EVBMF(factor=0.0).numbers(weight) == (0, 0, 0, 0, 0)
    assert isinstance(EVBMF().compression((0,) * 5), Whole)
    assert Given(Codes(3)).numbers(weight) == () and Given(Codes(3)).compression(()) == Codes(3)


def test_a_choice_is_made_at_the_first_c_step_and_kept() -> None:
    network = nn.Sequential(nn.Conv2d(16, 20, 3, bias=False), nn.Conv2d(20, 4, 1, bias=False)).double()
    with torch.no_grad():
        network[0].weight.copy_(low_rank())
    model = LCModel(network, {"0": EVBMF(), "1": EVBMF(factor=0.0)}, mu=0.1)
    model.compress()
    chosen = model.compression("0")
    assert isinstance(chosen, TensorTrain) and chosen.tucker == (3, 4)
    assert isinstance(model.compression("1"), Whole) and set(model.distances()) == {"0"}
    with torch.no_grad():
        network[0].weight.copy_(torch.randn(20, 16, 3, 3))
        network[1].weight.mul_(3.0)
    penalty = model.penalty()
    assert penalty == 0.05 * (network[0].weight - model.target_0).square().sum()  # the whole one is not pulled
    model.compress()
    assert model.compression("0") == chosen
    again = LCModel(network, {"0": EVBMF(), "1": EVBMF(factor=0.0)})
    again.load_state_dict(model.state_dict())
    assert again.compression("0") == chosen
