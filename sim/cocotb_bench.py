"""The cocotb test: samples back to back through module `harness`, every word against the scoreboard.

cocotb imports this module inside the simulator; an environment variable names the folder with the job.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from sim.cocotb_run import JOB, SAMPLES_DONE
from sim.cocotb_stream import Deliver, StreamDriver, StreamMonitor, TapMonitor
from sim.job import Job, Outcome
from sim.scoreboard import Scoreboard
from sim.wrapper import RESET, SETTLE

__all__ = ["Bench", "back_to_back"]

#: Cycles without a transfer after the last word, in which one too many would show.
DRAIN = 1000


class Bench:
    """Driver, monitors and scoreboard around one design.

    Parameters
    ----------
    dut : handle
        Module `harness`.
    job : Job
    """

    def __init__(self, dut: Any, job: Job):
        self._dut, self._job = dut, job
        self.scoreboard: Scoreboard = job.scoreboard()
        manifest, seed = job.manifest, job.seed
        source, sink = job.source.walk(2 * seed + 1), job.sink.walk(2 * seed + 2)
        self.driver = StreamDriver(dut.clk, dut.i_payload, dut.i_valid, dut.i_ready, source, seed)
        self.driver.send(sum(int(limb) << 32 * i for i, limb in enumerate(word)) for word in job.words())
        self.output = StreamMonitor(
            dut.clk, dut.o_payload, dut.o_valid, dut.o_ready, sink, self.scoreboard.output, manifest.output.words
        )
        taps: list[tuple[Any, Any, Deliver, int]] = []
        for index, tap in enumerate(manifest.taps):

            def deliver(words: Any, cycles: Any, index: int = index) -> None:
                self.scoreboard.tap(index, words, cycles)

            taps.append((getattr(dut, f"t{index}_strobe"), getattr(dut, f"t{index}_payload"), deliver, tap.words))
        self.taps = TapMonitor(dut.clk, taps)

    async def run(self) -> Outcome:
        """From reset to the last word, and a while longer."""
        dut, job = self._dut, self._job
        dut.rst.value, dut.i_valid.value, dut.o_ready.value = 1, 0, 0
        dut.i_payload.value = 0
        Clock(dut.clk, 10, unit="ns").start()
        for _ in range(RESET + 1):
            await FallingEdge(dut.clk)
        dut.rst.value = 0
        for _ in range(SETTLE - 1):
            await FallingEdge(dut.clk)
        runs: list[Any] = [self.driver.run(), self.output.run(), self.taps.run()]
        tasks = [cocotb.start_soon(run) for run in runs]
        failure = await self._wait()
        for task in tasks:
            task.cancel()
        self.output.flush()
        self.taps.flush()
        self.scoreboard.finish()
        last = self._last()
        if failure is None and self.driver.left:
            failure = f"{self.driver.left} input words were never taken"
        words = job.manifest.input.words
        return Outcome(
            difference=self.scoreboard.difference,
            starts=tuple(self.driver.accepted[::words]),
            ends=tuple(self.scoreboard.ends),
            cycles=self._cycle,
            failure=failure,
            failure_cycle=None if failure is None else last,
        )

    def _last(self) -> int:
        return max([*self.driver.accepted[-1:], self.output.last, self.taps.last])

    async def _wait(self) -> str | None:
        expected = len(self._job.x) * self._job.manifest.output.words
        samples = 0
        self._cycle = 0
        while True:
            await FallingEdge(self._dut.clk)
            self._cycle += 1
            if self._cycle % 64:
                continue
            if self.output.broken is not None:
                return self.output.broken
            if self.scoreboard.completed != samples:
                samples = self.scoreboard.completed
                print(f"{SAMPLES_DONE}{min(samples, len(self._job.x))}", flush=True)
            quiet = self._cycle - self._last()
            if quiet >= DRAIN and self.output.count >= expected:
                return None
            if quiet >= self._job.watchdog:
                done = f"{samples} of {len(self._job.x)} samples came out"
                return f"deadlock: no transfer after cycle {self._last()}, {done}"


@cocotb.test()
async def back_to_back(dut: Any) -> None:
    """Every output and every tap is the golden model's."""
    folder = Path(os.environ[JOB])
    outcome = await Bench(dut, Job.load(folder)).run()
    (folder / "outcome.json").write_text(outcome.model_dump_json(), encoding="utf-8")
    assert outcome.failure is None, outcome.failure
    assert outcome.difference is None, str(outcome.difference)
