"""The event model: whole chains against the simulation, its end, its refusals, its memory."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, Permutation, Pool
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen import cycles
from rtl_gen.cycles import Inferences, Model, predict, schedule
from rtl_gen.families import ECP5, device
from rtl_gen.geometry import Geometry
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.network import edge_at
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.search import plan
from rtl_gen.top import Top
from rtl_gen.topology import SOURCE, Reader, Topology
from sim.stream import transfer

FORMAT = Format(4, True, 0)


def stage(node, x, simd, pe, lanes, slack=0, queue=16):
    """A folded stage with `slack` ring words beyond those that it needs."""
    window = getattr(node, "window", Window())
    ring = Geometry.of(window, x.shape, simd).least_ring + slack
    return spec_of(node, (x,), Folding(simd=simd, pe=pe, lanes=lanes, ring=ring, queue=queue), ECP5)


def contraction(name, x, channels, window):
    weight = np.random.default_rng(1).integers(-7, 8, size=(channels, *window.kernel, x.channels))
    requant = Requantizer(FORMAT, 3)
    return Contraction(name, (INPUT,), name, window, weight, Format(4, True, 0, narrow=True), requant)


def pointwise(name, x, lanes, queue=16):
    """A maximum over windows of one position: every word goes through."""
    return stage(Pool(name, (INPUT,), name, "max", Window()), x, lanes, lanes, lanes, queue=queue)


def ends_of(specs, in_lanes, count, classes):
    """The cycle of each inference's last output word, by every transfer of them."""
    return schedule(specs, in_lanes, count, classes=classes)[-1][classes :: classes + 1].tolist()


def inputs_of_sums(topology):
    return [Reader(number, k) for number, sources in enumerate(topology.reads) if len(sources) == 2 for k in range(2)]


@pytest.fixture(scope="module")
def chain():
    """(stages, in_lanes, classes): padding, strides, wide and narrow links, deep and shallow buffers."""
    cube = Window((3, 3, 2), (1, 1, 1), ((1, 1), (1, 1), (0, 1)))
    x = Edge((4, 3, 4, 2), FORMAT)
    specs = [stage(contraction("conv", x, 8, cube), x, 2, 4, 2, 400)]
    x = specs[-1].out
    specs.append(stage(Pool("pool", (INPUT,), "pool", "max", Window((2, 1, 2), (2, 1, 2))), x, 4, 4, 4, 9, 3))
    x = specs[-1].out
    specs.append(stage(contraction("mix", x, 6, Window()), x, 2, 3, 1, 2))
    x = specs[-1].out
    specs.append(stage(Permutation("swap", (INPUT,), "swap", (3, 0, 5, 1, 4, 2)), x, 1, 1, 1, 40))
    specs.append(stage(contraction("head", x, 4, Window((2, 3, 2))), x, 1, 2, 1))
    return specs, 1, 4


def test_every_transfer_of_a_chain_is_where_the_simulation_has_it(chain, words):
    specs, in_lanes, classes = chain
    x = np.random.default_rng(5).integers(FORMAT.minimum, FORMAT.maximum + 1, size=(4, *specs[0].x.shape))
    got = transfer(Top(specs, in_lanes), words[0](x, in_lanes, FORMAT), (classes + 1) * len(x))
    found = schedule(specs, in_lanes, len(x), classes=classes)
    assert [len(link) for link in found[1:]] == [len(x) * n for n in (*(s.out_words for s in specs), classes + 1)]
    assert found[0].tolist() == list(got.accepted)
    assert found[-1].tolist() == list(got.produced)


def test_wide_words_are_split_before_a_narrow_stage_and_the_argmax(words):
    x = Edge((2, 1, 2, 6), FORMAT)
    specs = [pointwise("wide", x, 6), pointwise("narrow", x, 2, queue=3)]
    values = np.random.default_rng(2).integers(FORMAT.minimum, FORMAT.maximum + 1, size=(3, *x.shape))
    got = transfer(Top(specs, 3), words[0](values, 3, FORMAT), 25 * len(values))
    found = schedule(specs, 3, len(values), classes=24)
    assert [len(link) for link in found] == [24, 12, 36, 75]
    assert found[0].tolist() == list(got.accepted)
    assert found[-1].tolist() == list(got.produced)


