"""Networks trained by a plain loop: the rows that stand, the inputs they are given, and one made anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import outside
from bench.outside import NETWORKS, WAYS, rows
from bench.rows import rows_of

RESULTS = Path(__file__).parents[2] / "results" / "outside.json"


def test_every_network_that_was_measured_was_in_every_way() -> None:
    found = [(row["network"], row["weight_bits"], row["weight_scales"]) for row in rows_of(RESULTS)]
    names = {name for name, *_ in found}
    assert names and names <= NETWORKS.keys()
    assert sorted(found) == sorted((name, bits, scales) for name in names for bits, scales in WAYS)
    for name in names:  # of one float network each
        of_it = [row for row in rows_of(RESULTS) if row["network"] == name]
        assert len({row["weights_sha256"] for row in of_it}) == len({str(row["float"]) for row in of_it}) == 1


def test_images_are_normalised_as_torchvision_does_it() -> None:
    what = NETWORKS["ResNet-8"]
    raw = np.random.default_rng(0).integers(0, 256, (2, 1, 4, 4, 3), dtype=np.uint8)
    wanted = (raw[:, 0] / 255 - what.mean) / what.std
    assert np.allclose(what.inputs(raw).permute(0, 2, 3, 1).numpy(), wanted, atol=1e-5)


def test_a_row_is_made_anew_from_kept_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(NETWORKS["VoxNet"], arguments={"classes": 6, "side": 16}, data="solids:16", epochs=1)
    monkeypatch.setattr(outside, "NETWORKS", {"VoxNet": small})
    monkeypatch.setattr(outside, "WAYS", WAYS[:1])
    (first,) = rows("VoxNet", tmp_path)
    assert (first["weight_bits"], first["weight_scales"]) == WAYS[0]
    assert 0 <= first["quantised"]["test"] <= 1 and first["weight_bytes"] > 0

    def never(*arguments: object) -> torch.nn.Module:
        raise AssertionError("trained again")

    monkeypatch.setattr(outside, "trained", never)
    assert rows("VoxNet", tmp_path) == [first]
