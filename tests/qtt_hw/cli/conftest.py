"""`qtt` in this process, and a small configuration, its model and a user's file for it to work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from qtt_hw.cli import show
from qtt_hw.graph import Graph
from qtt_hw.graph.file import save
from tests.qtt_hw.cli.calls import NET, TOML, Qtt


@pytest.fixture
def qtt(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Qtt:
    # A slow machine would otherwise add lines about slow steps.
    monkeypatch.setattr(show, "LONG", float("inf"))
    return Qtt(capsys)


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(TOML)
    return path


@pytest.fixture(scope="session")
def graph(config: Path) -> Graph:
    from qtt_hw.training.untrained import untrained

    return untrained(config).graph


@pytest.fixture(scope="session")
def qtt_file(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.qtt"
    save(graph, path)
    return path


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path
