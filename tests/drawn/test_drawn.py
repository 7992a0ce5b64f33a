"""Drawn networks and operations of every kind: prepared, golden and hardware are equal, cycles as predicted."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import pytest

from qtt_hw.graph import Graph, kinds
from qtt_hw.graph.kinds import RECORDS
from qtt_hw.nn import QTTConv3d, TTConv3d
from sim.icarus import available
from tests.drawn.networks import network
from tests.drawn.operations import OPERATIONS, operation
from tests.drawn.proof import Engine, graph_of, prove

#: Small ones, by seed; together those of a suite have every kind of stage, and trains with dilation.
NETWORKS, LONG_NETWORKS = (20, 36, 62, 66), (1, 6, 39, 60, 82)
#: One of each kind, by seed.
SEED, LONG_SEED = 1, 2
BOTH: tuple[Engine, ...] = ("verilator", "icarus")
#: What compiles soonest.
QUICK: tuple[Engine, ...] = ("icarus",) if available() else ("verilator",)
STAGES = {name for name in kinds.__all__ if name != "RECORDS"}


@pytest.fixture(autouse=True)
def any_sizes() -> None:
    """Trains of more parameters than the dense layer are drawn as well."""
    warnings.simplefilter("ignore", UserWarning)


def kinds_of(graph: Graph) -> set[str]:
    return {type(node).__name__ for node in graph.nodes}


def held(networks: tuple[int, ...], seed: int) -> Counter[str]:
    """How many of the drawn have each kind of stage."""
    graphs = [graph_of(network(each)) for each in networks]
    graphs += [operation(kind, seed).graph for kind in OPERATIONS]
    return Counter(kind for graph in graphs for kind in kinds_of(graph))


def test_every_kind_of_stage_is_drawn_at_least_twice() -> None:
    assert len(STAGES) == len(RECORDS) and set(OPERATIONS) == STAGES
    for kind in OPERATIONS:
        assert kind in kinds_of(operation(kind, SEED).graph)
    found = held(NETWORKS, SEED) + held(LONG_NETWORKS, LONG_SEED)
    assert {kind for kind in STAGES if found[kind] >= 2} == STAGES


def test_trains_with_dilation_are_drawn() -> None:
    for seeds, kind in ((NETWORKS, TTConv3d), (LONG_NETWORKS, QTTConv3d)):
        layers = [layer for seed in seeds for layer in network(seed).model.modules() if isinstance(layer, kind)]
        assert any(set(layer.dilation) != {1} for layer in layers)


def test_a_seed_is_always_the_same_network() -> None:
    assert str(network(NETWORKS[0])) == str(network(NETWORKS[0]))
    assert str(operation("Pool", SEED)) == str(operation("Pool", SEED))


@pytest.mark.parametrize("seed", NETWORKS)
def test_networks(tmp_path: Path, seed: int) -> None:
    prove(network(seed), tmp_path, QUICK)


@pytest.mark.parametrize("kind", OPERATIONS)
def test_operations(tmp_path: Path, kind: str) -> None:
    prove(operation(kind, SEED), tmp_path, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_NETWORKS)
def test_more_networks(tmp_path: Path, seed: int) -> None:
    prove(network(seed), tmp_path, BOTH)


@pytest.mark.long
@pytest.mark.parametrize("kind", OPERATIONS)
def test_more_operations(tmp_path: Path, kind: str) -> None:
    prove(operation(kind, LONG_SEED), tmp_path, QUICK)


def test_what_differs_is_told_with_its_seed_and_its_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = network(NETWORKS[0])
    monkeypatch.setattr("tests.drawn.proof.golden.run", lambda *given, **options: {})
    with pytest.raises(AssertionError, match=rf"^network {drawn.seed}, inputs [\s\S]*Sequential[\s\S]*stages are the"):
        prove(drawn, tmp_path, ())
