"""The cocotb engine: cocotb's own runner with Verilator, in a child process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sim.job import Job, Outcome, Progress
from sim.runtime_objects import MAKE_FLAGS, keep_objects, seed_objects
from sim.toolchain import environment, package_folder
from sim.wrapper import TOP, verilog, write_sources

__all__ = ["JOB", "SAMPLES_DONE", "run_cocotb"]

#: Environment variable that names the job's folder to the bench, and the prefix of the lines that tell progress.
JOB = "QTT_COSIM"
SAMPLES_DONE = "qtt samples done: "
_COUNTS = "qtt tests and failures: "
_BENCH = "sim.cocotb_bench"


def run_cocotb(job: Job, *, vcd: Path | None = None, progress: Progress | None = None) -> Outcome:
    """Every sample of a job in cocotb; `vcd` shows the whole run.

    Raises
    ------
    ValueError
        When cocotb is missing, the design does not compile, or no test ran to its end.
    """
    package_folder("cocotb_tools", "cocotb")
    compiled = _compiled(job, vcd is not None)
    with tempfile.TemporaryDirectory(prefix="cocotb-") as name:
        folder = Path(name)
        job.save(folder)
        lines = _child(folder, compiled, vcd is not None, progress)
        counts = [line.removeprefix(_COUNTS).split() for line in lines if line.startswith(_COUNTS)]
        reason = next(
            (line for line in lines if line.startswith("%") or "Error" in line), (lines or ["no message"])[-1]
        )
        if not counts or not (folder / "outcome.json").is_file():
            raise ValueError(f"{job.build}: cocotb did not finish: {reason.strip()}")
        outcome = Outcome.model_validate_json((folder / "outcome.json").read_bytes())
        tests, failed = (int(part) for part in counts[0])
        if tests == 0 or (failed == 0) != (outcome.difference is None and outcome.failure is None):
            raise ValueError(f"{job.build}: cocotb: {tests} tests ran, {failed} failed: {reason.strip()}")
        if vcd is not None:
            vcd.write_bytes((folder / "dump.vcd").read_bytes())
    return outcome


def _compiled(job: Job, waves: bool) -> Path:
    """Where the simulator of this design is kept: one folder per content of its sources."""
    digest = hashlib.sha256(verilog(job.manifest).encode())
    for name in job.manifest.sources.simulation:
        digest.update((job.build / name).read_bytes())
    return (job.build / "sim").resolve() / f"cocotb-{'trace-' if waves else ''}{digest.hexdigest()[:16]}"


def _child(folder: Path, compiled: Path, waves: bool, progress: Progress | None) -> list[str]:
    """Run this module as a program and return the lines that it printed."""
    env = environment()
    root = str(Path(__file__).parent.parent)
    env["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [env.get("PYTHONPATH")])])
    env[JOB] = str(folder)
    env["MAKEFLAGS"] = f"{env['MAKEFLAGS']} {' '.join(MAKE_FLAGS)}"
    command = [sys.executable, "-m", "sim.cocotb_run", str(folder), str(compiled), *(["waves"] if waves else [])]
    lines: list[str] = []
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                lines.append(line)
                if progress is not None and line.startswith(SAMPLES_DONE):
                    progress(int(line.removeprefix(SAMPLES_DONE)))
        except BaseException:
            child.terminate()
            raise
    return lines


def _main(folder: Path, compiled: Path, waves: bool) -> None:
    """Compile the design unless that was done before, run the bench, print how many tests ran and failed."""
    from cocotb_tools.runner import get_results, get_runner

    job = Job.load(folder)
    runner = get_runner("verilator")
    if not compiled.is_dir():
        compiled.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=compiled.parent, prefix="compile-") as name:
            kind = "cocotb-trace" if waves else "cocotb"
            seed_objects(kind, Path(name) / "obj")
            runner.build(
                sources=write_sources(job.build, job.manifest, Path(name)),
                hdl_toplevel=TOP,
                build_dir=Path(name) / "obj",
                build_args=["-O3", "--x-assign", "fast", "--noassert"],
                waves=waves,
                always=True,
            )
            keep_objects(kind, Path(name) / "obj")
            (Path(name) / "done").mkdir()
            (Path(name) / "obj" / TOP).replace(Path(name) / "done" / TOP)
            (Path(name) / "done").replace(compiled)
    results = folder / "results.xml"
    with contextlib.suppress(SystemExit):  # the runner's word for a failed test; the file tells more
        runner.test(
            test_module=_BENCH,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=compiled,
            test_dir=folder,
            results_xml=str(results),
            seed=job.seed,
            waves=waves,
        )
    print(f"{_COUNTS}{' '.join(map(str, get_results(results)))}", flush=True)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] == ["waves"])
