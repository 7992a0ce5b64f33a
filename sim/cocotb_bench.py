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
from sim.cocotb_stream import Deliver, StreamDriver, StreamMonitor, TapMonitor, run_streams
from sim.job import Job, Outcome
from sim.rules import DRAIN, STATUSES, End
from sim.scoreboard import Scoreboard
from sim.tracing import RESET, SETTLE

__all__ = ["Bench", "back_to_back"]


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
        self.driver = StreamDriver(dut.i_payload, dut.i_valid, dut.i_ready, source, seed)
        self.driver.send(sum(int(limb) << 32 * i for i, limb in enumerate(word)) for word in job.words())
        self.output = StreamMonitor(dut.o_payload, dut.o_valid, dut.o_ready, sink, self._deliver, manifest.output.words)
        taps: list[tuple[Any, Deliver, int]] = []
        for index, tap in enumerate(manifest.taps):

            def deliver(words: Any, cycles: Any, index: int = index) -> None:
                self.scoreboard.tap(index, words, cycles)

            taps.append((getattr(dut, f"t{index}_payload"), deliver, tap.words))
        self.taps = TapMonitor(dut.strobes if taps else None, taps)

    async def run(self) -> Outcome:
        """From reset until the rules say that it is over."""
        dut, job = self._dut, self._job
        dut.rst.value, dut.i_valid.value, dut.o_ready.value = 1, 0, 0
        dut.i_payload.value = 0
        told = {"words_in": job.words_in, "words_out": job.words_out, "drain": DRAIN, "watchdog": job.watchdog}
        for name, value in told.items():
            getattr(dut, name).value = value
        Clock(dut.clk, 10, unit="ns").start()
        for _ in range(RESET + 1):
            await FallingEdge(dut.clk)
        dut.rst.value = 0
        for _ in range(SETTLE - 1):
            await FallingEdge(dut.clk)
        task = cocotb.start_soon(run_streams(dut.clk, self.driver, self.output, self.taps))
        while not dut.status.value:
            await dut.status.value_change
        task.cancel()
        self.output.flush()
        self.taps.flush()
        end = End(STATUSES[int(dut.status.value)], *(int(p.value) for p in (dut.cycle, dut.last, dut.taken)))
        return Outcome.of(job, self.scoreboard, self.driver.accepted[:: job.manifest.input.words], end)

    def _deliver(self, words: Any, cycles: Any) -> None:
        """Words of the output to the scoreboard; tells how many samples have come."""
        self.scoreboard.output(words, cycles)
        print(f"\n{SAMPLES_DONE}{min(self.scoreboard.completed, len(self._job.x))}", flush=True)


@cocotb.test()
async def back_to_back(dut: Any) -> None:
    """Every output and every tap is the golden model's."""
    folder = Path(os.environ[JOB])
    outcome = await Bench(dut, Job.load(folder)).run()
    (folder / "outcome.json").write_text(outcome.model_dump_json(), encoding="utf-8")
    assert outcome.failure is None, outcome.failure
    assert outcome.difference is None, str(outcome.difference)
