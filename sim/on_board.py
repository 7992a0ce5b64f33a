"""A board against the golden model and the prediction: `sim.cosim`'s question put to hardware, or to its simulation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, computed_field

from boards.board import Board
from boards.host import MOST_REPEATS, TIMEOUT, Answers, Host
from qtt_hw.graph import Graph
from qtt_hw.graph.file import digest_of, load
from qtt_hw.progress import Progress, silent
from rtl_gen.manifest import Manifest
from rtl_gen.prediction import Mean, Prediction
from sim.board import Noise, SimulatedBoard, SimulatedLine
from sim.scoreboard import FirstDifference, Scoreboard

__all__ = ["CountedDifference", "RunResult", "run_on_board", "simulate_board"]


class CountedDifference(BaseModel):
    """The first inference whose cycles are not the predicted ones: of a sample, or of its repetitions.

    `counted` and `predicted` are from the first input word to the last output word.
    """

    model_config = ConfigDict(frozen=True)

    sample: int
    repeated: int
    predicted: int
    counted: int

    def __str__(self) -> str:
        times = "" if self.repeated == 1 else f", {self.repeated} times back to back,"
        return f"sample {self.sample}{times} took {self.counted} cycles, {self.predicted} are predicted"


class RunResult(BaseModel):
    """What a board answered, beside the golden model's answers and the predicted cycles.

    Attributes
    ----------
    equal : bool
        Every logit and every class is the golden model's.
    samples : int
    first_difference : FirstDifference, optional
    classes : tuple of int
        As the board gave them.
    whole : bool
        The board holds a whole sample, so that its cycles can be those predicted.
    latency : int
        Counted from the first input word of the first sample to its last output word, from a reset.
    cycles : Fraction, optional
        Counted from one inference to the next, back to back: a sample fed again and again; None where it is not whole.
    predicted : Prediction
        Of the manifest; `predicted_cycles` and `predicted_latency` are its mean and its latency.
    cycles_equal : bool, optional
        Every inference took its predicted cycles, each from a reset, and those back to back did; None where it is not
        whole and the accelerator waited for the line.
    first_cycle_difference : CountedDifference, optional
    clock_mhz : float
        Of the board.
    seconds : float
        From the first sample sent to the last answer.
    samples_per_second : float
        Over the line; the accelerator's own rate is `frames_per_second`.
    frames_per_second : float, optional
        The clock over the counted cycles.
    frames, repeated, broken : int
        Frames sent, those that were sent again, and answers that came broken.
    sent, received : int
        Bytes.
    accuracy : float, optional
        Share of the samples put into their class, where that is known.
    """

    model_config = ConfigDict(frozen=True)

    equal: bool
    samples: int
    first_difference: FirstDifference | None
    classes: tuple[int, ...]
    whole: bool
    latency: int
    cycles: Mean | None
    predicted: Prediction
    cycles_equal: bool | None
    first_cycle_difference: CountedDifference | None
    clock_mhz: float
    seconds: float
    samples_per_second: float
    frames: int
    repeated: int
    broken: int
    sent: int
    received: int
    accuracy: float | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def predicted_cycles(self) -> Mean:
        return self.predicted.mean

    @computed_field  # type: ignore[prop-decorator]
    @property
    def predicted_latency(self) -> int:
        return self.predicted.latency

    @computed_field  # type: ignore[prop-decorator]
    @property
    def frames_per_second(self) -> float | None:
        return None if self.cycles is None else round(1e6 * self.clock_mhz / float(self.cycles), 3)


def run_on_board(
    build: Path | str,
    x: NDArray,
    port: str,
    baud: int,
    *,
    timeout: float = TIMEOUT,
    progress: Progress = silent,
    host: Callable[[Path], AbstractContextManager[Host]] | None = None,
) -> RunResult:
    """Send samples to a board and through the golden model and compare.

    Parameters
    ----------
    build : path
        Folder that `qtt emit` wrote, whose bitstream the board holds.
    x : integer array, [N, D, H, W, C]
        Preprocessed samples.
    port : str
        A serial port, or what `qtt board` prints.
    baud : int
    timeout : float
        Seconds without any progress after which the board is given up.
    progress : Progress
        Told how many samples are answered.
    host : callable, optional
        A session of another transport, in place of the port's.

    Raises
    ------
    ValueError
        When the folder, the samples or the board are not what is needed, or it stops answering; not when results
        differ.
    """
    build = Path(build)
    manifest = Manifest.load(build).model_copy(update={"taps": ()})
    digest = digest_of(build / manifest.model)
    if digest != manifest.digest:
        raise ValueError(
            f"{build / manifest.model}: digest {digest[:12]}, the design was emitted from {manifest.digest[:12]}; "
            "emit it again"
        )
    graph = load(build / manifest.model)
    _check_samples(build, graph, x)
    progress("board", 0, len(x))
    with Host.at(build, port, baud, timeout=timeout) if host is None else host(build) as board:
        started = time.monotonic()
        answers = board.run(x, progress=progress)
        seconds = time.monotonic() - started
        whole = board.identity.whole
        repeated = _repetitions(board, manifest.predicted) if whole else {}
        traffic = replace(board.traffic)
        clock_mhz = board.identity.clock_khz / 1000
    scoreboard = Scoreboard(graph, manifest, x)
    words = answers.words.reshape(-1, answers.words.shape[-1])
    scoreboard.output(words, np.zeros(len(words), dtype=np.uint64))
    scoreboard.finish()
    found = scoreboard.difference
    waited = answers.starved and not whole  # a board that holds a whole sample has no reason to
    late = None if waited else _first_late(answers, repeated, manifest.predicted)
    few, many = min(repeated, default=0), max(repeated, default=0)
    return RunResult(
        equal=found is None,
        samples=len(x),
        first_difference=found.model_copy(update={"cycle": None}) if found is not None else None,
        classes=tuple(answers.classes.tolist()),
        whole=whole,
        latency=int(answers.cycles[0]),
        cycles=Fraction(repeated[many] - repeated[few], many - few) if many > few else None,
        predicted=manifest.predicted,
        cycles_equal=None if waited else late is None and not answers.starved,
        first_cycle_difference=late,
        clock_mhz=clock_mhz,
        seconds=round(seconds, 3),
        samples_per_second=round(len(x) / seconds, 3),
        frames=traffic.frames,
        repeated=traffic.repeated,
        broken=traffic.broken,
        sent=traffic.sent,
        received=traffic.received,
    )


def simulate_board(
    build: Path | str,
    board: Board,
    x: NDArray,
    *,
    clock_mhz: float | None = None,
    divisor: int | None = None,
    placed: bool = False,
    noise: Noise = Noise(),  # noqa: B008 - immutable
    skew: float = 1.0,
    timeout: float = TIMEOUT,
    progress: Progress = silent,
) -> RunResult:
    """As `run_on_board`, with a simulation of the board that nobody else has.

    Parameters
    ----------
    build : path
    board : Board
    x : integer array, [N, D, H, W, C]
    clock_mhz : float, optional
        The design's clock; the board's own when left out.
    divisor : int, optional
        Clock cycles of a bit; the fewest that the link takes when left out.
    placed : bool
        In the cells that place and route made of the board's bitstream, with its clock and line.
    noise : Noise
    skew : float
        By what factor the host's bits are longer than the board's.
    timeout : float
    progress : Progress
    """
    simulated = SimulatedBoard(build, board, clock_mhz=clock_mhz, divisor=divisor, placed=placed, progress=progress)

    @contextmanager
    def host(_: Path) -> Iterator[Host]:
        with SimulatedLine(simulated, noise, skew) as line:
            yield Host(simulated.manifest, line, timeout=timeout)

    return run_on_board(build, x, "", 0, timeout=timeout, progress=progress, host=host)


def _check_samples(build: Path, graph: Graph, x: NDArray) -> None:
    edge = graph.input.edge
    if not isinstance(x, np.ndarray):
        raise ValueError(f"{build}: samples are an array, got a {type(x).__name__}")
    if x.ndim != 5 or tuple(x.shape[1:]) != edge.shape:
        raise ValueError(f"samples of shape {list(x.shape[1:])} given, {build} takes {list(edge.shape)}")
    if len(x) == 0:
        raise ValueError(f"{build}: no samples given")
    if not edge.format.contains(x):
        raise ValueError(f"{build}: a sample has a value outside {edge.format.minimum} to {edge.format.maximum}")


def _repetitions(board: Host, predicted: Prediction) -> dict[int, int]:
    """Counted cycles of the last sample back to back: until intervals repeat, and a period more."""
    settled = len(predicted.ends)
    times = (settled, settled + len(predicted.intervals))
    return {n: board.repeat(n) for n in times if n <= MOST_REPEATS}


def _first_late(answers: Answers, repeated: dict[int, int], predicted: Prediction) -> CountedDifference | None:
    for sample, counted in enumerate(answers.cycles.tolist()):
        if counted != predicted.latency:
            return CountedDifference(sample=sample, repeated=1, predicted=predicted.latency, counted=counted)
    for times, counted in repeated.items():
        if counted != predicted.end(times - 1):
            last = len(answers.cycles) - 1
            return CountedDifference(sample=last, repeated=times, predicted=predicted.end(times - 1), counted=counted)
    return None
