"""The test of a design behind AXI: a packet a sample through the bus models, registers read meanwhile.

cocotb imports this module inside the simulator; an environment variable names the folder with the job.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import FallingEdge, ReadOnly
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from rtl_gen.wrapper.interfaces import python_class
from sim.cocotb_run import JOB, SAMPLES_DONE
from sim.job import Job, Outcome
from sim.rules import DRAIN, STATUSES, End
from sim.stalls import Stalls

__all__ = ["AxiBench"]

#: Cycles of a reset.
RESET = 16


class AxiBench:
    """Bus models and scoreboard around one wrapped design.

    Parameters
    ----------
    dut : handle
        Module `harness`.
    job : Job
    """

    def __init__(self, dut: Any, job: Job):
        # taps are none of the wrapper's ports
        job = replace(job, manifest=job.manifest.model_copy(update={"taps": ()}))
        self.dut, self.job = dut, job
        self.scoreboard = job.scoreboard()
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, **reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, **reset)
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, **reset)
        #: Cycles of the transfers at the input and at the output.
        self.taken: list[int] = []
        self.given: list[int] = []
        #: What was wrong with what the registers said.
        self.wrong: str | None = None
        namespace: dict[str, Any] = {}
        exec(python_class(job.manifest), namespace)  # the class that users get, from this very table
        self.registers = namespace["Registers"](resume(self.lite.read_dword), resume(self.lite.write_dword))

    def stall(self) -> None:
        """Have every channel wait at random."""
        job = self.job
        self.source.set_pause_generator(_walk(job.source, 2 * job.seed + 1))
        self.sink.set_pause_generator(_walk(job.sink, 2 * job.seed + 2))
        write, read = self.lite.write_if, self.lite.read_if
        channels = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
        for number, channel in enumerate(channels):
            stalls = (job.source, job.sink)[number % 2]
            channel.set_pause_generator(_walk(stalls, 2 * job.seed + 3 + number))

    async def start(self) -> None:
        """Clock and reset; what the rules are to be told."""
        dut, job = self.dut, self.job
        told = {"words_in": job.words_in, "words_out": job.words_out, "drain": DRAIN, "watchdog": job.watchdog}
        for name, value in told.items():
            getattr(dut, name).value = value
        dut.aresetn.value = 0
        Clock(dut.aclk, 10, unit="ns").start()
        for _ in range(RESET):
            await FallingEdge(dut.aclk)
        dut.aresetn.value = 1
        cocotb.start_soon(self._count())

    def frame(self, words: Any) -> AxiStreamFrame:
        """A packet of words of the design's input, uint32 [words, limbs]."""
        size = len(self.dut.s_axis_tkeep)
        return AxiStreamFrame(np.ascontiguousarray(words, "<u4").view(np.uint8)[:, :size].tobytes())

    def values(self, frame: AxiStreamFrame) -> list[int]:
        """The values of an answer."""
        size = len(self.dut.m_axis_tkeep)
        data = bytes(frame.tdata)
        return [int.from_bytes(data[k : k + size], "little", signed=True) for k in range(0, len(data), size)]

    async def run(self) -> Outcome:
        """From reset until the rules say that it is over."""
        dut, job = self.dut, self.job
        await self.start()
        words = job.words()
        for first in range(0, len(words), job.manifest.input.words):
            self.source.send_nowait(self.frame(words[first : first + job.manifest.input.words]))
        tasks = [cocotb.start_soon(self._receive()), cocotb.start_soon(self._poll())]
        while not dut.status.value:
            await dut.status.value_change
        for task in tasks:
            task.cancel()
        end = End(STATUSES[int(dut.status.value)], *(int(p.value) for p in (dut.cycle, dut.last, dut.taken)))
        starts = self.taken[:: job.manifest.input.words]
        if end.status == "done":
            await bridge(self._registers_at_the_end)()
        outcome = Outcome.of(job, self.scoreboard, starts, end)
        if outcome.failure is None and self.wrong is not None:
            outcome = outcome.model_copy(update={"failure": self.wrong, "failure_cycle": end.last})
        return outcome

    def counted(self, sample: int) -> int:
        """What register CYCLES is to say of a sample."""
        words_in, words_out = self.job.manifest.input.words, self.job.manifest.output.words
        begin, end = self.taken[sample * words_in], self.given[(sample + 1) * words_out - 1]
        return end - max(begin, self.given[sample * words_out - 1] if sample else 0)

    async def _count(self) -> None:
        """The cycle of every transfer."""
        dut = self.dut
        for cycle in itertools.count():
            await FallingEdge(dut.aclk)
            await ReadOnly()
            if dut.s_axis_tvalid.value and dut.s_axis_tready.value:
                self.taken.append(cycle)
            if dut.m_axis_tvalid.value and dut.m_axis_tready.value:
                self.given.append(cycle)

    async def _receive(self) -> None:
        """Answers to the scoreboard."""
        port = self.job.manifest.output
        done = 0
        while True:
            frame = await self.sink.recv(compact=False)
            if any(frame.tuser) or not all(frame.tkeep):
                self._note(f"answer {done // port.words} has tuser or lacks bytes")
            values = self.values(frame)
            given = np.array([value & ((1 << port.value_bits) - 1) for value in values], dtype=np.uint64)
            given[-1] |= np.uint64(1 << port.value_bits)
            limbs = np.stack([given & np.uint64(0xFFFFFFFF), given >> np.uint64(32)], axis=1).astype(np.uint32)
            cycles = np.array(self.given[done : done + len(values)], dtype=np.uint64)
            done += len(values)
            self.scoreboard.output(limbs[:, : -(-port.bits // 32)], cycles)
            print(f"\n{SAMPLES_DONE}{min(self.scoreboard.completed, len(self.job.x))}", flush=True)

    async def _poll(self) -> None:
        """CYCLES against what was seen, of as many samples as can be read between two answers."""
        registers = self.registers
        while True:
            before, cycles, after = [
                await self.lite.read_dword(register)
                for register in (registers.SAMPLES, registers.CYCLES, registers.SAMPLES)
            ]
            if before == after > 0 and cycles != self.counted(after - 1):
                self._note(f"sample {after - 1}: took {self.counted(after - 1)} cycles, register CYCLES says {cycles}")

    def _registers_at_the_end(self) -> None:
        """What the class of the BUILD reads when all is done; in a thread of its own."""
        registers, samples = self.registers, len(self.job.x)
        try:
            registers.check()
        except ValueError as error:
            self._note(str(error))
        wanted = {"samples": samples, "errors": [], "busy": False, "cycles": self.counted(samples - 1)}
        for name, value in wanted.items():
            found = getattr(registers, name)
            if found != value:
                self._note(f"register {name.upper()}: {found} is read, {value} is right")

    def _note(self, text: str) -> None:
        self.wrong = self.wrong or text


def _walk(stalls: Stalls, seed: int) -> Iterator[bool]:
    walk = stalls.walk(seed)
    return (walk.step() for _ in itertools.count())


@cocotb.test()
async def over_the_buses(dut: Any) -> None:
    """Every answer is the golden model's, and the registers say what was seen."""
    folder = Path(os.environ[JOB])
    job = Job.load(folder)
    bench = AxiBench(dut, job)
    if job.source.stop or job.sink.stop:
        bench.stall()
    outcome = await bench.run()
    (folder / "outcome.json").write_text(outcome.model_dump_json(), encoding="utf-8")
    assert outcome.failure is None, outcome.failure
    assert outcome.difference is None, str(outcome.difference)
