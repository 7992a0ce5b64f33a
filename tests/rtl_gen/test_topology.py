"""Who reads what, behind reshapes; refusals name the stage."""

import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Add, Edge, Graph, InputSpec, Permutation, Reshape
from rtl_gen.topology import SOURCE, Reader, Topology, compatible

EDGE = Edge((1, 1, 2, 2), Format(4, True, 0))


def swap(name, source):
    return Permutation(name, (source,), "net", (1, 0))


def network(*nodes):
    return Graph("net", InputSpec(EDGE, EDGE.shape), nodes)


def residual():
    """A reshape on each branch, one behind the sum."""
    return network(
        Reshape("r", (INPUT,), "net", (1, 2, 1, 2)),
        swap("a", "r"),
        Reshape("back", ("r",), "net", (1, 2, 1, 2)),
        Add("sum", ("a", "back"), "net", (0, 0), Requantizer(EDGE.format, 0)),
        Reshape("flat", ("sum",), "net", (1, 1, 2, 2)),
        swap("b", "flat"),
    )


def test_readers_of_every_stream():
    topology = Topology.of(residual(), {("sum", 1): 7})
    assert topology.reads == ((SOURCE,), (0, SOURCE), (1,))
    assert topology.readers == {
        SOURCE: [Reader(0, 0), Reader(1, 1)],
        0: [Reader(1, 0)],
        1: [Reader(2, 0)],
        2: [Reader(3, 0)],
    }
    assert topology.fifos == {Reader(1, 1): 7}
    assert topology.with_fifos({}).fifos == {}


def test_a_chain():
    assert Topology.chain(3).reads == ((SOURCE,), (0,), (1,))


def test_refusals():
    with pytest.raises(ValueError, match="^stage a: nothing reads it$"):
        network(swap("a", INPUT), swap("b", INPUT))
    for place in (("sum", 2), ("other", 0)):
        with pytest.raises(ValueError, match=f"^net has no input {place[1]} of a stage {place[0]} for a FIFO$"):
            Topology.of(residual(), {place: 3})
    with pytest.raises(ValueError, match="^stage number 0 reads number 0, which does not stand before it$"):
        Topology(((0,),))
    with pytest.raises(ValueError, match="^nothing reads stage number 0$"):
        Topology(((SOURCE,), (SOURCE,)))


@pytest.mark.parametrize(("lanes", "width", "expected"), [(2, 6, True), (6, 2, True), (4, 6, False), (3, 3, True)])
def test_widths_that_split_or_gather(lanes, width, expected):
    assert compatible(lanes, width) is expected
