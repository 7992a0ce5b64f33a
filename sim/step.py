"""Stepping a BUILD cycle by cycle from Python, through pyverilator."""

from __future__ import annotations

import ctypes
import os
import random
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtt_hw.near import unknown
from rtl_gen.manifest import Manifest
from rtl_gen.words import limbs, pack, unpack
from sim.compile import digest, kept, wrapped_sources
from sim.job import Completed, Job, Outcome
from sim.pyverilator_shim import build_model, open_model
from sim.rules import DRAIN, STATUSES, End
from sim.tracing import RESET, SETTLE
from sim.wrapper import ports

__all__ = ["Stepper", "open", "run_stepping"]


def open(build: Path | str) -> Stepper:
    """A Stepper at cycle 0, just after reset; the design is compiled once per content of its sources."""
    build = Path(build)
    manifest = Manifest.load(build)

    def make(work: Path) -> Path:
        files = wrapped_sources(build, manifest, work)
        return build_model(files[-1], files[:-1], work / "obj")

    return Stepper(manifest, open_model(kept(build, f"step-{digest(build, manifest)}", make)))


class Stepper:
    """A design between two clock edges: what was put waits at the input, and `peek` shows settled values.

    Attributes
    ----------
    cycle : int
        Number of the current cycle; 0 is the first one after reset has settled.
    ready : bool
        Whether the sink takes a word in the current cycle; true unless set.
    outputs : list of (int, int)
        Cycle and word of every output transfer, {last, value} as in the manifest.
    taps : dict of str to list of (int, int)
        Cycle and word of every transfer at a stage's output.
    starts : list of int
        Cycle of each sample's first input transfer.
    """

    def __init__(self, manifest: Manifest, model: Any):
        self.manifest = manifest
        self.cycle = 0
        self.outputs: list[tuple[int, int]] = []
        self.taps: dict[str, list[tuple[int, int]]] = {tap.stage: [] for tap in manifest.taps}
        self.starts: list[int] = []
        self._model = model
        self._waiting: deque[int] = deque()
        self._taken = 0
        self._ready = True
        self._hold = False
        self._tracing = False
        self._noise = random.Random(0)  # a design that looks at a payload without valid must not get away with it
        self._names = {port: name for _, _, name, port in ports(manifest) if port not in (None, "clk", "rst")}
        for name in ("words_in", "words_out", "drain", "watchdog"):  # as long as somebody steps
            model[name] = (1 << 64) - 1
        for rst in (1,) * RESET + (0,) * SETTLE:
            model["rst"] = rst
            self._settle()
            self._edge()
        self._settle()

    def put(self, sample: NDArray) -> None:
        """Queue a preprocessed sample, integers [D, H, W, C]."""
        port = self.manifest.input
        for word in pack(np.asarray(sample), port.lanes, port.lane_bits):
            self._waiting.append(sum(int(limb) << 32 * i for i, limb in enumerate(word)))
        self._settle()

    def peek(self, port: str) -> int:
        """The value of a port of the design in the current cycle, unsigned."""
        name = self._names.get(port, port)
        if name not in self._model:
            raise unknown("port", port, ["clk", "rst", *self._names])
        return int(self._model[name])

    @property
    def ready(self) -> bool:
        return self._ready

    @ready.setter
    def ready(self, value: bool) -> None:
        self._ready = value
        self._settle()

    @property
    def hold(self) -> bool:
        """Whether the source keeps its next word back; a word already offered stays."""
        return self._hold

    @hold.setter
    def hold(self, value: bool) -> None:
        self._hold = value
        self._settle()

    def step(self, count: int = 1) -> None:
        """Go `count` clock edges further and note every transfer."""
        model = self._model
        for _ in range(count):
            taken = bool(model["i_valid"] and model["i_ready"])
            if taken:
                if self._taken % self.manifest.input.words == 0:
                    self.starts.append(self.cycle)
                self._taken += 1
                self._waiting.popleft()
            if model["o_valid"] and self._ready:
                self.outputs.append((self.cycle, int(model["o_payload"])))
            for index, transfers in enumerate(self.taps.values()):
                if model[f"t{index}_strobe"]:
                    transfers.append((self.cycle, int(model[f"t{index}_payload"])))
            self._edge()
            self.cycle += 1
            if taken:
                model["i_valid"] = 0
                model["i_payload"] = self._noise.getrandbits(self.manifest.input.bits)
            self._settle()

    def end_after(self, words_in: int, words_out: int, watchdog: int) -> None:
        """Let port `status` tell how a run of so many words ends; see `sim.rules`."""
        told = {"words_in": words_in, "words_out": words_out, "watchdog": watchdog, "drain": DRAIN}
        for name, value in told.items():
            self._model[name] = value

    def results(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Logits [samples, classes] and argmax [samples] of every sample that is complete."""
        port = self.manifest.output
        samples = len(self.outputs) // port.words
        words = np.array([[word] for _, word in self.outputs[: samples * port.words]], dtype=np.uint64)
        halves = np.concatenate([words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)], axis=1).astype(np.uint32)
        values = unpack(halves, 1, port.value_bits, True).reshape(samples, port.words)
        return values[:, :-1], values[:, -1]

    def trace(self, path: Path) -> None:
        """Write a VCD from here on, until `stop_trace`; 20 units of time are a cycle. Its path has to be of ASCII."""
        if not str(path).isascii():
            raise ValueError(f"{path}: pyverilator writes waveforms to paths of ASCII alone")
        self._model.start_vcd_trace(str(path), auto_tracing=False)
        self._tracing = True

    def stop_trace(self) -> None:
        self._model.stop_vcd_trace()
        self._tracing = False

    def _edge(self) -> None:
        self._show()
        self._model["clk"] = 1
        self._model.eval()
        self._show()

    def _show(self) -> None:
        if self._tracing:
            self._model.add_to_vcd_trace()

    def _settle(self) -> None:
        model = self._model
        if self._waiting and not model["i_valid"] and not self._hold:
            model["i_payload"] = self._waiting[0]
            model["i_valid"] = 1
        model["o_ready"] = int(self._ready)
        model["clk"] = 0
        model.eval()


def run_stepping(job: Job, completed: Completed) -> Outcome:
    """Every sample of a job, stepped."""
    stepper = open(job.build)
    scoreboard = job.scoreboard()
    source, sink = job.source.walk(2 * job.seed + 1), job.sink.walk(2 * job.seed + 2)
    for sample in job.x:
        stepper.put(sample)
    stepper.end_after(job.words_in, job.words_out, job.watchdog)
    streams = [stepper.outputs, *stepper.taps.values()]
    widths = [job.manifest.output.bits, *(tap.bits for tap in job.manifest.taps)]
    seen = [0] * len(streams)
    with _printing_to_stderr():
        while not stepper.peek("status"):
            stepper.hold, stepper.ready = source.step(), not sink.step()
            stepper.step()
            for number, stream in enumerate(streams):
                if len(stream) == seen[number]:
                    continue
                seen[number] += 1
                cycle, word = stream[-1]
                words = np.array([[word >> 32 * i & 0xFFFFFFFF for i in range(limbs(widths[number]))]], dtype=np.uint32)
                cycles = np.array([cycle], dtype=np.uint64)
                if number > 0:
                    scoreboard.tap(number - 1, words, cycles)
                    continue
                scoreboard.output(words, cycles)
                completed(min(scoreboard.completed, len(job.x)))
    end = End(STATUSES[stepper.peek("status")], *(stepper.peek(name) for name in ("cycle", "last", "taken")))
    return Outcome.of(job, scoreboard, stepper.starts, end)


@contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """What a design prints, which runs in this very process, goes to standard error: the output is the caller's."""
    sys.stdout.flush()
    library = ctypes.CDLL(None)
    library.fflush(None)
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        library.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
