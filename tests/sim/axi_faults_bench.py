"""cocotb: what module `qtt_axi` does with packets that are no samples, when told to wait, and after a soft reset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles

from qtt_hw.graph import golden
from rtl_gen.words import pack
from sim.axi_bench import AxiBench
from sim.cocotb_run import JOB
from sim.job import Job, Outcome

#: More cycles than the small design takes for all that is sent at a time.
LONG = 200


class Faults(AxiBench):
    """Sends what it is told, and knows the answers."""

    def answer(self, words: Any) -> list[int]:
        """Logits and class of a sample's input words, each a list of lanes."""
        shape = self.job.graph.input.edge.shape
        x = np.array(words).reshape(1, *shape)
        logits = golden.run(self.job.graph, x)[self.job.graph.nodes[-1].name].reshape(-1)
        return [*map(int, logits), int(np.argmax(logits))]

    def send(self, words: Any, keep: list[int] | None = None) -> None:
        port = self.job.manifest.input
        frame = self.frame(pack(np.array(words), port.lanes, port.lane_bits))
        frame.tkeep = keep
        self.source.send_nowait(frame)

    async def expect(self, words: Any, *, faulty: bool = False) -> None:
        frame = await self.sink.recv(compact=False)
        assert self.values(frame) == self.answer(words)
        assert {*frame.tuser} == {int(faulty)} and all(frame.tkeep)

    async def nothing(self) -> None:
        await ClockCycles(self.dut.aclk, LONG)
        assert self.sink.empty() and self.sink.idle()


@cocotb.test()
async def faults(dut: Any) -> None:
    folder = Path(os.environ[JOB])
    job = Job.load(folder)
    bench = Faults(dut, job)
    await bench.start()
    registers = bench.registers
    port = job.manifest.input
    a, b, c = job.x.reshape(len(job.x), port.words, port.lanes)[:3].tolist()
    zero = [0] * port.lanes

    async def read(name: str) -> Any:
        return await bridge(lambda: getattr(registers, name))()

    # a word too few: zeros, marked, and the next packet is whole again
    bench.send(a[:4])
    bench.send(b)
    await bench.expect(a[:4] + [zero] * 2, faulty=True)
    await bench.expect(b)
    assert await read("errors") == ["early"] and await read("samples") == 2
    await bridge(registers.clear_errors)()
    assert await read("errors") == []
    # words too many: dropped
    bench.send(a + c[:5])
    bench.send(b)
    await bench.expect(a, faulty=True)
    await bench.expect(b)
    assert await read("errors") == ["late"]
    # bytes that are not kept
    bench.send(c, keep=[1, 1, 0, 1] + [1] * 8)
    bench.send(a)
    await bench.expect(c, faulty=True)
    await bench.expect(a)
    assert await read("errors") == ["late", "keep"]
    # a packet of several samples is one fault where it is not allowed, and none where it is
    await bridge(registers.clear_errors)()
    await bridge(lambda: registers.control(batches=True))()
    bench.send(a + b + c)
    for words in (a, b, c):
        await bench.expect(words)
    assert await read("errors") == []
    # samples wait for START
    await bridge(lambda: registers.control(free_run=False))()
    for words in (a, b, c):
        bench.send(words)
    await bench.nothing()
    await bridge(lambda: registers.start(2))()
    await bench.expect(a)
    await bench.expect(b)
    await bench.nothing()
    assert not await read("busy") and await bridge(lambda: registers.read(registers.START))() == 0
    await bridge(registers.start)()
    await bench.expect(c)
    assert await read("cycles") == job.manifest.predicted.latency, "of an inference that begins in an idle design"
    # a soft reset in the middle of a sample
    await bridge(lambda: registers.control(free_run=True))()
    bench.source.send_nowait(bench.frame(pack(np.array(a[:3]), port.lanes, port.lane_bits)))
    await ClockCycles(dut.aclk, LONG)
    before = await read("samples")
    assert before > 0
    bench.sink.clear()
    await bridge(registers.soft_reset)()
    assert await read("samples") == 0 and await read("errors") == [] and not await read("busy")
    bench.send(b)
    await bench.expect(b)
    assert await read("samples") == 1
    # half a sample inside: nothing of it is left
    bench.source.send_nowait(bench.frame(pack(np.array(a), port.lanes, port.lane_bits)))
    await ClockCycles(dut.aclk, 3)
    await bridge(registers.soft_reset)()
    await ClockCycles(dut.aclk, LONG)
    bench.sink.clear()
    # outside of the map, and of what is written
    write, lite = resume(bench.lite.write_dword), bench.lite
    assert await lite.read_dword(0xF0) == 0
    await bridge(lambda: write(registers.ID, 1))()
    assert await lite.read_dword(registers.ID) == registers.ID_IS
    await lite.write(registers.CONTROL + 1, b"\x00")  # not the byte that has the bits
    assert await lite.read_dword(registers.CONTROL) == registers.CONTROL_FREE_RUN
    await lite.write(registers.CONTROL, b"\x02")
    assert await lite.read_dword(registers.CONTROL) == registers.CONTROL_BATCHES
    await bridge(registers.check)()
    outcome = Outcome(difference=None, starts=(), ends=(), cycles=0)
    (folder / "outcome.json").write_text(outcome.model_dump_json(), encoding="utf-8")
