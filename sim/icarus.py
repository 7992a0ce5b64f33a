"""Icarus Verilog: a second simulator, in which what nobody has set is unknown (x), and stays so until it is set.

Slow, and independent: its own parser, its own scheduler, and a bench in Verilog. It tells what the others cannot, that
a design reads a payload without its valid, a memory before it is written, or a register that reset leaves alone.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from qtt_hw.children import Children, how
from rtl_gen.manifest import Manifest
from rtl_gen.words import limbs
from sim.channel import said, speaking
from sim.compile import digest, kept, sources
from sim.job import Job
from sim.rules import DRAIN, STATUSES, End
from sim.toolchain import run_tool
from sim.tracing import FIRST, INSTANCE, PERIOD, RESET, SETTLE, Tracing, Window
from sim.transfers import OUTPUT, STARTS, TAPS, Stretch
from sim.work import work_folder
from sim.wrapper import TOP, declared, ports, verilog

__all__ = ["Generation", "available", "compile_icarus", "run_icarus", "without_initial_values"]

SOURCE = Path(__file__).with_name("icarus.v")
#: Verilog of 2005, or SystemVerilog of 2012, in which declarations with a value are initialised before all else.
Generation = Literal["2005", "2012"]
_NAME = r"\\\S+ |\w+"
_MEMORY = re.compile(rf"^(  reg \[\d+:0\] ({_NAME}) ?\[\d+:0\];\n)  initial begin\n(?:    .*\n)+?  end\n", re.MULTILINE)
#: Transfers that are handed on at a time.
_AT_A_TIME = 4096


def available() -> bool:
    """Whether Icarus Verilog is installed."""
    return shutil.which("iverilog") is not None


def without_initial_values(text: str) -> str:
    """A design that starts unknown: without the values of registers and of memories that are written.

    Of Verilog as `qtt emit` writes it, whose registers say `initial NAME = VALUE;`. Hardware has those values once,
    when configured; a reset in the midst of work brings back only those that the design names, which must be enough.
    """

    def without_contents(module: str) -> str:
        written = {name.strip() for name in re.findall(rf"^ +({_NAME}) ?\[.*<= ", module, re.MULTILINE)}
        return _MEMORY.sub(lambda found: found[1] if found[2].strip() in written else found[0], module)

    text = re.sub(rf"^  initial (?:{_NAME}) ?= .*;\n", "", text, flags=re.MULTILINE)
    return "".join(map(without_contents, re.split(r"(?<=^endmodule\n)", text, flags=re.MULTILINE)))


def _layout(manifest: Manifest, tracing: Tracing | None) -> str:
    """The macros that icarus.v is written in."""
    taps = [(f"t{index}", tap) for index, tap in enumerate(manifest.taps)]
    names = [(bits, name) for way, bits, name, port in ports(manifest) if re.fullmatch(r"t\d+_\w+", name)]
    macros = {
        "INPUT_BITS": manifest.input.bits,
        "INPUT_WORDS": manifest.input.words,
        "OUTPUT_BITS": manifest.output.bits,
        "RESET": RESET,
        "SETTLE": SETTLE,
        "HALF": PERIOD // 2,
        "SHOWN": "0" if tracing is None else "0, bench" if tracing.inside else f"0, harness.{INSTANCE}",
        "TAP_SIGNALS": " ".join(f"{declared('', bits, name).strip()};" for bits, name in names),
        "TAP_PORTS": " ".join(f".{name}({name})," for _, name in names),
        "TAP_RECORDS": " ".join(
            f'if ({tap}_strobe === 1\'b1) $fwrite(transfers, "{TAPS + index} %0d %h\\n", cycle, {tap}_payload);'
            for index, (tap, _) in enumerate(taps)
        ),
    }
    return "".join(f"`define {name} {value}\n" for name, value in macros.items())


def compile_icarus(
    build: Path,
    manifest: Manifest,
    *,
    generation: Generation = "2012",
    unknown: bool = True,
    tracing: Tracing | None = None,
) -> Path:
    """The program for vvp of a BUILD folder, kept in build/sim.

    Parameters
    ----------
    build : Path
    manifest : Manifest
    generation : "2005" or "2012"
        How the design is read.
    unknown : bool
        Registers, and memories that are written, start unknown, and not with the values that the Verilog gives them.
    tracing : Tracing, optional
        Able to write a trace.

    Raises
    ------
    ValueError
        When Icarus Verilog is missing or refuses the design.
    """
    if not available():
        raise ValueError("engine icarus needs Icarus Verilog: the program iverilog is not on PATH (Debian: iverilog)")
    layout, bench = _layout(manifest, tracing), SOURCE.read_text(encoding="utf-8")
    number = digest(build, manifest, layout, bench, repr((generation, unknown, tracing)))

    def make(work: Path) -> Path:
        files = sources(build, manifest.sources.simulation, work)
        for file in files if unknown else ():
            file.write_text(without_initial_values(file.read_text(encoding="utf-8")), encoding="utf-8")
        for name, text in ((TOP, verilog(manifest, tracing)), ("layout", layout), ("bench", bench)):
            files.append(work / f"qtt_{name}.v")
            files[-1].write_text(text, encoding="utf-8")
        program = work / "bench.vvp"
        options = ["-Wall", "-Wno-timescale", f"-g{generation}", "-s", "bench", "-o", str(program)]
        said_of = run_tool(["iverilog", *options, *map(str, files)], work, build, os.environ)
        odd = re.search(rf"{TOP}\.v:\d+: warning: (Port .* expects \d+ bits?, got \d+)", said_of)
        if odd is not None:
            raise ValueError(f"{build}: the manifest's ports are not the design's: {odd[1]}")
        return program

    return kept(build, f"icarus-{'' if tracing is None else 'trace-'}{number}", make)


def run_icarus(job: Job, program: Path, children: Children, window: Window | None = None) -> Iterator[Stretch | End]:
    """As `sim.batch.run_batch`, with payloads unknown while they are not valid."""
    with work_folder("run") as folder:
        log = folder / "log"
        lines = (f"{_value(word):x}\n" for word in job.words())
        (folder / "input.hex").write_text("".join(lines), encoding="ascii")
        numbers = {
            **{"words_in": job.words_in, "words_out": job.words_out, "drain": DRAIN, "watchdog": job.watchdog},
            **{"source_stop": job.source.stop, "source_go": job.source.go, "seed": job.seed},
            **{"sink_stop": job.sink.stop, "sink_go": job.sink.go},
        }

        def command(channel: int) -> list[str]:
            given = [f"+{name}={value}" for name, value in numbers.items()]
            waves = [] if window is None else _traced(window, job.first)
            return ["vvp", "-n", str(program), f"+output=/dev/fd/{channel}", *given, *waves]

        with speaking(command, log, start=children.running, cwd=folder) as (child, channel):
            ended = False
            for item in _read(channel, job.manifest):
                ended = isinstance(item, End)
                yield item
            if child.wait() != 0 or not ended:
                raise ValueError(f"{job.build}: Icarus Verilog {how(child.returncode)}: {said(log)}")
        if window is not None:
            shutil.move(folder / f"waves{window.file.suffix}", window.file)  # which $dumpfile adds


def _traced(window: Window, sample: int) -> list[str]:
    form = ["-fst"] if window.file.suffix == ".fst" else []
    return [*form, f"+from={window.first}", f"+to={window.last}", f"+{FIRST}={sample}"]


def _value(word: NDArray[np.uint32]) -> int:
    return sum(int(limb) << 32 * i for i, limb in enumerate(word))


def _read(channel: BinaryIO, manifest: Manifest) -> Iterator[Stretch | End]:
    """Blocks of the lines that the bench writes; an unknown word is left out, since the rules end the run for it."""
    sizes = [4 * limbs(bits) for bits in (1, manifest.output.bits, *(tap.bits for tap in manifest.taps))]
    pending: list[list[tuple[int, bytes]]] = [[] for _ in sizes]
    counts = {STARTS: 1, OUTPUT: manifest.output.words}

    def block(stream: int) -> Stretch:
        cycles, words = zip(*pending[stream], strict=True)
        pending[stream] = []
        data = np.frombuffer(b"".join(words), "<u4").reshape(len(words), -1)
        return Stretch(stream, data, np.array(cycles, dtype=np.uint64))

    for line in channel:
        if not line.endswith(b"\n"):  # cut off
            return
        kind, *fields = line.split()
        if kind == b"end":
            yield from (block(stream) for stream, left in enumerate(pending) if left)
            status, cycle, last, taken = fields
            yield End(STATUSES[int(status)], int(cycle), int(last), int(taken))
            return
        stream = int(kind)
        with suppress(ValueError):  # a digit of x or z
            word = int(fields[1], 16) if stream != STARTS else 0
            pending[stream].append((int(fields[0]), word.to_bytes(sizes[stream], "little")))
        if len(pending[stream]) == counts.get(stream, _AT_A_TIME):
            yield block(stream)
