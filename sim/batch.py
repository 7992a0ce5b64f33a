"""The batch harness: a design compiled by Verilator into an executable that runs whole test sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from qtt_hw.children import Children, how, processors
from rtl_gen.manifest import Manifest
from rtl_gen.words import limbs
from sim.channel import said, speaking
from sim.compile import digest, kept, wrapped_sources
from sim.job import Job
from sim.rules import DRAIN, STATUSES, End
from sim.runtime_objects import MAKE_FLAGS, keep_objects, seed_objects
from sim.toolchain import environment, package_folder, require_headers, run_tool
from sim.tracing import FIRST, PERIOD, RESET, SETTLE, Tracing, Window
from sim.transfers import Stretch
from sim.work import work_folder
from sim.wrapper import TOP

__all__ = ["FLAGS", "compile_batch", "run_batch"]

SOURCE = Path(__file__).with_name("batch.cpp")
#: Small files compile in parallel, and functions of up to a thousand statements sooner than longer ones; what a model
#: takes is `verilator_compile_seconds` of `python -m bench.pipeline`.
_SPLIT = ("--output-split", "20000", "--output-split-cfuncs", "1000")
FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", *_SPLIT)
#: The harness has a handler of fatal errors of its own.
DEFINES = "-DVL_USER_FATAL"
_END = 0xFFFFFFFF


def _layout(manifest: Manifest) -> str:
    """The C++ header that batch.cpp includes."""
    taps = " ".join(f"X({i}, {limbs(tap.bits)}, {tap.words})" for i, tap in enumerate(manifest.taps))
    top_bits = manifest.input.bits - 32 * (limbs(manifest.input.bits) - 1)
    statuses = ", ".join(f'"{status}"' for status in STATUSES)
    return (
        f"#define INPUT_LIMBS {limbs(manifest.input.bits)}u\n#define INPUT_WORDS {manifest.input.words}u\n"
        f"#define INPUT_TOP_MASK {(1 << top_bits) - 1:#x}u\n"
        f"#define OUTPUT_LIMBS {limbs(manifest.output.bits)}u\n#define OUTPUT_WORDS {manifest.output.words}u\n"
        f"#define RESET {RESET}\n#define SETTLE {SETTLE}\n#define PERIOD {PERIOD}\n"
        f"#define TAPS(X) {taps}\n#define STATUSES {statuses}\n"
    )


def compile_batch(build: Path, manifest: Manifest, tracing: Tracing | None = None) -> Path:
    """The executable for a BUILD folder; compiled once per content of its sources.

    Parameters
    ----------
    build : Path
    manifest : Manifest
    tracing : Tracing, optional
        Able to write a trace; slower.

    Returns
    -------
    Path
        In build/sim/, named after a hash of everything that it is made of.
    """
    layout = _layout(manifest)
    package = (package_folder("verilator", "verilator") / "__init__.py").read_bytes()
    flags = repr((tracing, FLAGS, MAKE_FLAGS, DEFINES))
    number = digest(build, manifest, layout, flags, SOURCE.read_bytes(), package)
    kind = "batch" if tracing is None else f"trace-{tracing.form}"

    def make(work: Path) -> Path:
        environ = environment(work)
        if tracing is not None and tracing.form == "fst":
            packages = {"lz4.h": "liblz4-dev", "zlib.h": "zlib1g-dev"}
            require_headers("an .fst file of Verilator", packages, "a .vcd needs neither, nor does --engine icarus")
        files = wrapped_sources(build, manifest, work, tracing)
        (work / "harness_layout.h").write_text(layout, encoding="utf-8")
        program = work / SOURCE.name
        program.write_bytes(SOURCE.read_bytes())
        generate = [
            *("verilator", "--cc", "--exe", *FLAGS, "--top-module", TOP, "--Mdir", "obj"),
            *(() if tracing is None else (f"--trace-{tracing.form}", "-CFLAGS", f"-DQTT_{tracing.form.upper()}")),
            *("-CFLAGS", f"-I{work} {DEFINES}", *map(str, files), str(program)),
        ]
        seed_objects(kind, work / "obj", DEFINES)
        run_tool(generate, work, build, environ)
        run_tool(["make", "-C", "obj", "-f", f"V{TOP}.mk", f"-j{processors()}", *MAKE_FLAGS], work, build, environ)
        keep_objects(kind, work / "obj", DEFINES)
        return work / "obj" / f"V{TOP}"

    return kept(build, f"{'' if kind == 'batch' else 'batch-'}{kind}-{number}", make)


def run_batch(job: Job, executable: Path, children: Children, window: Window | None = None) -> Iterator[Stretch | End]:
    """Send a job's samples back to back and yield every block of transfers as it comes; the last item is the End.

    Parameters
    ----------
    job : Job
    executable : Path
        Of `compile_batch`.
    children : Children
        Where the process runs.
    window : Window, optional
        To trace; needs a tracing executable.
    """
    with work_folder("run") as folder:
        data, log = folder / "input.bin", folder / "log"
        data.write_bytes(np.ascontiguousarray(job.words(), dtype="<u4").tobytes())

        def command(channel: int) -> list[str]:
            return [
                *(str(executable), f"output={channel}", f"input={data}", f"words={job.words_in}", f"seed={job.seed}"),
                *(f"watchdog={job.watchdog}", f"drain={DRAIN}"),
                *(f"source={job.source.stop},{job.source.go}", f"sink={job.sink.stop},{job.sink.go}"),
                *(() if window is None else _traced(window, job.first)),
            ]

        with speaking(command, log, start=children.running) as (child, channel):
            ended = False
            for item in _read(channel, job.manifest):
                ended = isinstance(item, End)
                yield item
            if child.wait() != 0 or not ended:
                raise ValueError(f"{job.build}: the batch harness {how(child.returncode)}: {said(log)}")


def _traced(window: Window, sample: int) -> tuple[str, ...]:
    return f"waves={window.file}", f"from={window.first}", f"to={window.last}", f"+{FIRST}={sample}"


def _read(pipe: BinaryIO, manifest: Manifest) -> Iterator[Stretch | End]:
    widths = [0, limbs(manifest.output.bits), *(limbs(tap.bits) for tap in manifest.taps)]
    while header := pipe.read(8):
        stream, count = (int(value) for value in np.frombuffer(header, "<u4"))
        if stream == _END:
            yield End(**json.loads(pipe.read(count)))
            return
        payload = np.frombuffer(pipe.read(4 * widths[stream] * count), "<u4").reshape(count, widths[stream])
        yield Stretch(stream, payload, np.frombuffer(pipe.read(8 * count), "<u8"))
