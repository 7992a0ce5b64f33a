"""The C step: projections onto tensor trains and codes."""

import pytest
import torch

from qtt_hw.lc.compression import Codes, TensorTrain


def kernel(seed: int = 0, shape: tuple[int, ...] = (6, 5, 3, 3)) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_full_ranks_change_nothing_and_a_projection_stays() -> None:
    w = kernel()
    assert torch.allclose(TensorTrain((5, 15, 6)).compress(w), w, atol=1e-12)
    assert torch.allclose(TensorTrain(None, (5, 6)).compress(w), w, atol=1e-12)
    for how in (TensorTrain((2, 3, 2)), TensorTrain(None, (2, 3)), TensorTrain((2, 3, 2), (3, 3))):
        once = how.compress(w)
        assert once.shape == w.shape and 0 < (once - w).norm() < w.norm()
        assert torch.allclose(how.compress(once), once, atol=1e-10)
        assert [core.shape[1] for core in how.cores(w)] == [5, 3, 3, 6]


def test_codes_are_those_of_the_quantisers() -> None:
    w = kernel()
    for codes, most in ((Codes(3), 7), (Codes(3, "dqc"), 8), (Codes(3, "dqc", zero=True), 7), (Codes(2, "kmeans"), 4)):
        found = codes.compress(w)
        assert found.shape == w.shape and len(found.unique()) <= most
    powers = Codes(4, "dqc").compress(w).abs().unique()
    assert torch.equal(powers.log2(), powers.log2().round())


def test_both_together_codes_every_core() -> None:
    how = TensorTrain((3, 4, 3), codes=Codes(4, "dqc"))
    for core in how.cores(kernel()):
        sizes = torch.from_numpy(core).abs().unique().log2()
        assert torch.equal(sizes, sizes.round())
    assert (how.compress(kernel()) - TensorTrain((3, 4, 3)).compress(kernel())).norm() > 0


def test_volumes_too() -> None:
    w = kernel(1, (4, 3, 2, 3, 2))
    assert torch.allclose(TensorTrain((3, 6, 8, 4)).compress(w), w, atol=1e-12)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="not finite"):
        TensorTrain((1, 1, 1)).compress(kernel() * float("nan"))
    with pytest.raises(ValueError, match="all its weights are 0"):
        Codes(3, "dqc").compress(torch.zeros(2, 2))
