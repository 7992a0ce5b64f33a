"""A model in another's structure computes the same, has the same design but for ROMs, or is refused by the stage."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, bits_for_range
from qtt_hw.graph import Contraction, Graph, golden
from rtl_gen.contents import skeleton
from rtl_gen.emit import emit
from rtl_gen.families import ECP5, device
from rtl_gen.kinds.contraction import accumulator_of
from rtl_gen.manifest import Manifest
from rtl_gen.multiplier import pieces
from rtl_gen.plan.search import plan
from rtl_gen.structure import Structure, conformed, with_room
from sim.cosim import cosim
from sim.icarus import available
from tests.rtl_gen.other_weights import with_other_weights
from tests.sim.test_netlist import SHAPE, graph


def affine(shift: int, m: tuple[int, ...] = (20, -9), b: tuple[int, ...] = (100, 300)) -> Graph:
    """The small network, its first stage with another requantiser."""
    found = graph()
    requant = Requantizer(Format(4, False, 0), shift, m, b)
    return replace(found, nodes=(replace(found.nodes[0], requant=requant), *found.nodes[1:]))


def first(design: Graph) -> Contraction:
    node = design.nodes[0]
    assert isinstance(node, Contraction)
    return node


@pytest.mark.parametrize("shift", [0, 1, 5, 6, 7])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_conformed_model_computes_the_same(shift: int, seed: int) -> None:
    structure = with_room(affine(6), ECP5)
    numbers = {0: ((0, -1), (1, 3)), 1: ((1, -2), (4, 7))}.get(shift, ((20, -9), (100, 300)))
    other = with_other_weights(affine(shift, *numbers), seed)
    made = conformed(other, structure)
    assert first(made).requant.shift == structure.stages["along_d"].shift == 7
    x = np.random.default_rng(seed).integers(0, 2, (50, *SHAPE))
    ours, theirs = (golden.run(each, x, intermediates=True) for each in (made, other))
    for name, values in theirs.items():
        assert np.array_equal(ours[name], values), name


def test_room_takes_no_multiplier_more() -> None:
    for design in (affine(6), affine(3, (30000, -5), (1, 2)), affine(9, (1 << 17, 5), (1, 2)), affine(6, (4, 4))):
        node, stage = first(design), with_room(design, ECP5).stages["along_d"]
        sums = bits_for_range(*accumulator_of(node, design.input_of(node)))
        assert pieces(bits_for_range(*stage.sums), ECP5) == pieces(sums, ECP5)
        assert stage.m is not None and node.requant.multiplier is not None
        m = bits_for_range(min(node.requant.multiplier), max(node.requant.multiplier))
        assert pieces(bits_for_range(*stage.m), ECP5) == pieces(m, ECP5)
        conformed(design, with_room(design, ECP5))
    assert with_room(affine(6, (4, 4)), ECP5).stages["along_d"].scale == 2


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (affine(8), "stage along_d: its scales want a shift of 8, the design's is 7"),
        (affine(6, (20, 90)), "stage along_d: its m lie in 40 to 180, the design holds -128 to 127"),
        (affine(7, (20, -9), (100, 9000)), "stage along_d: its b lie in 100 to 9000, the design holds -2048 to 2047"),
    ],
)
def test_what_does_not_fit_is_named(other: Graph, line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        conformed(other, with_room(affine(6), ECP5))


def test_designs_of_another_kind_are_named() -> None:
    plain = graph()
    bare = replace(first(plain), requant=Requantizer(Format(4, False, 0), 3))
    structure = with_room(plain, ECP5)
    with pytest.raises(ValueError, match="stage along_d: only one of the models scales its channels"):
        conformed(replace(plain, nodes=(bare, *plain.nodes[1:])), structure)
    head = replace(plain.nodes[1], requant=Requantizer(Format(16, True, 0), 1))  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="stage head: it shifts by 1, the design by 0"):
        conformed(replace(plain, nodes=(plain.nodes[0], head)), structure)
    with pytest.raises(ValueError, match="stage head: stands in one of the models alone"):
        conformed(plain, Structure(stages={"along_d": structure.stages["along_d"]}))


@pytest.mark.parametrize("name", ["gw1nr-9c", "xc7a35t"])
def test_families_whose_bitstreams_take_no_other_contents_are_named(tmp_path: Path, name: str) -> None:
    design = graph()
    with pytest.raises(ValueError, match="^the plan: weights are exchanged in bitstreams for ECP5 and iCE40 alone, "):
        emit(design, tmp_path / "build", plan(design, device(name), fps=1000), exchangeable=True)
    assert not (tmp_path / "build").exists()
    with pytest.raises(ValueError, match=f"^{tmp_path}/none: there is no such BUILD$"):
        emit(design, tmp_path / "build", like=tmp_path / "none")


def test_two_designs_differ_in_roms_alone(tmp_path: Path) -> None:
    design = graph()
    emit(design, tmp_path / "one", plan(design, device("ecp5-25f"), fps=1000), exchangeable=True)
    other = with_other_weights(design, 3)
    manifest = emit(other, tmp_path / "two", like=tmp_path / "one")
    texts = [(tmp_path / name / "design.v").read_text() for name in ("one", "two")]
    assert texts[0] != texts[1] and skeleton(texts[0]) == skeleton(texts[1])
    assert 'rom_style = "logic"' not in texts[0]
    assert manifest.exchangeable and Manifest.load(tmp_path / "two") == manifest
    assert "exchangeable" not in json.loads((emitted(design, tmp_path) / "manifest.json").read_text())
    if available():
        x = np.random.default_rng(7).integers(0, 2, (3, *SHAPE))
        result = cosim(tmp_path / "two", x, engine="icarus")
        assert result.equal and result.cycles_equal is True, result
    with pytest.raises(
        ValueError, match="one: would take its own place, and its bitstreams go; give the new BUILD anoth"
    ):
        emit(other, tmp_path / "one", like=tmp_path / "one")
    with pytest.raises(ValueError, match="one: its own plan is taken; leave the plan out"):
        emit(other, tmp_path / "four", tmp_path / "one" / "plan.json", like=tmp_path / "one")
    with pytest.raises(ValueError, match="one: was emitted without taps, as this one must be"):
        emit(other, tmp_path / "four", taps=True, like=tmp_path / "one")
    with pytest.raises(ValueError, match="three: was not made to take other weights; emit it with --exchangeable"):
        emit(other, tmp_path / "four", like=tmp_path / "three")
    text = texts[0].replace("always @(posedge clk)", "always @(negedge clk)", 1)
    (tmp_path / "one" / "design.v").write_text(text)
    with pytest.raises(ValueError, match="one: module qtt_top__.* differs in more than the contents of ROMs"):
        emit(other, tmp_path / "four", like=tmp_path / "one")
    assert not (tmp_path / "four").exists()


def emitted(design: Graph, folder: Path) -> Path:
    """An ordinary BUILD."""
    emit(design, folder / "three", plan(design, device("ecp5-25f"), fps=1000))
    return folder / "three"
