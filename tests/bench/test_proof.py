"""A proof's row is renewed where the design and the tools are the same, and only there."""

from typing import Any

import pytest

from bench.proof import renewed, rtl_digest
from qtt_hw.training.result import versions
from rtl_gen.families import device
from rtl_gen.plan.search import plan
from tests.replay.networks import NETWORKS

NOW = {"model": "m", "device": "ecp5-85f", "fps": 10.0, "engines": None, "digest": "d", "rtl": "r", "plan": {"luts": 2}}


def _old(**changes: Any) -> dict[str, Any]:
    made = {"plan": {"luts": 1}, "batch": {"samples": 100}, "stalled": {"samples": 3}, "cells": {}, "commit": "c"}
    return {**NOW, **made, "versions": versions(), **changes}


def test_the_same_design_keeps_what_was_proven() -> None:
    row = renewed([_old(model="another"), _old()], NOW, 100, 3)
    assert row["plan"] == {"luts": 2} and row["commit"] == "c" and row["batch"] == {"samples": 100}
    assert "planned" in row


@pytest.mark.parametrize(
    "changes",
    [
        {"rtl": "s"},
        {"digest": "e"},
        {"engines": True},
        {"versions": {}},
        {"batch": {"samples": 99}},
        {"stalled": {"samples": 0}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_anything_else_is_proven_anew(changes: dict[str, Any]) -> None:
    assert renewed([_old(**changes)], NOW, 100, 3) == {}


def test_a_row_without_a_digest_or_stalls_is_proven_anew() -> None:
    old = _old()
    del old["rtl"], old["stalled"]
    assert renewed([old], NOW, 100, 0) == {} and renewed([_old() | {"stalled": {"samples": 0}}], NOW, 100, 0)


def test_the_digest_is_the_design_s() -> None:
    graph = NETWORKS["pointwise"]()
    found = plan(graph, device("ecp5-85f"), fps=100)
    other = plan(graph, device("ecp5-85f"))
    assert rtl_digest(graph, found) == rtl_digest(graph, found)
    assert (rtl_digest(graph, other) == rtl_digest(graph, found)) is (other.stages == found.stages)
