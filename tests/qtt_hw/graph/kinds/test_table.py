"""Tables: every value's own entry, and nothing that the format does not have."""

from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec, Table
from qtt_hw.graph.file import load, save
from qtt_hw.graph.golden import run
from qtt_hw.window import Window

OUT = Format(6, True, 3)


def table(bits: int = 4, out: Format = OUT) -> Table:
    rng = np.random.default_rng(bits)
    return Table("t", (INPUT,), "t", tuple(rng.integers(out.minimum, out.maximum + 1, 1 << bits).tolist()), out)


@pytest.mark.parametrize(
    "fmt", [Format(1, False, 0), Format(4, True, 2), Format(4, True, 2, narrow=True), Format(8, False, 4)]
)
def test_every_value_has_its_own_entry(fmt: Format) -> None:
    node = table(fmt.bits)
    x = np.arange(fmt.minimum, fmt.maximum + 1).reshape(1, 1, 1, 1, -1)
    edge = Edge((1, 1, 1, x.shape[-1]), fmt)
    assert node.output(edge) == Edge(edge.shape, OUT)
    expected = [node.entries[v if v >= 0 else v + (1 << fmt.bits)] for v in x.reshape(-1).tolist()]
    assert node.golden((x, edge)).reshape(-1).tolist() == expected
    assert node.stored_bits == 6 << fmt.bits


def test_what_does_not_fit_is_refused() -> None:
    def edge(bits: int) -> Edge:
        return Edge((1, 1, 1, 2), Format(bits, True, 0))

    with pytest.raises(ValueError, match="^looks up values of 9 bits, 8 are the most$"):
        table(9).output(edge(9))
    with pytest.raises(ValueError, match="^has 16 entries for values of 5 bits$"):
        table(4).output(edge(5))
    wide = Table("t", (INPUT,), "t", (32, *table(4).entries[1:]), OUT)
    with pytest.raises(ValueError, match="^an entry is outside -32 to 31$"):
        wide.output(edge(4))


def test_a_file_keeps_it(tmp_path: Path) -> None:
    edge = Edge((1, 1, 1, 3), Format(4, True, 2))
    weight = as_integers(np.ones((2, 1, 1, 1, 3)))
    head = Contraction(
        "h", ("t",), "h", Window(), weight, Format(2, True, 0, narrow=True), Requantizer(Format(16, True, 0), 0)
    )
    graph = Graph("net", InputSpec(edge, edge.shape), (table(), head))
    save(graph, tmp_path / "m.qtt")
    found = load(tmp_path / "m.qtt")
    assert found.nodes[0] == graph.nodes[0]
    x = np.random.default_rng(0).integers(-8, 8, (5, 1, 1, 1, 3))
    assert np.array_equal(run(found, x)["h"], run(graph, x)["h"])


def test_with_fewer_bits_it_holds_every_other_entry_a_step_coarser() -> None:
    node = table(4)
    fewer = node.narrowed(Edge((1, 1, 1, 1), Format(2, True, 0)), weights=8, outputs=4)
    assert fewer.out == Format(4, True, 1) and fewer.entries == tuple(y >> 2 for y in node.entries[::4])
    assert fewer.output(Edge((1, 1, 1, 1), Format(2, True, 0))).format == fewer.out
