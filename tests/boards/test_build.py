"""A BUILD to a bitstream for the ULX3S: what it takes against the plan, and what is left when it does not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import boards
from boards.build import BuildResult, build
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.plan.plan import load_plan
from rtl_gen.plan.search import plan

SHAPE = (2, 2, 2, 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head alone, folded for the fewest cycles: 40 multiplier blocks; its name would lead out of the folder."""
    weight = as_integers(np.random.default_rng(1).integers(-127, 128, (10, *SHAPE)))
    head = Contraction(
        "head",
        (INPUT,),
        "net",
        Window(SHAPE[:3]),
        weight,
        Format(8, True, 0, narrow=True),
        Requantizer(Format(16, True, 0), 3),
    )
    graph = Graph("../the head", input_spec(SHAPE, offset=128, format=Format(8, True, 7)), (head,))
    path = tmp_path_factory.mktemp("head") / "a b'c\"d$(e);f#g%h&ü" / "build"  # of a name that is hard on tools
    emit(graph, path, plan(graph, device("ecp5-85f")))
    return path


def test_a_bitstream_and_what_it_takes(folder: Path) -> None:
    told: dict[str, list[str]] = {}
    result = build(folder, boards.load("ulx3s-85f"), progress=lambda step, text: told.setdefault(step, []).append(text))
    planned = load_plan(folder / "plan.json")
    assert (result.board, result.device, result.clock_mhz) == ("ulx3s-85f", "ecp5-85f", 100.0)
    assert result.dsps == planned.dsps == result.predicted.dsps > 28
    assert result.predicted.brams == planned.brams
    assert result.meets_timing and result.fmax_mhz >= 100
    assert result.luts > 0 and result.ffs > 0
    bitstream = Path(result.bitstream)
    assert bitstream == folder / "ulx3s-85f" / "__the_head.bit" and bitstream.stat().st_size > 10_000
    assert BuildResult.model_validate_json((bitstream.parent / "result.json").read_text()) == result
    for log in ("yosys.log", "nextpnr.log", "ecppack.log"):
        assert (bitstream.parent / log).is_file()
    assert list(told) == ["synthesis", "place and route", "bitstream"]
    assert told["place and route"][0] == "nextpnr starts" and len(told["place and route"]) > 2


def test_a_design_that_does_not_fit_leaves_nothing(folder: Path) -> None:
    small = replace(boards.load("ulx3s-85f"), name="small", device="ecp5-25f")
    before = sorted(path.name for path in (*folder.iterdir(), *folder.parent.iterdir()))
    with pytest.raises(ValueError, match=r"build: takes \d+ multipliers of 28 that small has; plan it for --device "):
        build(folder, small)
    assert sorted(path.name for path in (*folder.iterdir(), *folder.parent.iterdir())) == before
