"""Networks of power-of-two weights: equal in simulation and as netlists, with any lanes, without a multiplier."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph, Pool
from qtt_hw.graph.file import save
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.lanes import with_lanes
from rtl_gen.plan.search import plan
from sim.cosim import cosim
from sim.netlist import netlist_build

SHAPE = (4, 4, 4, 1)


def contraction(
    name: str,
    source: str,
    channels: tuple[int, int],
    book: Codebook,
    out: Requantizer,
    window: Window | None = None,
    carried: tuple[int, int] = (1, 1),
) -> Contraction:
    """Random weights of a codebook, the greatest among them."""
    window = window or Window()
    rng = np.random.default_rng(len(name))
    powers = [sign << e for e in range(book.magnitudes) for sign in (1, -1)] + [0] * book.zero
    weight = rng.choice(powers, (channels[1], *window.kernel, channels[0]))
    weight.flat[0] = book.minimum
    return Contraction(name, (source,), "net", window, as_integers(weight), book, out, *carried)


def graph() -> Graph:
    """A dense convolution with batch norm and the cores of a tensor train, every one with its own codebook."""
    three = Codebook.of_top(3, True, 0)
    four, five, signs = (Codebook.of_top(bits, False, 0) for bits in (4, 5, 2))
    along_w = Window((1, 1, 3), padding=((0, 0), (0, 0), (1, 1)))
    cube = Window((3, 3, 3), (2, 2, 2), ((1, 1), (1, 1), (1, 1)))
    unsigned, signed = Format(6, False, 0), Format(8, True, 0)
    norm = Requantizer(unsigned, 14, tuple(range(700, 1300, 100)), tuple(range(-9000, 9000, 3000)))
    # The sums of five bits are wide, and so are batch norm's offsets on them.
    wide = Requantizer(signed, 29, tuple(range(9000, 17000, 1000)), tuple(range(-(1 << 36), 1 << 36, 1 << 34)))
    logits = Requantizer(Format(16, True, 0), 2)
    return Graph(
        "coded",
        input_spec(SHAPE),
        (
            contraction("dense", INPUT, (1, 6), four, norm, cube),
            contraction("in", "dense", (3, 4), three, Requantizer(signed, 3), carried=(1, 2)),
            contraction("along_w", "in", (4, 4), five, wide, along_w, carried=(2, 1)),
            Pool("pool", ("along_w",), "net", "max", Window((1, 2, 2), (1, 2, 2))),
            contraction("signs", "pool", (8, 4), signs, Requantizer(signed, 2)),
            contraction("head", "signs", (4, 5), Codebook(5, 9, True, 0), logits, Window((2, 1, 1))),
        ),
    )


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 2, (20, *SHAPE))


@pytest.mark.parametrize(
    "kind", ["shift", pytest.param("dsp", marks=pytest.mark.long), pytest.param("logic", marks=pytest.mark.long)]
)
def test_every_stage_is_equal_and_the_cycles_are_as_predicted(tmp_path: Path, x: np.ndarray, kind: LaneKind) -> None:
    coded = graph()
    chosen = plan(coded, device("ecp5-45f"))
    assert {s.folding.multiplier for s in chosen.stages if s.stage != "pool"} == {"shift"}
    other = with_lanes(coded, chosen, kind)
    emit(coded, tmp_path / "build", other, taps=True)
    result = cosim(tmp_path / "build", x)
    assert result.equal and result.periodic
    assert result.cycles == other.cycles == chosen.cycles and result.latency == other.latency
    assert cosim(tmp_path / "build", x, stalls=True, seed=1).equal


def test_a_wrong_code_is_found_where_it_is(tmp_path: Path, x: np.ndarray) -> None:
    good = graph()
    emit(good, tmp_path / "build", plan(good, device("ecp5-25f")), taps=True)
    changed = good.nodes[1]
    assert isinstance(changed, Contraction)
    weight = np.array(changed.weight)
    weight[3, 0, 0, 0, 2] *= -1
    nodes = (good.nodes[0], replace(changed, weight=as_integers(weight)), *good.nodes[2:])
    manifest = json.loads((tmp_path / "build" / "manifest.json").read_text())
    manifest["digest"] = save(replace(good, nodes=nodes), tmp_path / "build" / "model.qtt")
    (tmp_path / "build" / "manifest.json").write_text(json.dumps(manifest))
    result = cosim(tmp_path / "build", x)
    assert not result.equal and result.first_difference is not None
    assert result.first_difference.stage == "in"


def cells_of(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in re.findall(r"^  (\w+) #?\(", (folder / "netlist.v").read_text(), re.MULTILINE):
        found[name] = found.get(name, 0) + 1
    return found


@pytest.mark.long
def test_the_netlist_has_no_multiplier(tmp_path: Path) -> None:
    """Without a batch norm there is none at all; with multipliers in the lanes' place there is one a product."""
    cube = Window((2, 1, 2), (2, 1, 2))
    plain = Requantizer(Format(8, True, 0), 3)
    coded = Graph(
        "coded",
        input_spec((2, 1, 2, 4)),
        (
            contraction(
                "dense", INPUT, (4, 2), Codebook.of_top(3, False, 0), Requantizer(Format(4, False, 0), 2), cube
            ),
            contraction("head", "dense", (2, 3), Codebook.of_top(4, True, 0), plain),
        ),
    )
    chosen = plan(coded, device("ecp5-12f"), fps=1e6)
    cells = {}
    for kind in ("shift", "dsp"):
        emit(coded, tmp_path / kind, with_lanes(coded, chosen, kind), taps=True)
        folder = netlist_build(tmp_path / kind, tmp_path / f"netlist-{kind}")
        cells[kind] = cells_of(folder)
    assert cosim(tmp_path / "netlist-shift", np.random.default_rng(5).integers(0, 2, (30, 2, 1, 2, 4))).equal
    assert chosen.dsps == 0 and "MULT18X18D" not in cells["shift"]
    assert cells["dsp"]["MULT18X18D"] == with_lanes(coded, chosen, "dsp").dsps > 0
