"""Proposals: what a choice stores, that one is evaluated once, and how the fewest bits without loss are looked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from qtt_hw.data import Samples
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.quant import QuantConfig
from qtt_hw.quant.allocation import Allocation
from qtt_hw.training.batches import to_tensor
from qtt_hw.training.proposal import Proposal, Proposals
from qtt_hw.training.scores import Scores

SPEC = input_spec((4, 4, 4, 1))
X = np.random.default_rng(0).integers(0, 2, (80, 4, 4, 4, 1), dtype=np.uint8)
INPUTS = to_tensor(SPEC, X, torch.device("cpu"))


def network(**how: object) -> PreparedModel:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    prepared = prepare(net, INPUTS[:1], QuantConfig(weight_bits=6, **how))  # type: ignore[arg-type]
    prepared.calibrate([INPUTS])
    return prepared.eval()


def proposals(prepared: PreparedModel, rises: dict[str, dict[int, float]]) -> Proposals:
    with torch.no_grad():
        classes = prepared(INPUTS).argmax(1).numpy()
    return Proposals(prepared, rises, Scores(Samples(X, classes)), SPEC, [INPUTS])


RISES = {"0": {2: 0.4, 6: 0.0}, "4": {2: 1.0, 6: 0.1}}


@pytest.mark.parametrize("how", [{}, {"codebook": "sqc"}, {"weight_scales": "channel"}])
def test_all_that_is_stored_is_counted(how: dict) -> None:
    prepared = network(**how)
    of = proposals(prepared, RISES)
    own = freeze(prepared, SPEC).weight_bytes
    found = of.within(own)
    assert found.bits == {"0": 6, "4": 6} and found.weight_bytes == own and found.predicted == pytest.approx(0.1)
    least = of.within(own - 1)
    assert least.bits == {"0": 2, "4": 6} and least.weight_bytes < own
    assert of.within(least.weight_bytes).weight_bytes == least.weight_bytes
    assert of.tried == sorted(of.tried, key=lambda proposal: proposal.weight_bytes) and len(of.tried) == 2
    with pytest.raises(ValueError, match="store 10 bytes or fewer; the least that can be are"):
        of.within(10)


def test_centroids_are_stored_as_integers() -> None:
    of = proposals(network(codebook="kmeans"), RISES)
    assert of.lossless() is None and of.tried == []
    own = freeze(network(codebook="kmeans"), SPEC).weight_bytes
    assert of.within(own).weight_bytes == own
    with pytest.raises(ValueError, match=f"the least that can be are {own}$"):
        of.within(own - 1)


@pytest.mark.parametrize(
    ("most_loss", "most_right", "found"),
    [(0, 0, "smallest"), (110, 0, "above"), (110, 130, "further above"), (0, 10**9, None), (10**9, 0, None)],
)
def test_the_smallest_without_loss(
    monkeypatch: pytest.MonkeyPatch, most_loss: int, most_right: int, found: str | None
) -> None:
    """Where choices of so many bytes and more have no higher loss, and of so many no lower accuracy."""
    of = proposals(network(), {name: {bits: 1 / bits for bits in (2, 3, 4, 6, 8)} for name in ("0", "4")})
    evaluate, tried = of._evaluated, []

    def evaluated(choice: Allocation) -> Proposal:
        made = evaluate(choice)
        tried.append(made.weight_bytes)
        right = 0.0 if made.weight_bytes >= most_right else -1.0
        change = made.change.model_copy(update={"loss": 0.0 if made.weight_bytes >= most_loss else 9.0})
        return made.model_copy(update={"change": change, "lossless": change.loss == 0.0 and right == 0.0})

    monkeypatch.setattr(of, "_evaluated", evaluated)
    best = of.lossless()
    if found is None:
        assert best is None and (most_loss or max(tried) < freeze(network(), SPEC).weight_bytes)
        return
    assert best is not None and best.weight_bytes == min(size for size in tried if size >= max(most_loss, most_right))
    assert (best.bits == {"0": 2, "4": 2}) == (found == "smallest")