def test_the_prediction_is_that_of_the_schedule(chain):
    specs, in_lanes, classes = chain
    found = predict(specs, in_lanes, classes=classes)
    assert [found.end(n) for n in range(20)] == ends_of(specs, in_lanes, 20, classes)
    assert found.latency == found.end(0) and len(found.intervals) == 1


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_prediction_of_random_networks_is_that_of_the_schedule(networks, data):
    """Every inference's, long after what is predicted begins to repeat."""
    case = data.draw(networks)
    depths = st.sampled_from([9, 20, 65, 200])
    topology = case.topology.with_fifos({reader: data.draw(depths) for reader in inputs_of_sums(case.topology)})
    try:
        found = predict(case.specs, case.in_lanes, classes=3, topology=topology)
    except ValueError as error:
        assert "its buffers are too small" in str(error)
        return
    count = 2 * (len(found.ends) + len(found.intervals)) + 30
    wanted = schedule(case.specs, case.in_lanes, count, classes=3, topology=topology)[-1][3::4]
    assert [found.end(n) for n in range(count)] == wanted.tolist()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_state_is_all_that_later_inferences_depend_on(networks, cases, accumulated, data):
    """Whatever an attempt from a much later state leaves behind, the one before it brings back what would have come."""
    kind = data.draw(st.sampled_from([networks, networks, cases, accumulated]))
    case = data.draw(kind)
    if kind is networks:
        depths = st.sampled_from([20, 65, 200])
        topology = case.topology.with_fifos({reader: data.draw(depths) for reader in inputs_of_sums(case.topology)})
        specs, classes = case.specs, 3
    else:
        specs, topology = [case.spec], Topology.chain(1)
        classes = case.spec.out.positions * case.spec.out.channels
    whole, torn = (Inferences(Model(specs, case.in_lanes, topology, classes=classes)) for _ in range(2))
    try:
        before = data.draw(st.integers(1, 5))
        assert [whole.step() for _ in range(before)] == [torn.step() for _ in range(before)]
    except ValueError as error:
        assert "its buffers are too small" in str(error)
        return
    state = torn.state()
    torn.attempt(state + 10_000)
    shifted = [torn.step() for _ in range(data.draw(st.integers(1, 3)))]
    torn.resume(state)
    assert torn.state().tolist() == state.tolist()
    ends = [whole.step() for _ in range(6)]
    assert [torn.step() for _ in range(6)] == ends
    assert shifted == [end + 10_000 for end in ends[: len(shifted)]]


