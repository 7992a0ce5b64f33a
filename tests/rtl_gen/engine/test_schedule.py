"""The order of an engine's jobs: all of them, no reader before its input is made, no row lost that is still read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec
from qtt_hw.graph.file import load
from qtt_hw.window import Window
from rtl_gen.engine.jobs import Job, Work, work_of
from rtl_gen.engine.rings import least_rows
from rtl_gen.engine.schedule import OUTSIDE, Program, Read, schedule

LATENCY = 18


def chain_of(graph: Graph, simd: int, pe: int) -> tuple[list[Work], list[list[Read]]]:
    """A graph's contractions behind the first, and what each reads; the later summand's stage makes a sum."""
    number: dict[str, int] = {}
    works: list[Work] = []
    reads: list[list[Read]] = []
    for node in graph.nodes:
        if isinstance(node, Contraction) and number:
            works.append(work_of(node, graph.edges[node.inputs[0]], simd, pe))
            reads.append([Read(number[node.inputs[0]], works[-1].least_rows)])
            number[node.name] = len(works) - 1
        elif isinstance(node, Contraction):
            number[node.name] = OUTSIDE
        elif isinstance(node, Add):
            early, late = sorted(number[name] for name in node.inputs)
            reads[late].append(Read(early, 1, summand=True))
            number[node.name] = late
        elif node.relabels:
            number[node.name] = number[node.inputs[0]]
        else:
            break  # the head's pool, and what stands behind it
    return works, reads


def with_least_rows(works: list[Work], reads: list[list[Read]]) -> list[list[Read]]:
    """The same with the least rings that no order gets stuck with."""
    rows = least_rows(works, reads)
    return [[replace(read, rows=rows[read.source + 1]) for read in given] for given in reads]


def in_raster_order(program: Program) -> list[Job]:
    """A program's jobs, stage by stage."""
    placed = zip(program.stages, program.jobs, strict=True)
    return [job for _, job in sorted(placed, key=lambda pair: (pair[0], pair[1].first))]


def check(works: list[Work], program: Program) -> None:
    """What the hardware relies on."""
    assert in_raster_order(program) == [job for work in works for job in work.jobs]
    made = [0] * len(works)  # positions that are made by the jobs before, of each stage
    place: dict[tuple[int, int], int] = {}  # of the job that made a position
    edges = [
        (read, reader, works[read.source].geometry.out_shape[2])
        for reader, given in enumerate(program.reads)
        for read in given
        if read.source != OUTSIDE
    ]
    # The first row that a reader reads from each place in the order on.
    oldest = [[1 << 60] * (len(program.jobs) + 1) for _ in edges]
    for number in reversed(range(len(program.jobs))):
        job, stage = program.jobs[number], program.stages[number]
        for old, (read, reader, width) in zip(oldest, edges, strict=True):
            begin = (job.first if read.summand else job.start) // width if stage == reader else 1 << 60
            old[number] = min(old[number + 1], begin)
    for number, (job, stage, depth) in enumerate(zip(program.jobs, program.stages, program.depth, strict=True)):
        for old, (read, reader, width) in zip(oldest, edges, strict=True):
            if reader == stage:
                assert read.end(job) <= made[read.source], "a job reads what no job before it makes"
                assert place[read.source, read.end(job) - 1] <= number - 1 - depth, "it may still be in the pipeline"
            if read.source == stage:
                assert old[number] > job.first // width - read.rows, "a row is overwritten that is still read"
        made[stage] = job.last
        place.update({(stage, position): number for position in range(job.first, job.last)})


@pytest.mark.parametrize(
    ("model", "lanes"), [("voxtt-modelnet10", (8, 4)), ("voxtt-modelnet10", (16, 16)), ("resnet20-cifar10", (8, 8))]
)
def test_committed_networks_lose_few_cycles(model: str, lanes: tuple[int, int]) -> None:
    """At least 97 % of the array's cycles, with the least rows that do not deadlock."""
    works, reads = chain_of(load(Path(f"models/{model}.qtt")), *lanes)
    program = schedule(works, with_least_rows(works, reads), LATENCY)
    check(works, program)
    assert program.steps / program.cycles > 0.97


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Small chains and residual blocks in 2D."""
    fmt, weights = Format(8, True, 0), Format(4, True, 0, narrow=True)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))

    def conv(name: str, source: str, edge: Edge, made: int, kernel: int, stride: int) -> Contraction:
        pad = (kernel // 2, kernel // 2)
        window = Window((1, kernel, kernel), (1, stride, stride), ((0, 0), pad, pad))
        weight = as_integers(rng.integers(-7, 8, (made, *window.kernel, edge.channels)))
        return Contraction(name, (source,), name, window, weight, weights, Requantizer(fmt, 5))

    edge = Edge((1, draw(st.integers(2, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 5))), fmt)
    nodes: list[Contraction | Add] = [conv("first", INPUT, edge, draw(st.integers(1, 6)), 1, 1)]
    first = edge
    edge, source = nodes[0].output(edge), "first"
    for block in range(draw(st.integers(1, 4))):
        stride, made = draw(st.sampled_from([1, 1, 2])), draw(st.integers(1, 9))
        path = conv(f"{block}.a", source, edge, made, draw(st.sampled_from([1, 3])), stride)
        middle = path.output(edge)
        nodes.append(path)
        if draw(st.booleans()):
            shortcut = conv(f"{block}.b", source, edge, made, 1, stride)
            nodes += [shortcut, Add.aligned(f"{block}.sum", (path.name, shortcut.name), f"{block}", fmt, fmt, fmt)]
        source, edge = nodes[-1].name, middle
    return Graph("net", InputSpec(first, first.shape), tuple(nodes))


@settings(max_examples=60, deadline=None)
@given(graphs(), st.sampled_from([(1, 1), (2, 4), (8, 8)]), st.integers(0, 30))
def test_random_graphs_have_an_order(graph: Graph, lanes: tuple[int, int], latency: int) -> None:
    works, reads = chain_of(graph, *lanes)
    check(works, schedule(works, with_least_rows(works, reads), latency))


def test_a_ring_too_small_is_named() -> None:
    works, reads = chain_of(load(Path("models/voxtt-modelnet10.qtt")), 8, 4)
    small = [*reads[:1], [replace(reads[1][0], rows=16)], *reads[2:]]
    with pytest.raises(ValueError, match=r"stage features.block2.conv.d: a ring of 16 rows is too small"):
        schedule(works, small, LATENCY)
