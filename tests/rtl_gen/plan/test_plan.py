"""A plan file is read as it was written, and one that does not fit its model is refused by stage and choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Graph, Pool
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.families import device
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.plan import Plan, load_plan, save_plan
from rtl_gen.plan.search import plan


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A pool of disjoint windows, a residual block over a convolution, a head."""
    rng = np.random.default_rng(2)
    fmt, narrow = Format(8, False, 2), Format(4, True, 1, narrow=True)
    window = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))

    def weight(*shape: int) -> Any:
        return as_integers(rng.integers(-7, 8, shape))

    nodes = (
        Pool("pool", (INPUT,), "pool", "max", Window((1, 2, 2), (1, 2, 2))),
        Contraction("conv", ("pool",), "conv", window, weight(4, 1, 3, 3, 4), narrow, Requantizer(fmt, 4)),
        Add.aligned("sum", ("conv", "pool"), "sum", fmt, fmt, fmt),
        Contraction("head", ("sum",), "head", Window((1, 4, 4)), weight(3, 1, 4, 4, 4), narrow, Requantizer(fmt, 4)),
    )
    return Graph("net", input_spec((1, 8, 8, 4), format=fmt), nodes, ("a", "b", "c"))


@pytest.fixture(scope="module")
def whole(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    save_plan(plan(graph, device("ecp5-12f"), fps=100_000), path)
    return path


def test_a_plan_is_read_as_it_was_written(graph: Graph, whole: Path) -> None:
    found = load_plan(whole)
    specs, topology = hardware_of(graph, found)
    assert [spec.folding for spec in specs] == [stage.folding for stage in found.stages]
    assert list(topology.fifos.values()) == [fifo.depth for fifo in found.fifos] != []


def _set(*keys: Any) -> Callable[[Any], None]:
    """A change of a document: the last of `keys` is the new value."""

    def change(content: Any) -> None:
        *path, last, value = keys
        for key in path:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("input_lanes", 0), "input_lanes: Input should be greater than or equal to 1, got 0"),
        (_set("input_lanes", -1), "input_lanes: Input should be greater than or equal to 1, got -1"),
        (_set("input_lanes", 3), "input_lanes 3 does not divide the input's 4 channels"),
        (_set("input_lanes", 2.5), "input_lanes: Input should be a valid integer"),
        (_set("input_lanes", "4"), "input_lanes: Input should be a valid integer, got '4'"),
        (_set("clock_mhz", 1e300), "clock_mhz: Input should be less than or equal to 10000"),
        (_set("clock_mhz", 0), "clock_mhz: Input should be greater than or equal to 0.001"),
        (_set("dsps", -1), "dsps: Input should be greater than or equal to 0"),
        (_set("stages", 1, "folding", "ring", 10**12), "stage conv: a ring of 1000000000000 words is more than it can"),
        (_set("stages", 1, "folding", "ring", 10**20), "stages.1.folding.ring: Input should be less than or equal to"),
        (
            _set("stages", 1, "folding", "queue", 10**12),
            "stage conv: a queue of 1000000000000 words is more than it can",
        ),
        (
            _set("stages", 2, "folding", "queue", 10**12),
            "stage sum: a queue of 1000000000000 words is more than it can",
        ),
        (
            _set("stages", 0, "folding", "queue", 10**12),
            "stage pool: a queue of 1000000000000 words is more than it can",
        ),
        (_set("fifos", 0, "depth", 10**12), "stage sum: a FIFO of 1000000000000 words is more than it can use"),
        (_set("fifos", 0, "input", 1024), "fifos.0.input: Input should be less than 1024, got 1024"),
        (_set("fifos", 0, "stage", "conv"), "net has no input 1 of a stage conv for a FIFO"),
        (_set("stages", 3, "stage", "other"), "the plan does not belong to net: it has no stage head"),
    ],
)
def test_what_does_not_fit_is_named(graph: Graph, whole: Path, tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "plan.json"
    content = json.loads(whole.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError) as refused:
        hardware_of(graph, load_plan(path), path)
    text = str(refused.value)
    assert text.startswith(f"{path}: ") and message in text and "\n" not in text


def test_words_fit_their_readers(graph: Graph, whole: Path) -> None:
    found = load_plan(whole)
    first = found.stages[0]
    # Words of two values cannot be made into words of three.
    six = Graph("six", input_spec((1, 8, 8, 6), format=Format(8, False, 2)), (graph.nodes[0],))
    folding = first.folding.model_copy(update={"simd": 3, "pe": 3, "lanes": 3})
    stages = (first.model_copy(update={"folding": folding}),)
    changed = found.model_copy(update={"stages": stages, "fifos": (), "input_lanes": 2})
    with pytest.raises(ValueError, match=r"^the plan: stage pool: reads words of 3 values, those of the input have 2;"):
        hardware_of(six, changed)
    hardware_of(six, changed.model_copy(update={"input_lanes": 3}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff\xfe{}", "not a text file"),
        (b"", "not JSON"),
        (b"[1]", "holds list, expected an object"),
        (b'{"model": "a", "model": "b"}', "'model' is given twice"),
        (b"[" * 100_000, "nested more than 64 deep"),
        (b'{"a":' * 1_000 + b"1" + b"}" * 1_000, "nested more than 64 deep"),
        (b'{"clock_mhz": NaN}', "NaN is not a number"),
        (b'{"cycles": ' + b"9" * 5000 + b"}", "a number has thousands of digits"),
        (b" " * (1 << 22) + b"{}", "has more than 4194304 bytes"),
    ],
)
def test_what_is_no_plan_is_named(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text)
    with pytest.raises(ValueError) as refused:
        load_plan(path)
    found = str(refused.value)
    assert found.startswith(f"{path}: ") and message in found and "\n" not in found


def test_a_folder_and_nothing_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json: No such file or directory$"):
        load_plan(tmp_path / "none.json")
    with pytest.raises(ValueError, match="Is a directory$"):
        load_plan(tmp_path)


def test_foldings_are_checked_where_they_are_handed_over_too(graph: Graph, whole: Path) -> None:
    found: Plan = load_plan(whole)
    stages = [stage.model_copy() for stage in found.stages]
    stages[0] = stages[0].model_copy(update={"folding": stages[0].folding.model_copy(update={"simd": 3})})
    with pytest.raises(ValueError, match="^the plan: stage pool: simd 3 does not divide 4$"):
        hardware_of(graph, found.model_copy(update={"stages": tuple(stages)}))