def test_uneven_intervals_are_those_of_the_simulation(cases, networks, words):
    """Of random stages and networks whose intervals have periods of two and of three, every inference's end."""
    uneven = {}

    @settings(max_examples=1500, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(cases, networks)
    def look(stage_case, network):
        topology = network.topology.with_fifos(dict.fromkeys(inputs_of_sums(network.topology), 90))
        alone = stage_case.spec.out
        for specs, lanes, connections, classes in (
            ([stage_case.spec], stage_case.in_lanes, Topology.chain(1), alone.positions * alone.channels),
            (network.specs, network.in_lanes, topology, 3),
        ):
            if max(spec.out_words for spec in specs) <= 40:
                found = predict(specs, lanes, classes=classes, topology=connections)
                if len(found.intervals) > 1:
                    uneven.setdefault(len(found.intervals), []).append((specs, lanes, connections, classes, found))

    look()
    assert {2, 3} <= set(uneven)
    for specs, lanes, topology, classes, found in [*uneven[2][:2], *uneven[3][:2]]:
        edge = edge_at(specs, topology.readers[SOURCE][0])
        count, fmt = len(found.ends) + 3 * len(found.intervals), edge.format
        x = np.random.default_rng(3).integers(fmt.minimum, fmt.maximum + 1, size=(count, *edge.shape))
        got = transfer(Top(specs, lanes, topology), words[0](x, lanes, fmt), (classes + 1) * count)
        ends = [end - got.accepted[0] for end in got.produced[classes :: classes + 1]]
        assert ends == [found.end(n) for n in range(count)]


def test_progress_counts_inferences_up_to_those_predicted(chain, monkeypatch):
    monkeypatch.setattr(cycles, "ROUNDS", 10)
    specs, in_lanes, classes = chain
    told = []
    predict(specs, in_lanes, classes=classes, progress=lambda step, done, text: told.append(done))
    assert len(told) > 4 and told == sorted(told)
    assert 0 < told[0] < 2 <= told[-1]


@pytest.mark.parametrize("stuck", [1, 2])
def test_a_deadlock_names_the_stage_whose_buffers_are_too_small(stuck):
    x = Edge((2, 2, 2, 4), FORMAT)
    specs = [pointwise(name, x, 1) for name in ("first", "second", "third")]
    specs[stuck].folding = specs[stuck].folding.model_copy(update={"ring": 1})  # the spec itself would refuse it
    with pytest.raises(ValueError, match=rf"^the schedule stops at stage {specs[stuck].node.name}: its buffers"):
        predict(specs, 1, classes=32)
    assert len(schedule(specs, 1, 2, classes=None)[-1]) < 64


def test_a_schedule_that_alternates_is_predicted(words):
    x = Edge((1, 2, 1, 2), FORMAT)
    spec = stage(contraction("odd", x, 1, Window((3, 1, 3), (1, 3, 3), ((1, 2), (0, 0), (2, 2)))), x, 2, 1, 1, queue=3)
    found = predict([spec], 1, classes=2)
    assert (sorted(found.intervals), found.mean) == ([13, 14], Fraction(27, 2))
    values = np.random.default_rng(2).integers(FORMAT.minimum, FORMAT.maximum + 1, size=(9, *x.shape))
    got = transfer(Top([spec], 1), words[0](values, 1, FORMAT), 3 * len(values))
    assert [end - got.accepted[0] for end in got.produced[2::3]] == [found.end(n) for n in range(9)]


_LARGE = """
from pathlib import Path

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT, Edge, Pool
from qtt_hw.window import Window
from rtl_gen.cycles import predict
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of

edge = Edge((4, 4, 4, 1 << 14), Format(4, True, 0))
node = Pool("large", (INPUT,), "large", "max", Window())
spec = spec_of(node, (edge,), Folding(simd=1, pe=1, lanes=1, ring=1 << 14, queue=16), ECP5)
small = Pool("small", (INPUT,), "small", "max", Window((4, 4, 4)))
last = spec_of(small, (edge,), Folding(simd=1, pe=1, lanes=1, ring=1 << 20, queue=16), ECP5)


def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


before = most()
found = predict([spec, last], 1, classes=1 << 14)
assert found.mean > 1 << 20
print(most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the most memory a process had is read from /proc")
def test_memory_is_that_of_the_buffers_not_of_all_words():
    """Eight million words pass; to keep them all would take 100 MB more than the large ring's 32."""
    done = subprocess.run([sys.executable, "-c", _LARGE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 80_000


def test_a_stage_that_is_never_waited_for_and_goes_at_a_rhythm_of_its_own_is_periodic():
    """Its cycles fall behind on the whole, by less at one time and by more than the ends at another."""
    fmt = Format(3, True, 0)
    pool = Window((3, 1, 2), (3, 1, 2), ((2, 1), (0, 0), (1, 0)))
    whole = Window((1, 2, 2))
    weight = np.ones((2, 1, 2, 2, 1), dtype=np.int64)
    graph = Graph(
        "net",
        input_spec((1, 2, 3, 1), format=fmt),
        (
            Permutation("order", (INPUT,), "net", (0,)),
            Add.aligned("sum", ("order", INPUT), "net", fmt, fmt, fmt),
            Pool("pool", ("sum",), "net", "max", pool),
            Contraction(
                "head", ("pool",), "net", whole, weight, Format(4, True, 0, narrow=True), Requantizer(FORMAT, 0)
            ),
        ),
    )
    found = plan(graph, device("none"), fps=10_000)
    assert found.predicted.intervals == (10, 8, 8, 8, 8)
    specs = stage_specs(graph, [(stage.stage, stage.folding) for stage in found.stages], ECP5)
    steps = Inferences(Model(specs, found.input_lanes, Topology.of(graph, found.fifo_depths), classes=2))
    assert [steps.step() for _ in range(2000)] == [found.predicted.end(n) for n in range(2000)]
