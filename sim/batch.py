"""The batch harness: a design compiled by Verilator into an executable that runs whole test sets."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from rtl_gen.manifest import Manifest
from rtl_gen.words import limbs
from sim.runtime_objects import MAKE_FLAGS, keep_objects, seed_objects
from sim.stalls import PATTERNS, Stalls
from sim.toolchain import environment, package_folder
from sim.wrapper import RESET, SETTLE, TOP, verilog, write_sources

__all__ = ["Block", "End", "compile_batch", "run_batch", "run_tool"]

SOURCE = Path(__file__).with_name("batch.cpp")
#: Small files compile in parallel.
FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--output-split", "20000")
_END = 0xFFFFFFFF
_NEVER = PATTERNS["none"]


@dataclass(frozen=True)
class Block:
    """Transfers of one stream: stream 0 is the start of samples, 1 the output, 2 and up the taps.

    Parameters
    ----------
    stream : int
    words : uint32 array, [transfers, limbs]
    cycles : uint64 array, [transfers]
    """

    stream: int
    words: NDArray[np.uint32]
    cycles: NDArray[np.uint64]


@dataclass(frozen=True)
class End:
    """How a run ended: status "done", "deadlock" or a broken rule; the cycle; the last transfer; input words taken."""

    status: str
    cycle: int
    last: int
    taken: int


def _layout(manifest: Manifest) -> str:
    """The C++ header that batch.cpp includes."""
    taps = " ".join(f"X({i}, {limbs(tap.bits)}, {tap.words})" for i, tap in enumerate(manifest.taps))
    top_bits = manifest.input.bits - 32 * (limbs(manifest.input.bits) - 1)
    return (
        f"#define INPUT_LIMBS {limbs(manifest.input.bits)}u\n#define INPUT_WORDS {manifest.input.words}u\n"
        f"#define INPUT_TOP_MASK {(1 << top_bits) - 1:#x}u\n"
        f"#define OUTPUT_LIMBS {limbs(manifest.output.bits)}u\n#define OUTPUT_WORDS {manifest.output.words}u\n"
        f"#define RESET {RESET}u\n#define SETTLE {SETTLE}u\n#define TAPS(X) {taps}\n"
    )


def compile_batch(build: Path, manifest: Manifest, *, trace: bool = False) -> Path:
    """The executable for a BUILD folder; compiled once per content of its sources.

    Parameters
    ----------
    build : Path
    manifest : Manifest
    trace : bool
        Able to write a VCD; slower.

    Returns
    -------
    Path
        In build/sim/, named after a hash of everything that it is made of.
    """
    sources = [(build / name).resolve() for name in manifest.sources.simulation]
    wrapper, layout = verilog(manifest), _layout(manifest)
    digest = hashlib.sha256()
    for data in (
        *(source.read_bytes() for source in sources),
        *(text.encode() for text in (wrapper, layout, str((trace, FLAGS, MAKE_FLAGS)))),
        SOURCE.read_bytes(),
        (package_folder("verilator", "verilator") / "__init__.py").read_bytes(),
    ):
        digest.update(len(data).to_bytes(8, "little") + data)
    executable = build / "sim" / f"batch-{'trace-' if trace else ''}{digest.hexdigest()[:16]}"
    if executable.is_file():
        return executable.resolve()
    environ = environment()
    executable.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=executable.parent, prefix="compile-") as name:
        work = Path(name).resolve()
        files = write_sources(build, manifest, work)
        (work / "harness_layout.h").write_text(layout, encoding="utf-8")
        generate = [
            *("verilator", "--cc", "--exe", *FLAGS, "--top-module", TOP, "--Mdir", "obj"),
            *(("--trace-vcd", "-CFLAGS", "-DQTT_TRACE") if trace else ()),
            *("-CFLAGS", f"-I{work}", *map(str, files), str(SOURCE)),
        ]
        kind = "trace" if trace else "batch"
        seed_objects(kind, work / "obj")
        run_tool(generate, work, build, environ)
        run_tool(["make", "-C", "obj", "-f", f"V{TOP}.mk", "-j2", *MAKE_FLAGS], work, build, environ)
        keep_objects(kind, work / "obj")
        (work / "obj" / f"V{TOP}").replace(executable)
    return executable.resolve()


def run_tool(command: list[str], work: Path, build: Path, environ: dict[str, str]) -> None:
    """Run Verilator or make in `work`; raises ValueError with the first error, naming the BUILD folder."""
    done = subprocess.run(command, cwd=work, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).splitlines()
        errors = [line for line in lines if line.startswith("%")] or [line for line in lines if "error" in line]
        errors = errors or lines[-1:] or ["no message"]
        raise ValueError(f"{build}: Verilator could not compile the design: {errors[0].strip()}")


def run_batch(
    executable: Path,
    manifest: Manifest,
    words: NDArray[np.uint32],
    *,
    source: Stalls = _NEVER,
    sink: Stalls = _NEVER,
    seed: int = 0,
    watchdog: int = 1_000_000,
    vcd: tuple[Path, int, int] | None = None,
) -> Iterator[Block | End]:
    """Send words back to back and yield every block of transfers as it comes; the last item is the End.

    Parameters
    ----------
    executable : Path
        Of `compile_batch`.
    manifest : Manifest
    words : uint32 array, [samples * words, limbs]
        The input stream.
    source, sink : Stalls
        Patterns of the two sides.
    seed : int
        Of the patterns.
    watchdog : int
        Cycles without a transfer that count as a deadlock.
    vcd : (Path, int, int), optional
        Waveform file and its first and last cycle; the run ends after it. Needs a tracing executable.
    """
    with tempfile.TemporaryDirectory(prefix="batch-") as folder:
        data = Path(folder) / "input.bin"
        data.write_bytes(np.ascontiguousarray(words, dtype="<u4").tobytes())
        command = [
            *(str(executable), f"input={data}", f"words={len(words)}", f"seed={seed}", f"watchdog={watchdog}"),
            *(f"source={source.stop},{source.go}", f"sink={sink.stop},{sink.go}"),
            *((f"vcd={vcd[0]}", f"from={vcd[1]}", f"to={vcd[2]}") if vcd is not None else ()),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stderr is not None
            try:
                ended = False
                for item in _read(cast(BinaryIO, child.stdout), manifest):
                    ended = isinstance(item, End)
                    yield item
                message = child.stderr.read().decode(errors="replace").strip()
                if child.wait() != 0 or not ended:
                    raise ValueError(f"{executable}: exit code {child.returncode}: {message or 'no message'}")
            finally:
                if child.poll() is None:
                    child.kill()


def _read(pipe: BinaryIO, manifest: Manifest) -> Iterator[Block | End]:
    widths = [0, limbs(manifest.output.bits), *(limbs(tap.bits) for tap in manifest.taps)]
    while header := pipe.read(8):
        stream, count = (int(value) for value in np.frombuffer(header, "<u4"))
        if stream == _END:
            yield End(**json.loads(pipe.read(count)))
            return
        payload = np.frombuffer(pipe.read(4 * widths[stream] * count), "<u4").reshape(count, widths[stream])
        yield Block(stream, payload, np.frombuffer(pipe.read(8 * count), "<u8"))
