"""What sets a rate: the stage, stream or buffer without which the network would be faster."""

import numpy as np

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec
from qtt_hw.window import Window
from rtl_gen.cycles import predict
from rtl_gen.depths import fifo_depths
from rtl_gen.families import ECP5, device
from rtl_gen.kinds import Folding
from rtl_gen.period import NotPeriodic
from rtl_gen.plan.explain import explained
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.problem import Problem
from rtl_gen.plan.rate import limit_of
from rtl_gen.plan.search import plan
from rtl_gen.plan.swaps import Swaps
from rtl_gen.plan.trim import Trim

FORMAT, WEIGHTS = Format(4, True, 0), Format(3, True, 0, narrow=True)


def contraction(name, source, made, taken, window=Window()):  # noqa: B008 - immutable
    weight = np.random.default_rng(3).integers(-3, 4, (made, *window.kernel, taken))
    return Contraction(name, (source,), name, window, weight, WEIGHTS, Requantizer(FORMAT, 3))


def limit(graph, foldings, lanes=1):
    swaps = Swaps.of(graph, foldings, ECP5)
    specs = swaps.specs(foldings)
    return limit_of(swaps, specs, lanes, swaps.topology, swaps.mean(specs)), swaps.mean(specs)


def test_the_busiest_stage_where_it_never_waits(network):
    found = plan(network, device("ecp5-12f"), fps=2000)
    specs, topology = hardware_of(network, found)
    swaps = Swaps.of(network, {s.stage: s.folding for s in found.stages}, ECP5)
    named = limit_of(swaps, specs, found.input_lanes, topology, found.cycles)
    assert (named.kind, named.stage, named.cycles, named.share) == ("stage", found.bottleneck, found.cycles, 1.0)


def test_the_input_where_most_of_it_is_passed_over():
    edge = Edge((4, 4, 4, 1), FORMAT)
    nodes = (contraction("pick", INPUT, 2, 1, Window((1, 1, 1), (2, 2, 2))),)
    graph = Graph("strided", InputSpec(edge, edge.shape), nodes)
    found, mean = limit(graph, {"pick": Folding(simd=1, pe=2, lanes=2, ring=64, queue=64)})
    assert (found.kind, found.stage, found.cycles) == ("input", None, 64)
    assert mean == 64


def test_the_argmax_where_a_stage_is_done_at_once():
    edge = Edge((1, 1, 1, 2), FORMAT)
    graph = Graph("wide", InputSpec(edge, edge.shape), (contraction("head", INPUT, 16, 2),))
    found, mean = limit(graph, {"head": Folding(simd=2, pe=16, lanes=16, ring=16, queue=64)}, lanes=2)
    assert (found.kind, found.stage, found.cycles) == ("argmax", None, 35)
    assert mean == 35


def test_a_ring_or_a_queue_that_is_waited_for(uneven):
    graph, plan_of = uneven
    specs, topology = hardware_of(graph, plan_of)
    swaps = Swaps.of(graph, {"only": specs[0].folding}, ECP5)
    found = limit_of(swaps, specs, 1, topology, plan_of.cycles)
    assert found.kind in ("ring", "queue") and found.stage == "only"
    deeper = specs[0].folding.model_copy(update={found.kind: specs[0].deepest()[found.kind]})
    mean = swaps.mean([swaps.spec(0, deeper)])
    assert mean == found.cycles < plan_of.cycles


def test_a_fifo_that_is_waited_for(residual):
    found = plan(residual, device("ecp5-12f"))
    specs, topology = hardware_of(residual, found)
    (depth,) = fifo_depths(specs, found.input_lanes, topology, classes=3)
    assert depth.least < depth.full
    shallow = topology.with_fifos({depth.reader: depth.full - 1})
    mean = predict(specs, found.input_lanes, classes=3, topology=shallow).mean
    swaps = Swaps.of(residual, {s.stage: s.folding for s in found.stages}, ECP5)
    named = limit_of(swaps, specs, found.input_lanes, shallow, mean)
    assert (named.kind, named.stage) == ("fifo", "sum") and named.cycles < mean


def test_what_has_no_period_is_not_known_to_be_faster(residual, monkeypatch):
    """With FIFOs that have no end, networks may never come to one, while the plan has one."""
    found = plan(residual, device("ecp5-12f"))
    specs, topology = hardware_of(residual, found)
    swaps = Swaps.of(residual, {s.stage: s.folding for s in found.stages}, ECP5)

    def endless(*_, **__):
        raise NotPeriodic([0, 5, 11])

    monkeypatch.setattr("rtl_gen.plan.swaps.predict", endless)
    assert swaps.mean(specs) is None and not Trim(swaps, device("ecp5-12f")).holds(specs, found.cycles)
    named = limit_of(swaps, specs, found.input_lanes, topology, found.cycles + 1)
    assert named.kind == "waits"
    again = plan(residual, device("ecp5-12f"))
    assert again.cycles >= found.cycles
    assert explained(Problem.of(residual, {}, ECP5), device("ecp5-12f"), again).neighbours.larger is None
