"""Co-simulation: a BUILD against the golden model, word by word, and its predicted cycles against the real ones."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, computed_field

from qtt_hw.ir.file import digest_of, load
from rtl_gen.manifest import Manifest
from rtl_gen.prediction import Mean, Prediction
from sim.batch import End, compile_batch, run_batch
from sim.cocotb_run import run_cocotb
from sim.job import Job, Outcome, Progress
from sim.scoreboard import FirstDifference
from sim.stalls import pattern, patterns_of_seed
from sim.step import run_stepping

__all__ = ["CosimResult", "CycleDifference", "Engine", "cosim"]

Engine = Literal["verilator", "cocotb", "pyverilator"]
#: Cycles before and after the first difference that a VCD shows, and what it shows when there is none.
VCD_BEFORE, VCD_AFTER, VCD_EQUAL = 400, 100, 2000
#: Fewest samples for which another process is worth its start.
SAMPLES_A_PROCESS = 8


class CycleDifference(BaseModel):
    """The first inference that does not end in its predicted cycle, counted from the first input of its process.

    `simulated` is None for one that never came out. `inference` is the number within the process, `sample` of all.
    """

    model_config = ConfigDict(frozen=True)

    sample: int
    inference: int
    predicted: int
    simulated: int | None

    def __str__(self) -> str:
        ended = "did not end" if self.simulated is None else f"ended in cycle {self.simulated}"
        place = "" if self.sample == self.inference else f", inference {self.inference} of its process,"
        return f"sample {self.sample}{place} {ended}, predicted is {self.predicted}, counted from the first input"


class CosimResult(BaseModel):
    """Equal or not, and why.

    Parameters
    ----------
    equal : bool
        Every output word, and every word of every tap, is the golden model's; nothing is missing or too much.
    samples : int
    intervals : tuple of int
        Simulated: the last ones of the first process, as many as the predicted period has; none where fewer came out.
    cycles, latency : Fraction, int, optional
        Simulated: the mean of `intervals`, and the latency; None where too few samples came out.
    periodic : bool
        As many intervals before those were the same.
    predicted : Prediction
        Of the manifest; `predicted_cycles` and `predicted_latency` are its mean and its latency.
    cycles_equal : bool, optional
        Every inference ended in its predicted cycle, in every process; None with stalls.
    first_cycle_difference : CycleDifference, optional
    first_difference : FirstDifference, optional
    failure : str, optional
        A deadlock or a broken rule of the stream.
    hint : str, optional
        What would tell more.
    engine : str
    stalls : bool
    simulated_cycles : int
        Over all processes.
    seconds : float
    """

    model_config = ConfigDict(frozen=True)

    equal: bool
    samples: int
    intervals: tuple[int, ...]
    latency: int | None
    periodic: bool
    predicted: Prediction
    cycles_equal: bool | None
    first_cycle_difference: CycleDifference | None
    first_difference: FirstDifference | None
    failure: str | None
    hint: str | None
    engine: str
    stalls: bool
    simulated_cycles: int
    seconds: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def cycles(self) -> Mean | None:
        return Fraction(sum(self.intervals), len(self.intervals)) if self.intervals else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def predicted_cycles(self) -> Mean:
        return self.predicted.mean

    @computed_field  # type: ignore[prop-decorator]
    @property
    def predicted_latency(self) -> int:
        return self.predicted.latency


def cosim(
    build: Path | str,
    x: NDArray,
    *,
    engine: Engine = "verilator",
    stalls: bool | tuple[str, str] = False,
    seed: int = 0,
    vcd: Path | str | None = None,
    progress: Progress | None = None,
    processes: int | None = None,
) -> CosimResult:
    """Send samples through a design and through the golden model and compare.

    Parameters
    ----------
    build : Path or str
        Folder that `qtt emit` wrote.
    x : integer array, [N, D, H, W, C]
        Preprocessed samples.
    engine : "verilator", "cocotb" or "pyverilator"
        The batch harness (whole test sets), cocotb (protocol), or stepping.
    stalls : bool or (str, str)
        Random stalls of source and sink: patterns of `sim.stalls`, or True for a pair chosen by the seed.
    seed : int
    vcd : Path or str, optional
        Waveform: with the verilator engine of the cycles around the first difference, or of the first cycles when
        there is none; with the others of the whole run.
    progress : callable, optional
    processes : int, optional
        The verilator engine shares the samples out; back to back within each process.

    Raises
    ------
    ValueError
        When the folder, the samples or the tools are not what is needed; not when results differ.
    """
    started = time.monotonic()
    if engine not in get_args(Engine):
        raise ValueError(f"engine {engine!r} is not known; known are {', '.join(get_args(Engine))}")
    if processes is not None and not 1 <= processes <= 1024:
        raise ValueError(f"processes must be 1 to 1024, got {processes}")
    job = _job(Path(build), x, stalls, seed)
    waves = None if vcd is None else Path(vcd)
    if engine == "verilator":
        outcomes = _batch(job, processes, progress)
        found = [(share, part) for share, part in outcomes if part.difference is not None or part.failure is not None]
        if waves is not None:
            _batch_vcd(*(found or outcomes)[0], waves)
    elif engine == "cocotb":
        outcomes = [(job, run_cocotb(job, vcd=waves, progress=progress))]
    else:
        outcomes = [(job, run_stepping(job, vcd=waves, progress=progress))]
    return _result(job, outcomes, engine, bool(stalls), time.monotonic() - started)


def _job(build: Path, x: NDArray, stalls: bool | tuple[str, str], seed: int) -> Job:
    manifest = Manifest.load(build)
    digest = digest_of(build / manifest.model)
    if digest != manifest.digest:
        raise ValueError(
            f"{build / manifest.model}: digest {digest[:12]}, the design was emitted from {manifest.digest[:12]}; "
            "emit it again"
        )
    graph = load(build / manifest.model)
    edge = graph.input.edge
    if x.ndim != 5 or tuple(x.shape[1:]) != edge.shape:
        raise ValueError(f"samples of shape {list(x.shape[1:])} given, {build} takes {list(edge.shape)}")
    if len(x) == 0:
        raise ValueError(f"{build}: no samples given")
    if not edge.format.contains(x):
        raise ValueError(f"{build}: a sample has a value outside {edge.format.minimum} to {edge.format.maximum}")
    port = manifest.input
    if port.lanes * port.words != edge.positions * edge.channels:
        raise ValueError(
            f"{build}: {port.words} words of {port.lanes} lanes do not make a sample of {list(edge.shape)}"
        )
    if stalls is True:
        source, sink = patterns_of_seed(seed)
    else:
        source, sink = (pattern(name) for name in (stalls or ("none", "none")))
    predicted = manifest.predicted
    quiet = 2 * (predicted.longest + predicted.latency) + 10_000
    return Job(build, manifest, graph, x, 0, source, sink, seed, quiet * (16 if stalls else 1))


def _batch(job: Job, processes: int | None, progress: Progress | None) -> list[tuple[Job, Outcome]]:
    """The samples shared out over processes of the batch harness."""
    executable = compile_batch(job.build, job.manifest)
    count = processes or max(1, min(os.cpu_count() or 1, len(job.x) // SAMPLES_A_PROCESS))
    bounds = [len(job.x) * part // count for part in range(count + 1)]
    shares = [
        replace(job, x=job.x[low:high], first=low, seed=job.seed * count + part)
        for part, (low, high) in enumerate(zip(bounds, bounds[1:], strict=False))
        if high > low
    ]
    done = [0] * len(shares)

    def run(part: int) -> Outcome:
        def count_samples(samples: int) -> None:
            done[part] = samples
            if progress is not None:
                progress(sum(done))

        return _run_share(shares[part], executable, count_samples)

    with ThreadPoolExecutor(len(shares)) as pool:
        return list(zip(shares, pool.map(run, range(len(shares))), strict=True))


def _run_share(job: Job, executable: Path, progress: Progress) -> Outcome:
    """One process of the batch harness against one scoreboard."""
    scoreboard = job.scoreboard()
    starts: list[int] = []
    end = End("done", 0, 0, 0)
    for item in run_batch(
        executable,
        job.manifest,
        job.words(),
        source=job.source,
        sink=job.sink,
        seed=job.seed,
        watchdog=job.watchdog,
    ):
        if isinstance(item, End):
            end = item
        elif item.stream == 0:
            starts += [int(cycle) for cycle in item.cycles]
        elif item.stream == 1:
            scoreboard.output(item.words, item.cycles)
            progress(min(scoreboard.completed, len(job.x)))
        else:
            scoreboard.tap(item.stream - 2, item.words, item.cycles)
    scoreboard.finish()
    failure = _failure(end, len(job.words()), scoreboard.completed, len(job.x))
    return Outcome(
        difference=scoreboard.difference,
        starts=tuple(starts),
        ends=tuple(scoreboard.ends),
        cycles=end.cycle,
        failure=failure,
        failure_cycle=None if failure is None else end.last,
    )


def _failure(end: End, words: int, completed: int, samples: int) -> str | None:
    if end.status == "deadlock":
        return f"deadlock: no transfer after cycle {end.last}, {completed} of {samples} samples came out"
    if end.status != "done":
        return f"cycle {end.cycle}: {end.status}"
    if end.taken != words:
        return f"{words - end.taken} of {words} input words were never taken"
    return None


def _batch_vcd(job: Job, outcome: Outcome, path: Path) -> None:
    """Run once more with a tracing executable, and keep the cycles that matter."""
    cycle = outcome.failure_cycle
    if outcome.difference is not None and outcome.difference.cycle is not None:
        cycle = outcome.difference.cycle
    low, high = (0, VCD_EQUAL) if cycle is None else (max(cycle - VCD_BEFORE, 0), cycle + VCD_AFTER)
    for _ in run_batch(
        compile_batch(job.build, job.manifest, trace=True),
        job.manifest,
        job.words(),
        source=job.source,
        sink=job.sink,
        seed=job.seed,
        watchdog=job.watchdog,
        vcd=(path.resolve(), low, high),
    ):
        pass


def _first_late(outcomes: list[tuple[Job, Outcome]]) -> CycleDifference | None:
    """The first inference that ends in another cycle than predicted; every process begins with an empty design."""
    found = (_late(job, part) for job, part in outcomes)
    return min((each for each in found if each is not None), key=lambda each: each.sample, default=None)


def _late(job: Job, part: Outcome) -> CycleDifference | None:
    predicted, ends = job.manifest.predicted, part.relative_ends
    numbers: Sequence[int] = range(len(job.x))
    if job.manifest.version == 1:  # which knows of the first inference, and of the interval once all are alike
        if part.repeats(1):
            last = len(ends) - 1
            predicted = Prediction(ends=(predicted.latency, *ends[1:last]), intervals=predicted.intervals)
        else:
            numbers = range(1)
    for number in numbers:
        wanted, got = predicted.end(number), ends[number] if number < len(ends) else None
        if got != wanted:
            return CycleDifference(sample=job.first + number, inference=number, predicted=wanted, simulated=got)
    return None


def _result(job: Job, outcomes: list[tuple[Job, Outcome]], engine: str, stalls: bool, seconds: float) -> CosimResult:
    parts = [part for _, part in outcomes]
    differences = [part.difference for part in parts if part.difference is not None]
    failures = [part.failure for part in parts if part.failure is not None]
    predicted = job.manifest.predicted
    late = None if stalls else _first_late(outcomes)
    hint = None
    if differences and not job.manifest.taps:
        hint = "only the output is compared: emit with taps to find the stage"
    return CosimResult(
        equal=not differences and not failures,
        samples=len(job.x),
        intervals=parts[0].intervals(len(predicted.intervals)),
        latency=parts[0].latency,
        periodic=parts[0].repeats(len(predicted.intervals)),
        predicted=predicted,
        cycles_equal=None if stalls else late is None,
        first_cycle_difference=late,
        first_difference=min(differences, key=lambda item: item.sample, default=None),
        failure=failures[0] if failures else None,
        hint=hint,
        engine=engine,
        stalls=stalls,
        simulated_cycles=sum(part.cycles for part in parts),
        seconds=round(seconds, 3),
    )
