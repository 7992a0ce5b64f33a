"""The table of public networks: names, shapes, and what is said where a package is missing."""

import re
from pathlib import Path

import pytest

from bench.networks import NETWORKS, WRITTEN, measured, packaged
from bench.rows import rows_of


def test_every_network_has_a_package_of_the_requirements_and_a_batched_input() -> None:
    with Path("bench/networks.txt").open(encoding="utf-8") as file:
        packages = {line.strip() for line in file if line.strip() and not line.startswith("#")}
    assert len(NETWORKS) >= 45
    for network in NETWORKS.values():
        assert network.package in {*packages, WRITTEN}
        assert len(network.shape) in (2, 4, 5) and network.shape[0] == 1


def test_the_documents_say_how_many_are_accepted() -> None:
    rows = rows_of(Path("results/networks.json"))
    assert {row["network"] for row in rows} == set(NETWORKS)
    accepted = sum(row["accepted"] for row in rows)
    page = Path("docs/supported.md").read_text("utf-8")
    found = re.search(r"Of (\d+) public networks [^`]*`qtt check`\s+accepts (\d+) as", page)
    assert found is not None and (int(found[1]), int(found[2])) == (len(rows), accepted)
    assert f"`qtt check` accepts {accepted} of {len(rows)} as they stand" in Path("README.md").read_text("utf-8")


def test_networks_that_are_written_here_have_no_version() -> None:
    assert packaged(WRITTEN) == "bench.zoo"
    assert packaged("numpy").startswith("numpy ")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.networks.importlib.import_module", _missing)
    with pytest.raises(ValueError, match=r"^monai resnet10: no monai; pip install --no-deps -r bench/networks.txt$"):
        measured("monai resnet10")


def _missing(name: str) -> None:
    raise ImportError("no monai")
