"""The rows of results/proof.json: what was proven is what is committed."""

import json
import os
from pathlib import Path

import pytest

import qtt_hw
from qtt_hw.graph.file import digest_of, load

ROOT = Path(__file__).parents[2]
ROWS = json.loads((ROOT / "results" / "proof.json").read_text())["rows"]
#: Proven on clips of video, of which one takes as long as a hundred images.
CLIPS = {"x3d-egogestar-fold0"}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['model']}{'-engines' if row.get('engines') else ''}" for row in ROWS])
def test_a_proof_is_of_a_committed_model_and_went_well(row):
    assert row["digest"] in {digest_of(path) for path in (ROOT / "models").glob("*.qtt")}
    together, stalled = (3, 1) if row["model"] in CLIPS else (100, 3)
    assert row["batch"]["equal"] and row["batch"]["cycles_as_predicted"] and row["batch"]["samples"] >= together
    assert row["stalled"]["equal"] and row["stalled"]["samples"] >= stalled


def test_lanes_of_powers_of_two_need_no_multiplier():
    shifted = [row for row in ROWS if row["plan"]["multipliers"] == 0]
    assert len(shifted) >= 2
    for row in shifted:
        assert row["cells"]["as planned"]["dsps_of_lanes"] == 0


@pytest.mark.long
@pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")
def test_a_row_is_proven_again(tmp_path):
    """Plan, Verilog and simulation of the committed model, from its file: on the first test objects in place of all."""
    wanted = ("voxtt-modelnet10", 1000.0, None)
    (row,) = [row for row in ROWS if (row["model"], row["fps"], row.get("engines")) == wanted]
    path = ROOT / "models" / "voxtt-modelnet10.qtt"
    graph = load(path)
    assert (digest_of(path), graph.weight_bytes) == (row["digest"], row["weight_bytes"])
    chosen = qtt_hw.plan(graph, row["device"], fps=row["fps"])
    found = {name: getattr(chosen, name) for name in ("cycles", "latency", "multipliers", "dsps", "brams", "luts")}
    assert found == {name: row["plan"][name] for name in found}
    manifest = qtt_hw.emit(graph, tmp_path / "build", chosen, taps=True)
    assert manifest.digest == row["digest"] and len(manifest.taps) == len(chosen.stages)
    result = qtt_hw.cosim(tmp_path / "build", Path(os.environ["QTT_DATA"]) / "modelnet10", samples=3)
    assert (result.equal, result.samples, result.runs) == (row["batch"]["equal"], 3, 1)
    assert (result.cycles, result.latency) == (row["batch"]["cycles"], row["batch"]["latency"])
    assert result.periodic and result.cycles_equal is row["batch"]["cycles_as_predicted"] is True
