"""A board's top level in simulation, with its serial line on a socket or a pseudo-terminal.

The PLL is a wire, and a bit is a few clock cycles: the line is then many times faster beside the accelerator than on a
board, and answers are the same, in the same counted cycles.
"""

from __future__ import annotations

import hashlib
import os
import select
import socket
import subprocess
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from boards.board import Board
from boards.capacity import check_holds
from boards.clock import divisor_of
from boards.link import LEAST_SIMULATED
from boards.placed import placed_design
from boards.top import TOP, BoardTop, board_verilog
from qtt_hw.children import how, processors, running
from qtt_hw.progress import Progress, silent
from rtl_gen.families import device, family_of
from rtl_gen.manifest import Manifest
from rtl_gen.plan.derive import design_brams
from rtl_gen.plan.plan import load_plan
from sim.batch import FLAGS
from sim.cells import models
from sim.channel import said
from sim.compile import kept, sources
from sim.runtime_objects import MAKE_FLAGS, keep_objects, seed_objects
from sim.toolchain import environment, run_tool
from sim.work import work_folder

__all__ = ["Noise", "SimulatedBoard", "SimulatedLine", "check_link", "linked", "on_terminal"]

SOURCE = Path(__file__).with_name("board.cpp")


@dataclass(frozen=True)
class Noise:
    """Of each byte of either direction, the probabilities to be changed and to be lost; `seed` of what is drawn."""

    corrupt: float = 0.0
    drop: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("corrupt", "drop"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise ValueError(f"{name}: must be 0 to 0.5, got {getattr(self, name):g}")
        if not (isinstance(self.seed, int) and 0 <= self.seed < 1 << 32):
            raise ValueError(f"seed: must be 0 to 2^32 - 1, got {self.seed}")


class SimulatedBoard:
    """A BUILD's board, compiled; several may run.

    Parameters
    ----------
    build : path
        Folder that `qtt emit` wrote.
    board : Board
    clock_mhz : float, optional
        The design's clock, which the board tells its host; the board's own when left out.
    divisor : int, optional
        Clock cycles of a bit; the fewest that the link takes when left out.
    placed : bool
        What place and route made of the board's bitstream, in the placer's cells, with its clock and its line.
    progress : Progress
    """

    def __init__(
        self,
        build: Path | str,
        board: Board,
        *,
        clock_mhz: float | None = None,
        divisor: int | None = None,
        placed: bool = False,
        progress: Progress = silent,
    ):
        build = Path(build)
        self.manifest = Manifest.load(build)
        if placed:
            if clock_mhz is not None or divisor is not None:
                raise ValueError("a placed design has its own clock: leave out clock_mhz (--frequency) and divisor")
            design = placed_design(build, board, progress=progress)
            self.divisor = divisor_of(design.clock_mhz, board.baud)
            self._executable = _compile(build, design.verilog + models(set(design.cells), board.family), ())
            return
        check_holds(build, board, self.manifest, load_plan(build / self.manifest.plan))
        self.divisor = LEAST_SIMULATED if divisor is None else divisor
        clock = board.clock_mhz if clock_mhz is None else clock_mhz
        top = BoardTop(board, self.manifest, clock, brams=_brams(build, board, self.manifest), divisor=self.divisor)
        single = board.family.memory.single_port
        cells = {board.pll.cell, *(() if single is None else (single.cell,))}
        text = board_verilog(top) + models(cells, board.family)
        self._executable = _compile(build, text, self.manifest.sources.simulation)

    @contextmanager
    def serving(self, line: int, noise: Noise = Noise(), skew: float = 1.0) -> Iterator[_Child]:  # noqa: B008
        """The simulator with its serial line at a file descriptor, while the block runs.

        Parameters
        ----------
        line : int
        noise : Noise
        skew : float
            By what factor the host's bits are longer than the board's.
        """
        predicted = self.manifest.predicted
        options = {
            "line": line,
            "bit": skew * self.divisor,
            # Long enough for an inference of which nobody asks meanwhile.
            "idle": 2 * (predicted.latency + predicted.longest) + 10_000,
            "corrupt": noise.corrupt,
            "drop": noise.drop,
            "seed": noise.seed,
        }
        command = [str(self._executable), *(f"{name}={value}" for name, value in options.items())]
        with work_folder("run") as work, (work / "log").open("wb") as log:
            stream = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            with running(command, **stream, pass_fds=(line,)) as process:
                child = _Child(process, work / "log")
                try:
                    yield child
                finally:
                    child.kill()


@dataclass
class _Child:
    """A running simulator."""

    process: subprocess.Popen[bytes]
    log: Path

    def ended(self) -> str | None:
        """How it ended, unless it runs."""
        code = self.process.poll()
        return None if code is None else f"{how(code)}: {said(self.log)}"

    def kill(self) -> None:
        self.process.kill()


class SimulatedLine:
    """A host's line to a simulated board of its own: `boards.channel.Line`."""

    def __init__(self, board: SimulatedBoard, noise: Noise = Noise(), skew: float = 1.0):  # noqa: B008 - immutable
        self._stack = ExitStack()
        ours, theirs = socket.socketpair()
        self._socket = self._stack.enter_context(ours)
        with theirs:
            self._child = self._stack.enter_context(board.serving(theirs.fileno(), noise, skew))

    def write(self, data: bytes, seconds: float) -> None:
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(data)
        except OSError:
            raise ValueError(self._said()) from None

    def read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self._socket], [], [], max(seconds, 0))
        if not ready:
            return b""
        found = self._socket.recv(4096)
        if not found:
            raise ValueError(self._said())
        return found

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> SimulatedLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _said(self) -> str:
        return f"the simulated board {self._child.ended() or 'does not take bytes'}"


