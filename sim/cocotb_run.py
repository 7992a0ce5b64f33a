"""The engines on cocotb: its own runner with Verilator, in a child process, and which bench it runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtt_hw.children import running
from rtl_gen.manifest import Manifest
from sim.compile import digest, kept, wrapped_sources
from sim.job import Completed, Job, Outcome
from sim.runtime_objects import MAKE_FLAGS, keep_objects, seed_objects
from sim.toolchain import environment, first_error, package_folder
from sim.tracing import Tracing
from sim.work import work_folder
from sim.wrapper import TOP, verilog

__all__ = ["JOB", "PLAIN", "SAMPLES_DONE", "Bench", "run_cocotb"]

#: Environment variable that names the job's folder to the bench, and the prefix of the lines that tell progress.
JOB = "QTT_COSIM"
SAMPLES_DONE = "qtt samples done: "
#: Files of a work folder: what is compiled, and how many tests ran and failed.
SOURCES, COUNTS = "sources.json", "counts.json"
BUILD_ARGUMENTS = ["-O3", "--x-assign", "fast", "--noassert"]


@dataclass(frozen=True)
class Bench:
    """What stands around a design in cocotb.

    Parameters
    ----------
    name : str
        Of its simulators.
    module : str
        With the test.
    verilog : callable
        Module `harness` of a BUILD's manifest, and of what is traced.
    more : callable
        Files of the BUILD beside the design's own.
    """

    name: str
    module: str
    verilog: Callable[[Manifest, Tracing | None], str]
    more: Callable[[Manifest], tuple[str, ...]] = lambda manifest: ()


#: The design's own streams.
PLAIN = Bench("cocotb", "sim.cocotb_bench", verilog)


def run_cocotb(
    job: Job,
    completed: Completed,
    tracing: Tracing | None = None,
    file: Path | None = None,
    *,
    bench: Bench = PLAIN,
) -> Outcome:
    """Every sample of a job in cocotb.

    Parameters
    ----------
    job : Job
    completed : callable
    tracing : Tracing, optional
        What a VCD shows of the whole run.
    file : Path, optional
        Where it goes.
    bench : Bench

    Raises
    ------
    ValueError
        When cocotb is missing, the design does not compile, or no test ran to its end.
    """
    package_folder("cocotb_tools", "cocotb")
    waves = tracing is not None
    text = bench.verilog(job.manifest, tracing)
    more = [(job.build / name).read_bytes() for name in bench.more(job.manifest)]
    key = digest(job.build, job.manifest, repr((tracing, BUILD_ARGUMENTS)), text, *more)
    name = f"{bench.name}-{'trace-' if waves else ''}{key}"
    simulator = kept(job.build, name, lambda work: _compile(job, work, tracing, text, bench.more(job.manifest)))
    with work_folder("run") as folder:
        job.save(folder)
        (folder / TOP).symlink_to(simulator)
        lines = _child(["test", str(folder), bench.module, *(["waves"] if waves else [])], folder, completed)
        reason = first_error("".join(lines))
        if not (folder / COUNTS).is_file() or not (folder / "outcome.json").is_file():
            raise ValueError(f"{job.build}: cocotb did not finish: {reason}")
        outcome = Outcome.model_validate_json((folder / "outcome.json").read_bytes())
        tests, failed = json.loads((folder / COUNTS).read_text())
        if tests == 0 or (failed == 0) != (outcome.difference is None and outcome.failure is None):
            raise ValueError(f"{job.build}: cocotb: {tests} tests ran, {failed} failed: {reason}")
        if file is not None:
            shutil.move(folder / "dump.vcd", file)
    return outcome


def _compile(job: Job, work: Path, tracing: Tracing | None, text: str, more: Sequence[str]) -> Path:
    """The simulator of a design, made in a work folder."""
    waves = tracing is not None
    files = [str(path) for path in wrapped_sources(job.build, job.manifest, work, tracing, text, more)]
    (work / SOURCES).write_text(json.dumps(files), encoding="utf-8")
    kind = "cocotb-trace" if waves else "cocotb"
    seed_objects(kind, work / "obj")
    lines = _child(["compile", str(work), "-", *(["waves"] if waves else [])], work)
    if not (work / "obj" / TOP).is_file():
        reason = first_error("".join(lines)).replace(f"{work}/", "")
        raise ValueError(f"{job.build}: Verilator could not compile the design: {reason}")
    keep_objects(kind, work / "obj")
    return work / "obj" / TOP


def _child(arguments: list[str], work: Path, completed: Completed = lambda samples: None) -> list[str]:
    """Run this module as a program in a work folder and return the lines that it printed."""
    env = environment(work)
    root = str(Path(__file__).parent.parent)
    env["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [env.get("PYTHONPATH")])])
    env[JOB] = str(work)
    env["MAKEFLAGS"] = f"{env['MAKEFLAGS']} {' '.join(MAKE_FLAGS)}"
    command = [sys.executable, "-m", "sim.cocotb_run", *arguments]
    lines: list[str] = []
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with running(command, env=env, text=True, errors="replace", **options) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            if line.startswith(SAMPLES_DONE):
                completed(int(line.removeprefix(SAMPLES_DONE)))
    return lines


def _main(step: str, folder: Path, bench: str, waves: bool) -> None:
    """Compile the Verilog of a work folder, or run the bench on its job and note how many tests ran and failed."""
    from cocotb_tools.runner import get_results, get_runner

    runner = get_runner("verilator")
    if step == "compile":
        runner.build(
            sources=json.loads((folder / SOURCES).read_text(encoding="utf-8")),
            hdl_toplevel=TOP,
            build_dir=folder / "obj",
            build_args=[*BUILD_ARGUMENTS, *(["--timescale", "1ns/1ns"] if waves else [])],
            waves=waves,
            always=True,
        )
        return
    results = folder / "results.xml"
    with contextlib.suppress(SystemExit):  # the runner's word for a failed test; the file tells more
        runner.test(
            test_module=bench,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=folder,
            test_dir=folder,
            results_xml=str(results),
            seed=1,  # of cocotb's own, which the bench does not use
            waves=waves,
        )
    (folder / COUNTS).write_text(json.dumps(get_results(results)))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4:] == ["waves"])
