"""The rules of single stages of the integer graph."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Pool
from qtt_hw.window import MOST_CHANNELS, Window


def _contraction(channels: int) -> Contraction:
    weight = as_integers(np.ones((channels, 1, 1, 1, 2), int))
    requant = Requantizer(Format(8, True, 0), 0)
    return Contraction("stage", (INPUT,), "net.0", Window(), weight, Format(4, True, 0, narrow=True), requant)


def test_contractions_of_one_name_are_not_equal() -> None:
    one, other = _contraction(2), _contraction(3)
    assert one != other and {one: 2, other: 3}[one] == 2
    assert one == one and hash(one) == hash(one)


@pytest.mark.parametrize("fracs", [(2, 5, 3), (5, 2, 3), (0, 0, 0), (1, 1, 4), (-2, 3, 9), (4, 0, -2)])
@pytest.mark.parametrize("relu", [False, True])
def test_a_sum_is_rounded_once(fracs: tuple[int, int, int], relu: bool) -> None:
    a, b = Format(4, True, fracs[0]), Format(5, False, fracs[1])
    out = Format(6, not relu, fracs[2])
    node = Add.aligned("sum", ("a", "b"), "net.add", a, b, out)
    shape = (1, 16, 32, 1)
    edges = Edge(shape, a), Edge(shape, b)
    assert node.output(*edges) == Edge(shape, out)
    x, y = (v.reshape(1, *shape) for v in np.meshgrid(np.arange(-8, 8), np.arange(32), indexing="ij"))
    found = node.golden((x, edges[0]), (y, edges[1]))
    for i, j, got in zip(x.ravel().tolist(), y.ravel().tolist(), found.ravel().tolist(), strict=True):
        exact = (i * Fraction(2) ** -a.frac + j * Fraction(2) ** -b.frac) * Fraction(2) ** out.frac
        rounded = (exact + Fraction(1, 2)).__floor__()
        assert got == min(max(rounded, out.minimum), out.maximum)


def test_a_sum_refuses_what_does_not_fit() -> None:
    a, b = Edge((1, 2, 2, 3), Format(4, True, 2)), Edge((1, 2, 2, 4), Format(4, True, 2))
    node = Add.aligned("sum", ("a", "b"), "s", a.format, b.format, a.format)
    with pytest.raises(ValueError, match=r"adds \[1, 2, 2, 4\] to \[1, 2, 2, 3\]"):
        node.output(a, b)
    with pytest.raises(ValueError, match="do not bring its inputs to the finer one's scale"):
        node.output(a, Edge(a.shape, Format(4, True, 3)))
    wide = Add.aligned("sum", ("a", "b"), "s", a.format, Format(4, True, 60), a.format)
    with pytest.raises(ValueError, match="its sums need 63 bits, 53 are exact"):
        wide.output(a, Edge(a.shape, Format(4, True, 60)))


def test_a_codebook_s_weights_are_its_own() -> None:
    codes = Codebook(3, 3, True, 0)
    good = as_integers(np.array([0, 1, -2, 4]).reshape(2, 1, 1, 1, 2))
    node = Contraction("c", (INPUT,), "c", Window(), good, codes, Requantizer(Format(8, True, 0), 0))
    x = Edge((1, 1, 1, 2), Format(4, True, 0))
    assert node.output(x).channels == 2
    for wrong in (3, 8):
        bad = Contraction("c", (INPUT,), "c", Window(), as_integers(good * 0 + wrong), codes, node.requant)
        with pytest.raises(ValueError, match="not one of the powers of two from -4 to 4"):
            bad.output(x)


def test_integers_are_those_that_are_given() -> None:
    assert as_integers(np.array([1.0, -3.0])).tolist() == [1, -3]
    assert as_integers(np.array([7], np.uint64)).tolist() == [7]
    for wrong in (np.array([2**63], np.uint64), np.array([0.5]), np.array([np.nan]), np.array([1e30]), np.array(["1"])):
        with pytest.raises(ValueError, match="not integers of 64 signed bits"):
            as_integers(wrong)


def test_a_stage_has_the_inputs_and_the_kind_of_its_class() -> None:
    for inputs in ((), ("a", "b")):
        with pytest.raises(ValueError, match=f"^stage p: has {len(inputs)} inputs, a stage of its kind has 1$"):
            Pool("p", inputs, "p", "max", Window())
    with pytest.raises(ValueError, match="^stage p: a pool's kind is max or average, got 'median'$"):
        Pool("p", ("a",), "p", "median", Window())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^stage s: has 1 inputs, a stage of its kind has 2$"):
        Add("s", ("a",), "s", (0, 0), Requantizer(Format(8, True, 0), 0))


def test_streams_and_windows_have_a_size() -> None:
    fmt = Format(8, True, 0)
    for shape in ((0, 1, 1, 1), (1, 1, -2, 1), (1, 1, 1)):
        with pytest.raises(ValueError, match="must be four sizes"):
            Edge(shape, fmt)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="67108864 are the most"):
        Edge((10**9, 10**9, 10**9, 1), fmt)
    with pytest.raises(ValueError, match="^4194305 channels, 4194304 are the most"):
        Edge((1, 1, 1, MOST_CHANNELS + 1), fmt)
    wide = Window((1, 1, 10**12), (1, 1, 1), ((0, 0), (0, 0), (10**12 - 1, 0)))
    with pytest.raises(ValueError, match="67108864 are the most"):
        Pool("p", ("a",), "p", "max", wide).output(Edge((1, 1, 2, 1), fmt))


@pytest.mark.parametrize("kind", [np.float64, np.uint64])
def test_weights_are_signed_integers(kind: type) -> None:
    node = _contraction(2)
    wrong = replace(node, weight=node.weight.astype(kind))
    with pytest.raises(ValueError, match="weight holds (float|uint)64, not signed integers"):
        wrong.output(Edge((1, 1, 1, 2), Format(4, True, 0)))
