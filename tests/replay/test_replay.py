"""The Verilog of every committed model, and of small networks of every kind, is to the byte what it was."""

import dataclasses
import os

import pytest

from tests.replay.networks import NETWORKS
from tests.replay.replay import DESIGNS, MODELS, other_versions

SMALL = [key for key, design in DESIGNS.items() if not design.is_model]
#: All but the largest, of kinds of stage that the others have; `python -m tests.replay.replay` makes that too.
LARGE = [key for key, design in DESIGNS.items() if design.is_model and key != "resnet32-cifar10.qtt"]


@pytest.fixture(autouse=True)
def versions() -> None:
    others = other_versions()
    if others and "QTT_NO_SKIPS" not in os.environ:
        pytest.skip(f"the digests do not hold for {', '.join(others)}")
    assert not others, "install what tests/replay/constraints.txt says, as `make test` does"


def test_every_network_and_every_committed_model_is_there() -> None:
    assert {design.name for design in DESIGNS.values()} == {*NETWORKS, *(path.name for path in MODELS.glob("*.qtt"))}


@pytest.mark.parametrize("key", SMALL)
def test_verilog_of_networks(key: str) -> None:
    assert DESIGNS[key].verilog_digest() == DESIGNS[key].digest


@pytest.mark.long
@pytest.mark.parametrize("key", LARGE)
def test_verilog_of_committed_models(key: str) -> None:
    assert DESIGNS[key].verilog_digest() == DESIGNS[key].digest


def test_another_folding_is_seen() -> None:
    design = DESIGNS["pointwise-fastest"]
    foldings = {
        name: folding.model_copy(update={"queue": 2 * folding.queue}) for name, folding in design.foldings.items()
    }
    assert dataclasses.replace(design, foldings=foldings).verilog_digest() != design.digest
