"""The event model: whole chains against the simulation, its end, its refusals, its memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Contraction, Edge, Permutation, Pool
from qtt_hw.window import Window
from rtl_gen import cycles
from rtl_gen.cycles import NotPeriodic, predict, predict_by, schedule
from rtl_gen.families import ECP5
from rtl_gen.geometry import Geometry
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.top import Top
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
    ends = schedule(specs, in_lanes, 6, classes=classes)[-1][classes :: classes + 1].tolist()
    assert list(found.outputs) == ends[:4]
    assert found.latency == ends[0]
    assert found.interval == ends[3] - ends[2] == ends[5] - ends[4]


def test_progress_counts_inferences_up_to_those_predicted(chain, monkeypatch):
    monkeypatch.setattr(cycles, "ROUNDS", 20)
    specs, in_lanes, classes = chain
    told = []
    assert len(predict(specs, in_lanes, classes=classes, progress=told.append).outputs) == 4
    assert len(told) > 4 and told == sorted(told)
    assert 0 < told[0] < 2 and told[-1] == 4


@pytest.mark.parametrize("stuck", [1, 2])
def test_a_deadlock_names_the_stage_whose_buffers_are_too_small(stuck):
    x = Edge((2, 2, 2, 4), FORMAT)
    specs = [pointwise(name, x, 1) for name in ("first", "second", "third")]
    specs[stuck].folding = specs[stuck].folding.model_copy(update={"ring": 1})  # the spec itself would refuse it
    with pytest.raises(ValueError, match=rf"^the schedule stops at stage {specs[stuck].node.name}: its buffers"):
        predict(specs, 1, classes=32)
    assert len(schedule(specs, 1, 2, classes=None)[-1]) < 64


def test_a_schedule_that_alternates_is_refused_with_its_intervals():
    x = Edge((1, 2, 1, 2), FORMAT)
    spec = stage(contraction("odd", x, 1, Window((3, 1, 3), (1, 3, 3), ((1, 2), (0, 0), (2, 2)))), x, 2, 1, 1, queue=3)
    with pytest.raises(ValueError, match=r"not periodic after 12 inferences: \[13, 11, 13, 11") as refused:
        predict([spec], 1, classes=2)
    assert "\n" not in str(refused.value)


_LARGE = """
from pathlib import Path

from qtt_hw.fixedpoint import Format
from rtl_gen.cycles import predict
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, Spec, spec_of

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
assert found.interval > 1 << 20
print(most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the most memory a process had is read from /proc")
def test_memory_is_that_of_the_buffers_not_of_all_words():
    """Eight million words pass; to keep them all would take 100 MB more than the large ring's 32."""
    done = subprocess.run([sys.executable, "-c", _LARGE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 80_000


class _Intervals:
    """Stands for a model whose inferences come out at the given intervals."""

    def __init__(self, gaps):
        self.ends, self.links, self.units, self.done = np.cumsum([100, *gaps]), [0], self, 0

    def inferences(self):
        return self.done

    def go_on(self, records):
        self.done = records
        return True

    def records(self, link):
        return self.ends[: self.done]

    def first_taken(self, link):
        return 0


def test_two_alike_are_not_yet_a_period():
    assert predict_by(_Intervals([80, 73, 73, 73, 73])).interval == 73
    with pytest.raises(NotPeriodic, match="not periodic after 12 inferences") as error:
        predict_by(_Intervals([73, 73, 78] * 4))
    assert error.value.mean == (73 + 73 + 78) / 3
