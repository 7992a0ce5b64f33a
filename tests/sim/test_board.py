"""A board's top level, its serial pins driven by the host driver: the golden model's answers, or it is told."""

from dataclasses import replace
from typing import Any

import pytest

import boards
from boards.host import Driver
from rtl_gen.manifest import Manifest
from sim.board import SimulatedLine, simulate_board

#: Eight clock cycles a bit: the shortest that the link takes.
FAST = replace(boards.load("ulx3s-85f"), baud=12_500_000)


def test_the_board_answers_as_the_golden_model_does(small_build: Any) -> None:
    x = small_build.samples(12)
    told: list[tuple[object, ...]] = []
    result = simulate_board(small_build(), FAST, x, progress=lambda *report: told.append(report))
    assert result.equal and result.samples == 12
    assert told == [("board", done, 12) for done in range(1, 13)]
    # six words of two bytes there and three of three back, ten bits each, overlapping
    assert 12 * 6 * 2 * 10 * 8 <= result.simulated_cycles < 12 * 6 * 2 * 10 * 8 * 2


@pytest.mark.parametrize("skew", [0.985, 1.015])
def test_a_host_whose_bits_are_a_little_off(small_build: Any, skew: float) -> None:
    slower = replace(FAST, baud=3_125_000)
    assert simulate_board(small_build(), slower, small_build.samples(3), skew=skew).equal


def test_a_wrong_design_is_found(small_build: Any) -> None:
    result = simulate_board(small_build(shift=3), FAST, small_build.samples(3))
    assert not result.equal
    assert result.first_difference is not None
    assert (result.first_difference.stage, result.first_difference.sample) == ("head", 0)


def test_a_design_that_hangs_is_told(small_build: Any) -> None:
    build = small_build(hang_at=1)
    message = r"^sample 1: 0 of 9 bytes of the answer came within .* s; check the port"
    with SimulatedLine(build, FAST) as line, pytest.raises(ValueError, match=message):
        Driver(Manifest.load(build), FAST, _Quick(line)).run(small_build.samples(3))


def test_a_break_brings_a_half_sent_sample_to_nothing(small_build: Any) -> None:
    build, x = small_build(), small_build.samples(2)
    manifest = Manifest.load(build)
    with SimulatedLine(build, FAST) as line:
        driver = Driver(manifest, FAST, line)
        line.write(driver.encode(x[0])[:7])
        assert line.read(1, 1e-4) == b""
        again = Driver(manifest, FAST, line).run(x)
        assert line.led & 3 == 1, "locked, no byte lost"
    with SimulatedLine(build, FAST) as line:
        assert (again.words == Driver(manifest, FAST, line).run(x).words).all()


def test_an_answer_out_of_step_is_told(small_build: Any) -> None:
    build, x = small_build(), small_build.samples(2)
    with SimulatedLine(build, FAST) as line:
        driver = Driver(Manifest.load(build), FAST, line)
        line.write(driver.encode(x[0]))
        line.read(3, 1e-3)
        with pytest.raises(ValueError, match=r"^sample 0: the answer is out of step"):
            driver.run(x)


class _Quick:
    """A line whose patience is a millisecond."""

    def __init__(self, line: SimulatedLine):
        self._line = line

    def write(self, data: bytes) -> None:
        self._line.write(data)

    def read(self, count: int, seconds: float) -> bytes:
        assert seconds > 1
        return self._line.read(count, 1e-3)

    def send_break(self) -> None:
        self._line.send_break()
