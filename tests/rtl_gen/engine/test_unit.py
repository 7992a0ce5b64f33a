"""Engines in hardware: the golden model's words, stage by stage, and each transfer's cycle as predicted."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.graph.golden import run
from rtl_gen.cycles import schedule
from rtl_gen.engine.schedule import Program
from rtl_gen.families import ECP5
from sim.stream import transfer


def golden(spec, values):
    """The last stage's output of the chain."""
    for node, edge in zip(spec.nodes, spec.edges, strict=True):
        values = node.golden((values, edge))
    return values.reshape(-1)


def after_output(program: Program) -> int:
    """Cycles behind the last output: positions that nobody reads are made all the same."""
    jobs = zip(program.stages, program.starts, program.jobs, strict=True)
    return program.cycles - max(start + job.cycles for stage, start, job in jobs if stage == max(program.stages))


def check(pack, unpack, data, spec, wanted):
    """The words of an engine's unit, and each transfer's cycle, with stalls and without."""
    x, simd, count = spec.edges[0], spec.folding.simd, 2
    in_lanes = data.draw(st.sampled_from([n for n in range(1, simd + 1) if simd % n == 0]))
    seed, stalls = data.draw(st.integers(0, 1000)), data.draw(st.booleans())
    values = np.random.default_rng(seed).integers(x.format.minimum, x.format.maximum + 1, (count, *x.shape))
    got = transfer(
        spec.unit(in_lanes),
        pack(values, in_lanes, x.format),
        spec.out_words * count,
        stalls=(0.4, 0.4) if stalls else (0.0, 0.0),
        seed=seed,
        patience=200_000,
        drain=64 + after_output(spec.program),
    )
    assert np.array_equal(unpack(got.words, spec.folding.lanes, spec.out.format), wanted(values))
    if not stalls:
        taken, made = schedule([spec], in_lanes, count, classes=None)
        assert [c - taken[0] for c in taken] == list(got.accepted)
        assert [c - taken[0] for c in made] == list(got.produced)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_golden_words_in_the_predicted_cycles(words, random_engines, data):
    spec = data.draw(random_engines)
    check(*words, data, spec, lambda values: golden(spec, values))


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_sums_are_golden_in_the_predicted_cycles(words, random_residual_engines, data):
    """Of what is made inside, and of the stream, whose words stay until the last sum that reads them."""
    graph, spec = data.draw(random_residual_engines)
    check(*words, data, spec, lambda values: run(graph, values)[graph.nodes[-1].name].reshape(-1))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_sums_take_at_least_is_no_more_than_what_they_take(random_residual_engines, data):
    _, spec = data.draw(random_residual_engines)
    least, exact = spec.least_resources, spec.resources()
    assert (least.dsps, least.ffs <= exact.ffs) == (exact.dsps, True)
    assert exact.brams - 2 <= least.brams <= exact.brams
    assert exact.luts - 80 <= least.luts <= exact.luts


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_it_takes_at_least_is_no_more_than_what_it_takes(random_engines, data):
    """The bound knows no order of the jobs; of an ECP5's LUTs and block RAMs it is near."""
    spec = data.draw(random_engines)
    least, exact = spec.least_resources, spec.resources()
    assert (least.dsps, least.ffs <= exact.ffs) == (exact.dsps, True)
    assert (least.brams <= exact.brams, least.luts <= exact.luts) == (True, True)
    if spec.family is ECP5:
        assert (least.brams >= exact.brams - 2, least.luts >= exact.luts - 60) == (True, True)
