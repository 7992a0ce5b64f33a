"""Co-simulation: a BUILD against the golden model, word by word, and its predicted cycles against the real ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, computed_field

from qtt_hw.children import Children, processors
from qtt_hw.graph.file import digest_of, load
from qtt_hw.near import unknown
from qtt_hw.progress import Progress, silent
from rtl_gen.manifest import Manifest
from rtl_gen.prediction import Mean, Prediction
from sim.axi_run import run_axi
from sim.batch import compile_batch, run_batch
from sim.cocotb_run import run_cocotb
from sim.ends import CycleDifference, first_fault, first_late
from sim.icarus import compile_icarus, run_icarus
from sim.job import Completed, Job, Outcome
from sim.rules import End
from sim.scoreboard import FirstDifference
from sim.stalls import pattern, patterns_of_seed
from sim.step import run_stepping
from sim.tracing import Tracing, Waves, Window
from sim.transfers import Stretch, outcome

if TYPE_CHECKING:
    from sim.waves import Tracer

__all__ = ["RUN_LENGTH", "CosimResult", "Engine", "cosim"]

Engine = Literal["verilator", "icarus", "cocotb", "pyverilator", "axi"]
#: Samples that go back to back through a design, from one reset.
RUN_LENGTH = 128
#: Seeds are below it, so that no two runs of any two seeds share one.
SEEDS = 1 << 32
#: The most cycles that a trace may have before the first difference.
MARGIN = 10_000_000


class CosimResult(BaseModel):
    """Equal or not, and why.

    Parameters
    ----------
    equal : bool
        Every output word, and every word of every tap, is the golden model's; nothing is missing or too much.
    samples : int
    runs, run_length : int
        The samples went in so many runs of at most so many back to back, each from a reset of its own.
    intervals : tuple of int
        Simulated: the last ones of the first run, as many as the predicted period has; none where fewer came out.
    cycles, latency : Fraction, int, optional
        Simulated: the mean of `intervals`, and the latency; None where too few samples came out.
    periodic : bool
        As many intervals before those were the same.
    predicted : Prediction
        Of the manifest; `predicted_cycles` and `predicted_latency` are its mean and its latency.
    cycles_equal : bool, optional
        Every inference ended in its predicted cycle, in every run; None with stalls.
    first_cycle_difference : CycleDifference, optional
    first_difference : FirstDifference, optional
    failure : str, optional
        A deadlock or a broken rule of the stream.
    hint : str, optional
        What would tell more.
    engine : str
    stalls : bool
    simulated_cycles : int
        Of all runs.
    seconds : float
    waves : Waves, optional
        The trace that was written.
    """

    model_config = ConfigDict(frozen=True)

    equal: bool
    samples: int
    runs: int
    run_length: int
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
    waves: Waves | None = None

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
    waves: Path | str | None = None,
    around_difference: int | None = None,
    inside: bool = False,
    progress: Progress = silent,
    run_length: int = RUN_LENGTH,
    processes: int | None = None,
) -> CosimResult:
    """Send samples through a design and through the golden model and compare.

    Parameters
    ----------
    build : Path or str
        Folder that `qtt emit` wrote.
    x : integer array, [N, D, H, W, C]
        Preprocessed samples.
    engine : "verilator", "icarus", "cocotb", "pyverilator" or "axi"
        The batch harness (whole test sets), Icarus Verilog (what nobody set is unknown), cocotb (protocol), stepping;
        the last with its AXI wrapper, whose buses and registers are checked, without taps and waves.
    stalls : bool or (str, str)
        Random stalls of source and sink: patterns of `sim.stalls`, or True for a pair chosen by the seed.
    seed : int
        Of the stalls, 0 to 2^32 - 1; each run's depends on it and on the number of the run's first sample alone.
    waves : Path or str, optional
        A trace, .vcd or .fst, beside which views of it are saved for GTKWave and Surfer: of one run, unless
        around_difference.
    around_difference : int, optional
        The trace has as many cycles before the first difference, and a quarter as many behind it; where there is none,
        nothing is written. Runs once to find it, and the run that it is in again. Not with cocotb.
    inside : bool
        The trace has every signal of the design, too.
    progress : Progress
        Told how many samples have come out.
    run_length : int
        Samples that go back to back, from one reset.
    processes : int, optional
        Runs that the verilator and icarus engines do at a time, a process each; by default as many as there are
        processors. They change nothing in the result.

    Raises
    ------
    ValueError
        When the folder, the samples or the tools are not what is needed; not when results differ.
    """
    started = time.monotonic()
    if engine not in get_args(Engine):
        raise unknown("engine", engine, get_args(Engine))
    for name, value, least, end in (("seed", seed, 0, SEEDS), ("run_length", run_length, 1, SEEDS)):
        if not least <= value < end:
            raise ValueError(f"{name} must be {least} to {end - 1}, got {value}")
    if processes is not None and not 1 <= processes <= 1024:
        raise ValueError(f"processes must be 1 to 1024, got {processes}")
    if around_difference is not None and not 1 <= around_difference <= MARGIN:
        raise ValueError(f"around_difference must be 1 to {MARGIN}, got {around_difference}")
    job = _job(Path(build), x, stalls, seed)
    runs = _runs(job, run_length)
    simulate = partial(_simulate, runs, engine, processes, progress)
    kept = None
    if waves is None:
        found = simulate()
    elif around_difference is None:
        if len(runs) > 1:
            what = f"one run, of {run_length} samples at most, not {len(x)}"
            raise ValueError(f"waves {waves}: a trace is of {what}; give fewer samples, or around_difference")
        tracer = _tracer(job, engine, Path(waves), inside)
        with tracer.whole() as window:
            found = simulate(tracer.tracing, window)
            kept = tracer.keep(window, runs[0], found[0], first_fault(runs, found))
    else:
        tracer = _tracer(job, engine, Path(waves), inside, part=True)
        found = simulate()
        fault = first_fault(runs, found)
        if fault is not None:
            progress("waves", text=f"around cycle {fault.cycle}")
            kept = tracer.around(runs[fault.run], found[fault.run], fault, around_difference)
    outcomes = list(zip(runs, found, strict=True))
    result = _result(job, outcomes, min(run_length, len(x)), engine, bool(stalls), time.monotonic() - started)
    return result.model_copy(update={"waves": kept})


def _tracer(job: Job, engine: Engine, file: Path, inside: bool, *, part: bool = False) -> Tracer:
    from sim.waves import Tracer  # which knows of the hardware's units, and so imports the generator

    return Tracer(job, engine, file, inside=inside, part=part)


def _simulate(
    runs: Sequence[Job],
    engine: Engine,
    processes: int | None,
    progress: Progress,
    tracing: Tracing | None = None,
    window: Window | None = None,
) -> list[Outcome]:
    """What comes of runs; a trace is of one alone."""
    first = runs[0]
    progress("compiling the simulation")
    if engine == "verilator":
        executable = compile_batch(first.build, first.manifest, tracing)
        return _at_once(runs, lambda run, children: run_batch(run, executable, children, window), processes, progress)
    if engine == "icarus":
        program = compile_icarus(first.build, first.manifest, tracing=tracing)
        return _at_once(runs, lambda run, children: run_icarus(run, program, children, window), processes, progress)
    if engine == "cocotb":
        file = None if window is None else window.file
        return _in_turn(runs, lambda run, completed: run_cocotb(run, completed, tracing, file), progress)
    if engine == "axi":
        return _in_turn(runs, run_axi, progress)
    return _in_turn(runs, run_stepping, progress)


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


def _runs(job: Job, length: int) -> list[Job]:
    """The samples in runs of so many."""
    firsts = range(0, len(job.x), length)
    return [replace(job, x=job.x[n : n + length], first=n, seed=job.seed + n * SEEDS) for n in firsts]


def _at_once(
    runs: Sequence[Job],
    simulate: Callable[[Job, Children], Iterator[Stretch | End]],
    processes: int | None,
    progress: Progress,
) -> list[Outcome]:
    """What comes of runs in simulators that are processes of their own, several at a time."""
    done, total = [0] * len(runs), sum(len(run.x) for run in runs)
    children = Children()

    def one(number: int) -> Outcome:
        def count_samples(samples: int) -> None:
            done[number] = samples
            progress("simulating", sum(done), total)

        return outcome(runs[number], simulate(runs[number], children), count_samples)

    progress("simulating", 0, total)
    pool = ThreadPoolExecutor(min(processes or processors(), len(runs)))
    try:
        return list(pool.map(one, range(len(runs))))
    finally:  # on an exception, of a run or by a signal, the others end at once
        children.close()
        pool.shutdown(cancel_futures=True)


def _in_turn(runs: Sequence[Job], simulate: Callable[[Job, Completed], Outcome], progress: Progress) -> list[Outcome]:
    """What comes of runs one after the other."""
    total = sum(len(run.x) for run in runs)

    def one(run: Job) -> Outcome:
        def count_samples(samples: int) -> None:
            progress("simulating", run.first + samples, total)

        return simulate(run, count_samples)

    return [one(run) for run in runs]


def _result(
    job: Job, outcomes: list[tuple[Job, Outcome]], run_length: int, engine: str, stalls: bool, seconds: float
) -> CosimResult:
    parts = [part for _, part in outcomes]
    differences = [part.difference for part in parts if part.difference is not None]
    failures = [part.failure for part in parts if part.failure is not None]
    predicted = job.manifest.predicted
    late = None if stalls else first_late(outcomes)
    hint = None
    if differences and not job.manifest.taps:
        hint = "only the output is compared: emit with taps to find the stage"
    return CosimResult(
        equal=not differences and not failures,
        samples=len(job.x),
        runs=len(parts),
        run_length=run_length,
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
