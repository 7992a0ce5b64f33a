"""The narrowed public networks: their table, the committed rows, and a small network proven anew."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from bench import narrowed
from bench.narrowed import KINDS, kinds_of, proven, row_of
from bench.narrowings import NARROWED, Narrowed
from bench.networks import NETWORKS
from bench.rows import rows_of
from qtt_hw.fixedpoint import Format
from tests.replay.networks import NETWORKS as SMALL

ROWS = {row["network"]: row for row in rows_of(Path("results/narrowed.json"))}
SIMULATED = {name: row for name, row in ROWS.items() if row.get("samples")}
#: Whose branches do not nest.
UNNESTED = {"timm dla34", "timm res2net50_14w_8s", "timm rexnet_100", "timm dpn68"}


def _tiny() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(2 * 4, 3)
    )


TINY = Narrowed(_tiny, (1, 1, 2, 4, 4), "made for this test", samples=3)


def test_every_narrowed_network_is_a_public_one() -> None:
    assert set(NARROWED) <= set(NETWORKS)
    assert all(chosen.shape[0] == 1 for chosen in NARROWED.values())


def test_the_committed_rows_are_of_the_networks_as_they_are_narrowed_now() -> None:
    for name, row in ROWS.items():
        chosen = NARROWED[name]
        said = [row["narrowed"], row["input"], row["weight_bits"]]
        assert said == [chosen.how, list(chosen.shape), chosen.weight_bits], name


def test_every_simulated_network_is_equal_at_every_stage_and_takes_the_predicted_cycles() -> None:
    assert len(SIMULATED) >= 24 and len(SIMULATED.keys() & UNNESTED) >= 2
    for name, row in SIMULATED.items():
        assert row["eval_equals_golden"] and row["equal"] and row["simulated"]["as_predicted"], name
        assert row["simulated"]["latency"] == row["plan"]["latency"], name
    assert not [name for name, row in ROWS.items() if "failed" in row]


def test_every_kind_of_stage_is_in_at_least_two_of_them() -> None:
    found = Counter(kind for row in SIMULATED.values() for kind in row["kinds"])
    assert {kind: found[kind] for kind in KINDS if found[kind] < 2} == {}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("groups", {"convolution": 3, "grouped": 1, "depthwise": 1, "dilated": 1, "padded": 2}),
        (
            "excitation",
            {
                **{"convolution": 1, "pointwise": 1, "linear": 2, "gate": 1, "multiplication": 2},
                **{"average pool": 1, "pool over the whole map": 1},
            },
        ),
        ("concatenation", {"convolution": 2, "pointwise": 1, "padded": 1, "concatenation": 1, "slice": 2}),
        ("residual-strided", {"convolution": 3, "pointwise": 1, "strided": 2, "padded": 2, "add": 1}),
        ("max-pool-overlapping", {"convolution": 1, "max pool": 1, "overlapping pool": 1, "padded pool": 1}),
        ("linear", {"convolution": 1, "linear": 3, "reshape": 1, "permutation": 1}),
    ],
)
def test_kinds_of_small_networks(name: str, kinds: dict[str, int]) -> None:
    assert kinds_of(SMALL[name]()) == kinds


def test_a_small_network_is_proven_all_the_way() -> None:
    row = proven("tiny", TINY)
    assert row["kinds"] == {"convolution": 2, "padded": 1, "max pool": 1}
    assert row["eval_equals_golden"] and row["equal"] and row["samples"] == 3 and row["constant_stages"] == []
    assert row["simulated"]["as_predicted"] and row["simulated"]["latency"] == row["plan"]["latency"]


def test_a_golden_model_that_computes_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def another(*given: object, **named: object) -> dict[str, np.ndarray]:
        found = run(*given, **named)  # type: ignore[arg-type]
        found["0"][-1] += 1
        return found

    run = narrowed.run
    monkeypatch.setattr(narrowed, "run", another)
    row = proven("tiny", Narrowed(_tiny, TINY.shape, "", samples=0))
    assert row["eval_equals_golden"] is False and "equal" not in row


def test_what_fails_is_told_in_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NARROWED, "VoxNet", Narrowed(nn.Softmax, (1, 1, 2, 2, 2), "", input_format=Format(1, False, 0)))
    row = row_of("VoxNet")
    assert row["failed"].startswith("ValueError: ") and "plan" not in row
