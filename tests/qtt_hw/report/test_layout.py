"""Places of boxes: in layers, apart, in an order without needless crossings, and long lines that are straight."""

import pytest

from qtt_hw.report.layout import layered

SIZE = (100.0, 40.0)


def boxes(*names, size=SIZE):
    return dict.fromkeys(names, size)


def test_a_chain_is_a_straight_column():
    found = layered(boxes("a", "b", "c"), [("a", "b"), ("b", "c")], gap=(20, 30))
    assert found.places == {"a": (50, 20), "b": (50, 90), "c": (50, 160)}
    assert found.lines == [[(50, 40), (50, 70)], [(50, 110), (50, 140)]]
    assert (found.width, found.height) == (100, 180)


def test_a_line_that_passes_boxes_stays_beside_them():
    chain = ["a", "b", "c", "d", "e"]
    edges = [*zip(chain, chain[1:], strict=False), ("a", "e")]
    found = layered(boxes(*chain), edges)
    passing = [x for x, _ in found.lines[-1][1:-1]]
    assert len(passing) == 6 and max(passing) - min(passing) < 0.01, "it is straight"
    for x in passing:
        for name in ("b", "c", "d"):
            assert abs(x - found.places[name][0]) >= SIZE[0] / 2 + 6


def test_boxes_of_a_layer_keep_apart_and_lines_do_not_cross_without_need():
    edges = [("s", "a"), ("s", "b"), ("s", "c"), ("a", "z"), ("b", "y"), ("c", "x"), ("x", "t"), ("y", "t"), ("z", "t")]
    found = layered(boxes("s", "a", "b", "c", "x", "y", "z", "t"), edges, gap=(20, 30))
    for upper, lower in (("a", "z"), ("b", "y"), ("c", "x")):
        assert found.places[upper][0] == pytest.approx(found.places[lower][0], abs=1)
    across = sorted(found.places[name][0] for name in ("a", "b", "c"))
    assert all(b - a >= 120 - 1e-6 for a, b in zip(across, across[1:], strict=False))
    assert all(x >= SIZE[0] / 2 - 1e-6 for x, _ in found.places.values())


def test_boxes_of_many_sizes_fit_into_the_drawing():
    sizes = {"s": (10.0, 10.0), "a": (300.0, 60.0), "b": (80.0, 20.0), "t": (10.0, 10.0)}
    found = layered(sizes, [("s", "a"), ("s", "b"), ("a", "t"), ("b", "t")], gap=(20, 30))
    for name, (width, height) in sizes.items():
        x, y = found.places[name]
        assert width / 2 - 1e-6 <= x <= found.width - width / 2 + 1e-6
        assert height / 2 <= y <= found.height - height / 2
