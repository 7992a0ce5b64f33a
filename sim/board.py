"""A board's top level in simulation, its serial pins driven bit by bit by the same host driver that a port is."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from boards.board import Board
from boards.host import Driver
from boards.link import BREAK_BITS
from boards.top import TOP, BoardTop, board_verilog
from qtt_hw.children import how, processors
from qtt_hw.graph.file import load
from qtt_hw.progress import Progress, silent
from rtl_gen.manifest import Manifest
from sim.batch import FLAGS
from sim.cells import models
from sim.channel import said, speaking
from sim.compile import kept, sources
from sim.runtime_objects import MAKE_FLAGS, keep_objects, seed_objects
from sim.scoreboard import FirstDifference, Scoreboard
from sim.toolchain import environment, run_tool
from sim.work import work_folder

__all__ = ["BoardResult", "SimulatedLine", "simulate_board"]

SOURCE = Path(__file__).with_name("board.cpp")


class BoardResult(BaseModel):
    """Whether a simulated board answered as the golden model does.

    Attributes
    ----------
    equal : bool
    samples : int
    first_difference : FirstDifference, optional
        Without a cycle.
    simulated_cycles : int
    seconds : float
    """

    model_config = ConfigDict(frozen=True)

    equal: bool
    samples: int
    first_difference: FirstDifference | None
    simulated_cycles: int
    seconds: float


class SimulatedLine:
    """The line to a board that is simulated: `boards.host.Line`.

    Parameters
    ----------
    build : path
        Folder that `qtt emit` wrote.
    board : Board
    clock_mhz : float, optional
        The design's clock; the board's own when left out.
    skew : float
        By what factor the host's bits are longer than nominal.
    """

    def __init__(self, build: Path | str, board: Board, *, clock_mhz: float | None = None, skew: float = 1.0):
        clock = board.clock_mhz if clock_mhz is None else clock_mhz
        build = Path(build)
        executable = _compile(build, BoardTop(board, Manifest.load(build), clock))
        self._hertz = 1e6 * clock
        self._stack = ExitStack()
        self._log = self._stack.enter_context(work_folder("run")) / "log"
        bit_time = str(skew * self._hertz / board.baud)
        self._child, self._answers = self._stack.enter_context(
            speaking(lambda channel: [str(executable), bit_time, str(channel)], self._log, stdin=subprocess.PIPE)
        )
        #: Cycles simulated, and the LEDs, at the end of the last read.
        self.cycles, self.led = 0, 0

    def write(self, data: bytes) -> None:
        self._send(b"W" + struct.pack("<I", len(data)) + data)

    def read(self, count: int, seconds: float) -> bytes:
        self._send(b"R" + struct.pack("<IQ", count, round(seconds * self._hertz)))
        found = struct.unpack("<I", self._take(4))[0]
        data = self._take(found)
        self.cycles, self.led = struct.unpack("<QI", self._take(12))
        return data

    def send_break(self) -> None:
        self._send(b"B" + struct.pack("<I", BREAK_BITS + 4))

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> SimulatedLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _send(self, command: bytes) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(command)
        self._child.stdin.flush()

    def _take(self, count: int) -> bytes:
        data = self._answers.read(count)
        if len(data) != count:
            raise ValueError(f"the simulated board {how(self._child.wait())}: {said(self._log)}")
        return data


def simulate_board(
    build: Path | str,
    board: Board,
    x: NDArray,
    *,
    clock_mhz: float | None = None,
    skew: float = 1.0,
    progress: Progress = silent,
) -> BoardResult:
    """Send samples through a simulated board with the host driver and compare with the golden model.

    Parameters
    ----------
    build : path
    board : Board
    x : integer array, [N, D, H, W, C]
        Preprocessed samples.
    clock_mhz : float, optional
    skew : float
        As for SimulatedLine.
    progress : Progress
        Told how many samples are answered.
    """
    started = time.monotonic()
    build = Path(build)
    manifest = Manifest.load(build).model_copy(update={"taps": ()})
    scoreboard = Scoreboard(load(build / manifest.model), manifest, x)
    with SimulatedLine(build, board, clock_mhz=clock_mhz, skew=skew) as line:
        answers = Driver(manifest, board, line, clock_mhz=clock_mhz).run(x, progress=progress)
        cycles = line.cycles
    words = answers.words.reshape(-1, answers.words.shape[-1])
    scoreboard.output(words, np.zeros(len(words), dtype=np.uint64))
    scoreboard.finish()
    found = scoreboard.difference
    return BoardResult(
        equal=found is None,
        samples=len(x),
        first_difference=found.model_copy(update={"cycle": None}) if found is not None else None,
        simulated_cycles=cycles,
        seconds=round(time.monotonic() - started, 3),
    )


def _compile(build: Path, top: BoardTop) -> Path:
    """The executable of a board's top level; compiled once per content of its sources."""
    text = board_verilog(top) + models({top.board.pll.cell}, top.board.family)
    found = hashlib.sha256(repr((text, FLAGS, MAKE_FLAGS)).encode() + SOURCE.read_bytes())
    for name in top.manifest.sources.simulation:
        found.update((build / name).read_bytes())

    def make(work: Path) -> Path:
        environ = environment(work)
        program, wrapper = work / SOURCE.name, work / f"{TOP}.v"
        program.write_bytes(SOURCE.read_bytes())
        wrapper.write_text(text, encoding="utf-8")
        files = [*sources(build, top.manifest.sources.simulation, work), wrapper, program]
        seed_objects("batch", work / "obj")
        options = [*FLAGS, "-Wno-fatal", "-Wno-lint", "--top-module", TOP, "--Mdir", "obj"]
        run_tool(["verilator", "--cc", "--exe", *options, *map(str, files)], work, build, environ)
        run_tool(["make", "-C", "obj", "-f", f"V{TOP}.mk", f"-j{processors()}", *MAKE_FLAGS], work, build, environ)
        keep_objects("batch", work / "obj")
        return work / "obj" / f"V{TOP}"

    return kept(build, f"board-{found.hexdigest()[:16]}", make)
