"""The table of public networks: names, shapes, and what is said where a package is missing."""

from pathlib import Path

import pytest

from bench.networks import NETWORKS, measured


def test_every_network_has_a_package_of_the_requirements_and_a_batched_input() -> None:
    with Path("bench/networks.txt").open(encoding="utf-8") as file:
        packages = {line.strip() for line in file if line.strip() and not line.startswith("#")}
    assert len(NETWORKS) >= 45
    for network in NETWORKS.values():
        assert network.package in packages and len(network.shape) in (4, 5) and network.shape[0] == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.networks.importlib.import_module", _missing)
    with pytest.raises(ValueError, match=r"^monai resnet10: no monai; pip install --no-deps -r bench/networks.txt$"):
        measured("monai resnet10")


def _missing(name: str) -> None:
    raise ImportError("no monai")
