"""The two depths of each FIFO: at a word less the design hangs, or loses cycles, and the event model says the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.cycles import predict, schedule
from rtl_gen.depths import fifo_depths, short_inputs, shown_interval
from rtl_gen.families import ECP5
from rtl_gen.geometry import Geometry
from rtl_gen.kinds import Folding
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.top import Top
from rtl_gen.topology import Reader, Topology
from sim.stream import transfer

FORMAT = Format(4, True, 0)
SAME = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
HALF = Window((1, 3, 3), (1, 2, 2), ((0, 0), (1, 1), (1, 1)))
CLASSES = 2


class Residual:
    """A network written down by hand: windowed stages of one channel, sums, a head; one value a word."""

    def __init__(self, shape):
        self.edges, self.nodes, self.foldings = {INPUT: Edge(shape, FORMAT)}, [], []
        self.rng = np.random.default_rng(3)

    def add(self, node, **folding):
        self.nodes.append(node)
        self.edges[node.name] = node.output(*(self.edges[name] for name in node.inputs))
        self.foldings.append((node.name, Folding(simd=1, lanes=1, **{"queue": 16, **folding})))
        return node.name

    def stage(self, name, source, window, slack=4, made=1, queue=16):
        edge = self.edges[source]
        weight = self.rng.integers(-7, 8, (made, *window.kernel, edge.channels))
        node = Contraction(
            name, (source,), "net", window, weight, Format(4, True, 0, narrow=True), Requantizer(FORMAT, 3)
        )
        return self.add(node, pe=made, ring=Geometry.of(window, edge.shape, 1).least_ring + slack, queue=queue)

    def sum(self, name, a, b):
        node = Add.aligned(name, (a, b), "net", self.edges[a].format, self.edges[b].format, FORMAT)
        return self.add(node, pe=1, ring=0)

    def network(self, source):
        """(specs, topology), with a head over what is left."""
        self.stage("head", source, Window(self.edges[source].shape[:3]), made=CLASSES, slack=0)
        graph = Graph("residual", InputSpec(self.edges[INPUT], self.edges[INPUT].shape), tuple(self.nodes))
        return stage_specs(graph, self.foldings, ECP5), Topology.of(graph)


def identity():
    """Two convolutions and the stream itself."""
    net = Residual((1, 6, 6, 1))
    start = net.stage("start", INPUT, Window())
    inner = net.stage("two", net.stage("one", start, SAME), SAME)
    return net.network(net.sum("sum", inner, start))


def deep():
    """The same with rows so long that the FIFO is a block RAM."""
    net = Residual((1, 4, 40, 1))
    inner = net.stage("two", net.stage("one", INPUT, SAME), SAME)
    return net.network(net.sum("sum", INPUT, inner))


def projection():
    """A strided block, whose short branch is a stage too, and an identity behind it."""
    net = Residual((1, 10, 10, 1))
    inner = net.stage("two", net.stage("one", INPUT, HALF, slack=8), SAME)
    first = net.sum("first", inner, net.stage("short", INPUT, Window(stride=(1, 2, 2)), queue=2))
    return net.network(net.sum("second", net.stage("three", first, SAME), first))


def nested():
    """A block within a branch of another."""
    net = Residual((1, 5, 5, 1))
    one = net.stage("one", INPUT, SAME)
    inner = net.sum("inner", net.stage("two", one, SAME), one)
    return net.network(net.sum("outer", net.stage("three", inner, SAME), INPUT))


NETWORKS = {"identity": identity, "deep": deep, "projection": projection, "nested": nested}


@pytest.fixture(scope="module", params=NETWORKS)
def found(request):
    """(specs, topology, depths)"""
    specs, topology = NETWORKS[request.param]()
    return specs, topology, fifo_depths(specs, 1, topology, classes=CLASSES)


def samples(specs, count):
    rng = np.random.default_rng(8)
    return [int(v) & 15 for v in rng.integers(-8, 8, count * specs[0].x.positions * specs[0].x.channels)]


def ends(prediction, count):
    """Of the first inferences."""
    return [prediction.end(number) for number in range(count)]


def test_the_short_branch_is_delayed(found):
    specs, topology, depths = found
    named = {(specs[depth.reader.stage].node.name, depth.reader.input) for depth in depths}
    assert named in (
        {("sum", 1)},
        {("sum", 0)},
        {("first", 1), ("second", 1)},
        {("inner", 1), ("outer", 1)},
    )
    assert all(1 < depth.least <= depth.full for depth in depths)


def test_at_the_computed_depths_the_design_takes_the_predicted_cycles(found):
    specs, topology, depths = found
    endless = predict(specs, 1, classes=CLASSES, topology=topology.with_fifos({d.reader: None for d in depths}))
    for kind in ("full", "least"):
        chosen = topology.with_fifos({depth.reader: getattr(depth, kind) for depth in depths})
        prediction = predict(specs, 1, classes=CLASSES, topology=chosen)
        assert (prediction.mean == endless.mean) if kind == "full" else True
        got = transfer(Top(specs, 1, chosen), samples(specs, 6), 6 * (CLASSES + 1))
        assert [end - got.accepted[0] for end in got.produced[CLASSES :: CLASSES + 1]] == ends(prediction, 6)


def test_one_word_less_than_the_least_hangs(found):
    specs, topology, depths = found
    for kind in ("full", "least"):  # whether the others are at the least that they may be or not
        for depth in depths:
            fifos = {d.reader: getattr(d, kind) for d in depths} | {depth.reader: depth.least - 1}
            shallow = topology.with_fifos(fifos)
            with pytest.raises(ValueError, match=r"^the schedule stops at .*: its buffers are too small$"):
                predict(specs, 1, classes=CLASSES, topology=shallow)
            came = len(schedule(specs, 1, 3, classes=CLASSES, topology=shallow)[-1])
            with pytest.raises(AssertionError, match=rf"hangs after \d+ words in and {came} out"):
                transfer(Top(specs, 1, shallow), samples(specs, 3), 3 * (CLASSES + 1), patience=1500)


def test_one_word_less_than_at_full_rate_loses_cycles(found):
    specs, topology, depths = found
    fulls = {d.reader: d.full for d in depths}
    wanted = predict(specs, 1, classes=CLASSES, topology=topology.with_fifos(fulls)).mean
    tried = 0
    for depth in depths:
        if depth.full == depth.least:  # one less hangs
            continue
        tried += 1
        shallow = topology.with_fifos(fulls | {depth.reader: depth.full - 1})
        prediction = predict(specs, 1, classes=CLASSES, topology=shallow)
        assert prediction.mean > wanted
        got = transfer(Top(specs, 1, shallow), samples(specs, 6), 6 * (CLASSES + 1))
        assert [end - got.accepted[0] for end in got.produced[CLASSES :: CLASSES + 1]] == ends(prediction, 6)
    assert tried, "no FIFO is deeper than its least depth"


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_of_random_networks(networks, data):
    """The definitions, word by word, in the event model, which is exact."""
    case = data.draw(networks)

    def interval(fifos):
        return shown_interval(case.specs, case.in_lanes, case.topology, classes=3, fifos=fifos)

    def words(fifos):
        topology = case.topology.with_fifos(fifos)
        return len(schedule(case.specs, case.in_lanes, 6, classes=3, topology=topology)[-1])

    readers = short_inputs(case.specs, case.in_lanes, case.topology, 3)
    depths = fifo_depths(case.specs, case.in_lanes, case.topology, classes=3)
    assert [depth.reader for depth in depths] == readers
    assert interval({depth.reader: depth.full for depth in depths}) <= interval(dict.fromkeys(readers))
    for number, depth in enumerate(depths):
        before, behind = depths[:number], dict.fromkeys(readers[number + 1 :])
        leasts = {d.reader: d.least for d in before} | behind
        fulls = {d.reader: d.full for d in before} | behind
        if depth.least > 1:
            assert words(leasts | {depth.reader: depth.least - 1}) < 6 * 4
        assert words(leasts | {depth.reader: depth.least}) == 6 * 4
        best = min(
            interval(fulls | {depth.reader: more})
            for more in (depth.full, depth.full + 1, 64, 65, 200, None)
            if more is None or more >= depth.least
        )
        assert interval(fulls | {depth.reader: depth.full}) == best
        if depth.full > depth.least:
            assert interval(fulls | {depth.reader: depth.full - 1}) > best


def test_a_network_that_hangs_for_another_reason_is_refused():
    specs, topology = identity()
    specs[0].folding = specs[0].folding.model_copy(update={"ring": 0})  # the spec itself would refuse it
    with pytest.raises(ValueError, match="the schedule stops at stage start: its buffers are too small"):
        fifo_depths(specs, 1, topology, classes=CLASSES)


def test_readers_are_numbered_by_stage_and_input():
    specs, topology = identity()
    assert topology.readers[0] == [Reader(1, 0), Reader(3, 1)]
