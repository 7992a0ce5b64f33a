"""A proof's row is renewed where the design and the versions are the same, and only there."""

from typing import Any

import pytest

from bench.proof import renewed, rtl_digest
from qtt_hw.training.result import versions
from rtl_gen.families import device
from rtl_gen.plan.search import plan
from tests.replay.networks import NETWORKS

NOW = {"model": "m", "device": "ecp5-85f", "fps": 10.0, "engines": None, "digest": "d", "rtl": "r", "plan": {"luts": 2}}

BATCH = {"samples": 100, "equal": True, "cycles_as_predicted": True}


def _old(**changes: Any) -> dict[str, Any]:
    made = {"plan": {"luts": 1}, "batch": BATCH, "stalled": {"samples": 3, "equal": True}, "cells": {}, "commit": "c"}
    return {**NOW, **made, "versions": versions(), **changes}


def test_the_same_design_keeps_what_was_proven() -> None:
    row = renewed([_old(model="another"), _old()], NOW, 100, 3)
    assert row["plan"] == {"luts": 2} and row["commit"] == "c" and row["batch"] == BATCH
    assert "planned" in row


@pytest.mark.parametrize(
    "changes",
    [
        {"rtl": "s"},
        {"digest": "e"},
        {"engines": True},
        {"versions": {}},
        {"batch": BATCH | {"samples": 99}},
        {"batch": BATCH | {"equal": False}},
        {"batch": BATCH | {"cycles_as_predicted": False}},
        {"stalled": {"samples": 2, "equal": True}},
        {"stalled": {"samples": 3, "equal": False}},
    ],
    ids=str,
)
def test_anything_else_is_proven_anew(changes: dict[str, Any]) -> None:
    assert renewed([_old(**changes)], NOW, 100, 3) == {}


def test_a_row_without_a_digest_or_stalls_is_proven_anew() -> None:
    old = _old()
    del old["rtl"], old["stalled"]
    assert renewed([old], NOW, 100, 0) == {}
    assert renewed([old | {"rtl": "r"}], NOW, 100, 0)["commit"] == "c"


def test_the_digest_is_the_design_s() -> None:
    graph = NETWORKS["pointwise"]()
    found = plan(graph, device("ecp5-85f"), fps=100)
    other = plan(graph, device("ecp5-85f"))
    assert rtl_digest(graph, found) == rtl_digest(graph, found)
    assert other.stages != found.stages and rtl_digest(graph, other) != rtl_digest(graph, found)
