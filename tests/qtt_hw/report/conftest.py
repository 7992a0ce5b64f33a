"""A small network of every kind of unit as a subject, and one whose names would be markup if they could."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qtt_hw.graph import INPUT
from qtt_hw.graph.file import save
from qtt_hw.report.subject import Subject, subject_of
from tests.replay.networks import NETWORKS

#: A name that ends a script, closes an attribute and opens an element, wherever it is not escaped.
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&amp;<b>"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A residual network."""
    path = tmp_path_factory.mktemp("report") / "model.qtt"
    save(NETWORKS["residual"](), path)
    return path


@pytest.fixture(scope="session")
def subject(model: Path) -> Subject:
    return subject_of(model, device="ecp5-25f", fps=20_000)


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A residual network by names that are markup: its own, its layers' and its classes'."""
    graph = NETWORKS["residual"]()
    nodes = tuple(
        replace(
            node,
            name=f"{node.name}{HOSTILE}",
            source=f"{node.source}{HOSTILE}",
            inputs=tuple(name if name == INPUT else f"{name}{HOSTILE}" for name in node.inputs),
        )
        for node in graph.nodes
    )
    path = tmp_path_factory.mktemp("hostile") / "model.qtt"
    labels = tuple(f"{number}{HOSTILE}" for number in range(graph.output.channels))
    save(replace(graph, name=f"net{HOSTILE}", nodes=nodes, labels=labels), path)
    return path
