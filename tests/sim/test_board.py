"""A board's top level, its serial line driven by the host: the golden model's answers and the predicted cycles, or it
is told."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import boards
from boards.host import Host
from boards.protocol import Kind
from boards.serial_line import SerialLine
from boards.top import BoardTop, board_verilog
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.manifest import Manifest
from rtl_gen.plan.search import plan
from sim.board import Noise, SimulatedBoard, SimulatedLine, check_link, linked, on_terminal
from sim.on_board import run_on_board, simulate_board
from tests.sim.test_netlist_families import tiny

BOARD = boards.load("ulx3s-85f")
#: Clock cycles of a bit.
DIVISOR = 8


def test_the_board_answers_as_the_golden_model_does(small_build: Any) -> None:
    x = small_build.samples(12)
    told: list[tuple[object, ...]] = []
    result = simulate_board(
        small_build(), BOARD, x, divisor=DIVISOR, progress=lambda *report: told.append(report), timeout=60
    )
    assert result.equal and result.samples == 12 and result.whole
    assert told == [("board", done, 12) for done in range(13)]
    # Counted by the hardware, from a reset and back to back.
    assert (result.latency, result.cycles, result.cycles_equal) == (8, 9, True)
    assert result.clock_mhz == 100.0 and result.frames_per_second == pytest.approx(1e8 / 9)


def test_a_sample_in_memories_of_one_port(tmp_path: Path) -> None:
    design = tiny()
    emit(design, tmp_path / "build", plan(design, device("up5k"), fps=1.3e6))
    top = board_verilog(BoardTop(boards.load("icebreaker"), Manifest.load(tmp_path / "build"), 24))
    assert len(re.findall(r"^  SB_SPRAM256KA ", top, re.MULTILINE)) == 2, "words of 32 bits"
    x = np.random.default_rng(7).integers(-128, 128, (5, *design.input.edge.shape))
    result = simulate_board(tmp_path / "build", boards.load("icebreaker"), x, timeout=60)
    assert result.equal and result.whole and result.cycles_equal


@pytest.mark.parametrize("skew", [0.98, 1.02])
def test_a_host_whose_bits_are_a_little_off(small_build: Any, skew: float) -> None:
    result = simulate_board(small_build(), BOARD, small_build.samples(3), divisor=DIVISOR, skew=skew, timeout=60)
    assert result.equal and result.broken == 0


def test_a_line_that_changes_and_loses_bytes(small_build: Any) -> None:
    x, noise = small_build.samples(12, 3), Noise(corrupt=0.01, drop=0.01, seed=5)
    result = simulate_board(small_build(), BOARD, x, divisor=DIVISOR, noise=noise, timeout=60)
    assert result.equal and result.cycles_equal and result.repeated > 0


def test_a_wrong_design_is_found(small_build: Any) -> None:
    result = simulate_board(small_build(shift=3), BOARD, small_build.samples(3), divisor=DIVISOR, timeout=60)
    assert not result.equal and result.cycles_equal
    assert result.first_difference is not None
    assert (result.first_difference.stage, result.first_difference.sample) == ("head", 0)


def test_a_design_that_hangs_or_is_late_is_told(small_build: Any) -> None:
    message = r"^the board: sample 0: the accelerator has not answered in \d+ cycles, 8 are predicted$"
    with pytest.raises(ValueError, match=message):
        simulate_board(small_build(hang_at=0), BOARD, small_build.samples(3), divisor=DIVISOR, timeout=60)
    late = simulate_board(small_build(extra_wait=2), BOARD, small_build.samples(2), timeout=60)
    assert late.equal and late.cycles_equal is False
    assert str(late.first_cycle_difference) == "sample 0 took 10 cycles, 8 are predicted"


def test_hosts_that_vanish_in_the_middle_of_a_sample(small_build: Any) -> None:
    simulated, x = SimulatedBoard(small_build(), BOARD, divisor=DIVISOR), small_build.samples(3)
    with SimulatedLine(simulated) as line:
        for number in range(3):
            host = Host(simulated.manifest, line, timeout=60)
            parts = host.encode(x[0])[0]
            host._channel.deliver([(Kind.BEGIN, bytes([0, 0])), (Kind.DATA, parts[: 4 * number])], "half a sample")
            line.write(b"\x7e\x04\x02\x20half a frame"[: 3 + number], 1)
        answers = Host(simulated.manifest, line, timeout=60).run(x)
    with SimulatedLine(simulated) as line:
        assert (answers.words == Host(simulated.manifest, line, timeout=60).run(x).words).all()


def test_a_board_on_a_terminal(small_build: Any, tmp_path: Path) -> None:
    build, x = small_build(), small_build.samples(5)
    simulated = SimulatedBoard(build, BOARD, divisor=DIVISOR)
    with on_terminal(simulated) as (port, child):
        for _ in range(2):
            result = run_on_board(build, x, port, BOARD.baud, timeout=60)
            assert result.equal and result.cycles_equal
        with SerialLine(port, BOARD.baud), pytest.raises(ValueError, match=f"^{port}: is in use by another process$"):
            run_on_board(build, x, port, BOARD.baud)
        other = shutil.copytree(build, tmp_path / "other")
        facts = json.loads((other / "manifest.json").read_text())
        facts["predicted"]["ends"] = [7]
        (other / "manifest.json").write_text(json.dumps(facts))
        with pytest.raises(ValueError, match=f"^{port}: the board holds another BUILD of the model small, of another"):
            run_on_board(other, x, port, BOARD.baud, timeout=60)
        assert child.ended() is None
        child.kill()
        child.process.wait()
        assert child.ended() == "was killed by signal 9: no message"
        with pytest.raises(ValueError, match=f"^{port}: no answer to the opening within 0.5 s; nothing came at all"):
            run_on_board(build, x, port, BOARD.baud, timeout=0.5)
    assert not Path(port).exists()


def test_noise_has_its_range() -> None:
    with pytest.raises(ValueError, match="^drop: must be 0 to 0.5, got 0.7$"):
        Noise(drop=0.7)


def test_a_board_that_cannot_hold_a_design_is_not_simulated(small_build: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no sources for ice40; plan it for a device of that family$"):
        SimulatedBoard(small_build(), boards.load("icebreaker"))
    design = tiny()
    emit(design, tmp_path / "build", plan(design, device("ecp5-85f")))
    file = tmp_path / "build" / "plan.json"
    file.write_text(re.sub(r'"dsps": \d+,(?=[^{]*"ffs")', '"dsps": 99,', file.read_text(), count=1))
    small = boards.load("ulx3s-12f")
    with pytest.raises(
        ValueError, match=r"build: takes 99 multipliers of 28 that ulx3s-12f has; plan it for --device "
    ):
        SimulatedBoard(tmp_path / "build", small)


def test_a_port_s_name_is_taken_from_nobody(tmp_path: Path) -> None:
    link = tmp_path / "board.tty"
    ours, theirs = os.openpty()
    live = os.ttyname(theirs)
    try:
        with linked(link, live):
            assert link.readlink() == Path(live)
            with pytest.raises(ValueError, match=f"^--link {link}: is the port {live} of a board that runs"):
                check_link(link, "--link ")
    finally:
        os.close(ours)
        os.close(theirs)
    assert not link.is_symlink()
    link.symlink_to("/dev/pts/999999")  # of a board that was killed
    with linked(link, live):
        link.unlink()
        link.symlink_to("/dev/pts/888888")  # somebody else's by now
    assert link.readlink() == Path("/dev/pts/888888")
    other = tmp_path / "other"
    other.symlink_to("precious.txt")
    with pytest.raises(ValueError, match="other: is a link to precious.txt, which is no board's port; choose another"):
        check_link(other)
    with pytest.raises(ValueError, match=f"there is no folder {tmp_path}/none$"):
        check_link(tmp_path / "none" / "board.tty")