@contextmanager
def on_terminal(board: SimulatedBoard, noise: Noise = Noise()) -> Iterator[tuple[str, _Child]]:  # noqa: B008
    """A simulated board on a new pseudo-terminal: the port's name, and the simulator, while the block runs."""
    ours, theirs = os.openpty()
    try:
        tty.setraw(theirs)  # and kept open, so that hosts may come and go
        with board.serving(ours, noise) as child:
            yield os.ttyname(theirs), child
    finally:
        os.close(ours)
        os.close(theirs)


#: Where pseudo-terminals are.
TERMINALS = Path("/dev/pts")


def check_link(link: Path, option: str = "") -> None:
    """Raise ValueError where a simulated board's port may not get that name.

    A name is free where nothing stands there, or the link of a board that has ended without taking it away: to a
    pseudo-terminal that is no more. `option` stands before it in messages.
    """
    if not link.parent.is_dir():
        raise ValueError(f"{option}{link}: there is no folder {link.parent}")
    if not link.is_symlink():
        if link.exists():
            raise ValueError(f"{option}{link}: exists and is not a link; choose another name")
        return
    target = link.readlink()
    if target.parent != TERMINALS:
        raise ValueError(f"{option}{link}: is a link to {target}, which is no board's port; choose another name")
    if target.exists():
        raise ValueError(f"{option}{link}: is the port {target} of a board that runs; choose another name")


@contextmanager
def linked(link: Path, port: str, option: str = "") -> Iterator[None]:
    """A link to a port while the block runs; at its end it is removed where it is still the same."""
    check_link(link, option)
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(port)
    except OSError as error:
        raise ValueError(f"{option}{link}: {error.strerror}") from None
    try:
        yield
    finally:
        if link.is_symlink() and str(link.readlink()) == port:
            link.unlink(missing_ok=True)


def wait_for_end(child: _Child) -> None:
    """Return never while the simulator runs; raises ValueError when it ends by itself."""
    while child.ended() is None:
        time.sleep(0.2)
    raise ValueError(f"the simulated board {child.ended()}")


def _brams(build: Path, board: Board, manifest: Manifest) -> int:
    """Block RAMs of the design, where it matters what it leaves for the link's buffer."""
    memory = family_of(device(board.device)).memory
    return design_brams(load_plan(build / manifest.plan)) if memory.uses_block(manifest.input.words) else 0


def _compile(build: Path, text: str, design: Sequence[str]) -> Path:
    """The executable of a board's top level with so much of the BUILD's Verilog, once per content of its sources."""
    found = hashlib.sha256(repr((text, FLAGS, MAKE_FLAGS)).encode() + SOURCE.read_bytes())
    for name in design:
        found.update((build / name).read_bytes())

    def make(work: Path) -> Path:
        environ = environment(work)
        program, wrapper = work / SOURCE.name, work / f"{TOP}.v"
        program.write_bytes(SOURCE.read_bytes())
        wrapper.write_text(text, encoding="utf-8")
        files = [*sources(build, design, work), wrapper, program]
        seed_objects("batch", work / "obj")
        options = [*FLAGS, "-Wno-fatal", "-Wno-lint", "--top-module", TOP, "--Mdir", "obj"]
        run_tool(["verilator", "--cc", "--exe", *options, *map(str, files)], work, build, environ)
        run_tool(["make", "-C", "obj", "-f", f"V{TOP}.mk", f"-j{processors()}", *MAKE_FLAGS], work, build, environ)
        keep_objects("batch", work / "obj")
        return work / "obj" / f"V{TOP}"

    return kept(build, f"board-{found.hexdigest()[:16]}", make)
