"""The verbs on a board as functions: a data set through it, and a board that is simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qtt_hw.data import Splits
from qtt_hw.errors import named
from qtt_hw.evaluation import samples_of
from qtt_hw.graph.file import load
from qtt_hw.graph.preprocess import preprocess
from qtt_hw.progress import Progress, silent
from qtt_hw.reading import read_json

if TYPE_CHECKING:
    from sim.on_board import RunResult

__all__ = ["reached", "run_on_board", "simulated_board"]


def run_on_board(
    build: str | Path,
    data: Splits | str | Path,
    samples: int | None = None,
    *,
    port: str,
    split: str = "test",
    board: str = "ulx3s-85f",
    baud: int | None = None,
    timeout: float = 10.0,
    progress: Progress = silent,
) -> RunResult:
    """Send the first samples of a split to the board at a port, and compare what comes back with the golden model.

    `cosim` with another transport: the same question to a board that holds the BUILD's bitstream, or to one that is
    simulated. The board counts the cycles of each inference, which are compared with the predicted ones.

    Parameters
    ----------
    build : path
        Folder that `emit` wrote.
    data : Splits or a source that `qtt_hw.data.load` knows
    samples : int, optional
        The whole split unless given.
    port : str
        A serial port such as /dev/ttyUSB0, or that of a simulated board.
    split : str
        train, validation or test.
    board : str
        A board's name or `file.py:Board`; its baud rate is used.
    baud : int, optional
        In place of the board's; the bitstream's must be the same.
    timeout : float
        Seconds without any progress after which the board is given up.
    progress : callable, optional
        Called with the number of samples that are answered.

    Returns
    -------
    RunResult
        With `equal`, the `first_difference`, counted and predicted `cycles` and `latency`, `accuracy`, and what went
        over the line.

    Raises
    ------
    ValueError
        One line: no answer at the port, a board with another model or BUILD, or one that stops answering; not when
        integers differ.

    Examples
    --------
    >>> import qtt_hw
    >>> result = qtt_hw.run_on_board("own-build", "own.npz", port="/dev/ttyUSB0")  # doctest: +SKIP
    >>> result.equal, result.cycles_equal  # doctest: +SKIP
    (True, True)
    >>> qtt_hw.run_on_board("nowhere", "own.npz", port="/dev/ttyUSB0")
    Traceback (most recent call last):
        ...
    ValueError: nowhere/manifest.json: there is no manifest; make the folder with `qtt emit`
    """
    from rtl_gen.manifest import Manifest
    from sim.on_board import run_on_board as run

    build = Path(build)
    graph = load(build / Manifest.load(build).model)
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be a number of seconds above 0, got {timeout}")
    if baud is not None and not (isinstance(baud, int) and baud > 0):
        raise ValueError(f"baud must be a number of bits a second above 0, got {baud}")
    rate = reached(build, port, board, baud)
    found = samples_of(graph, data, split)[split]
    if samples is not None and not (isinstance(samples, int) and 0 < samples <= len(found)):
        raise ValueError(f"samples must be 1 to {len(found)}, the size of the {split} split, got {samples}")
    x = preprocess(graph.input, found.x[:samples])
    result = run(build, x, port, rate, timeout=timeout, progress=progress)
    right = sum(int(a) == int(b) for a, b in zip(result.classes, found.y[:samples], strict=True))
    return result.model_copy(update={"accuracy": round(right / len(x), 6)})


def reached(build: str | Path, port: str, board: str, baud: int | None) -> int:
    """The baud rate of a port at which a board could be; raises ValueError before any data are read where none could.

    Parameters
    ----------
    build : path
        Which the board is to hold.
    port : str
        Opened, and closed again.
    board : str
    baud : int, optional
        In place of the board's; one that its clock can make, that of its bitstream where there is one.
    """
    import boards
    from boards.build import BuildResult
    from boards.clock import divisor_of
    from boards.serial_line import SerialLine
    from rtl_gen.identifiers import file_name
    from rtl_gen.manifest import Manifest

    chosen = boards.load(board)
    with named(build):
        Manifest.load(Path(build)).sources.of(chosen.family)
    if baud is not None:
        placed = Path(build) / file_name(chosen.name) / "result.json"
        clock = read_json(placed, BuildResult).clock_mhz if placed.is_file() else chosen.clock_mhz
        with named(f"{chosen.name}: baud"):
            divisor_of(clock, baud)
    rate: int = chosen.baud if baud is None else baud
    with SerialLine(port, rate):
        return rate


@contextmanager
def simulated_board(
    build: str | Path,
    board: str = "ulx3s-85f",
    *,
    frequency_mhz: float | None = None,
    placed: bool = False,
    corrupt: float = 0.0,
    drop: float = 0.0,
    seed: int = 0,
    progress: Progress = silent,
) -> Iterator[str]:
    """A board with a BUILD's bitstream, simulated behind a pseudo-terminal, while the block runs.

    Everything of the board's top level is simulated but the PLL, and its line is faster than a real one, so that an
    answer takes as little time as can be; `run_on_board` works with it unchanged.

    Parameters
    ----------
    build : path
        Folder that `emit` wrote.
    board : str
        A board's name or `file.py:Board`.
    frequency_mhz : float, optional
        Clock of the design, which the board tells its host; the board's own unless given.
    placed : bool
        Of a bitstream that `build` made for an iCE40: simulate the placer's cells in place of the Verilog. Clock and
        line are then the bitstream's.
    corrupt, drop : float
        The probability of each byte, either way, to be changed and to be lost.
    seed : int
        Of what is drawn for that.
    progress : callable, optional

    Returns
    -------
    context manager of str
        The port's name; the simulation ends with the block.

    Raises
    ------
    ValueError
        One line that names the BUILD or the board.

    Examples
    --------
    >>> import qtt_hw
    >>> with qtt_hw.simulated_board("own-build") as port:  # doctest: +SKIP
    ...     result = qtt_hw.run_on_board("own-build", "own.npz", samples=4, port=port)
    >>> with qtt_hw.simulated_board("nowhere") as port:
    ...     pass
    Traceback (most recent call last):
        ...
    ValueError: nowhere/manifest.json: there is no manifest; make the folder with `qtt emit`
    """
    import boards
    from sim.board import Noise, SimulatedBoard, on_terminal

    noise = Noise(corrupt, drop, seed)
    progress("compiling the simulation")
    simulated = SimulatedBoard(
        Path(build), boards.load(board), clock_mhz=frequency_mhz, placed=placed, progress=progress
    )
    with on_terminal(simulated, noise) as (port, _):
        yield port
