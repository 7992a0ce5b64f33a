"""The rows of results/proof.json: what was proven is what is committed."""

import json
from pathlib import Path

import pytest

from qtt_hw.graph.file import digest_of

ROOT = Path(__file__).parents[2]
ROWS = json.loads((ROOT / "results" / "proof.json").read_text())["rows"]


@pytest.mark.parametrize("row", ROWS, ids=[row["model"] for row in ROWS])
def test_a_proof_is_of_a_committed_model_and_went_well(row):
    assert row["digest"] in {digest_of(path) for path in (ROOT / "models").glob("*.qtt")}
    assert row["batch"]["equal"] and row["batch"]["cycles_as_predicted"] and row["batch"]["samples"] >= 100
    assert row["stalled"]["equal"] and row["stalled"]["samples"] >= 3


def test_lanes_of_powers_of_two_need_no_multiplier():
    shifted = [row for row in ROWS if row["plan"]["multipliers"] == 0]
    assert len(shifted) >= 2
    for row in shifted:
        assert row["cells"]["as planned"]["dsps_of_lanes"] == 0
