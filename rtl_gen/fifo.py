"""A FIFO between two units: in LUTs when shallow, in block RAM when deep, with registers on both sides."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from rtl_gen.costs.cells import adder, counter, equals, ram
from rtl_gen.costs.streams import output_queue
from rtl_gen.delay import delay
from rtl_gen.families import Family, Resources
from rtl_gen.memory import Ram
from rtl_gen.output import OutputQueue

__all__ = ["Fifo", "fifo_latency", "fifo_resources"]

#: Words of the queue behind a block RAM: what one LUT RAM holds, and more than are on their way through the memory.
BEHIND_RAM = 16
#: Cycles from a word's acceptance to its reading, when it goes through a block RAM.
_WRITE = 2
#: Cycles from there to its data: those of a memory in banks, so that more depth is never faster.
_READ = 3


def fifo_latency(depth: int, family: Family) -> int:
    """Cycles from a word's acceptance to the first in which it can be taken."""
    return _WRITE + _READ + 2 if family.memory.uses_block(depth) else 2


def fifo_resources(depth: int, width: int, family: Family) -> Resources:
    """Resources of a FIFO of so many words: its memory, and behind a block RAM the queue that it is read into."""
    held = bits_for(depth)
    count = Resources(luts=_counted_luts(held), ffs=held + 1)
    if not family.memory.uses_block(depth):
        return family.fit.of(count + output_queue(width, depth, family))
    address, room = ceil_log2(max(depth, 2)), bits_for(BEHIND_RAM)
    wraps = 0 if depth & (depth - 1) == 0 else 2 * (equals(address) + address)
    more = Resources(
        luts=2 * counter(address) + wraps + _counted_luts(held) + _counted_luts(room),
        ffs=2 * address + 1 + width + held + 1 + room + 1 + _READ,
    )
    return family.fit.of(count + more + ram(depth, width, family, _READ) + output_queue(width, BEHIND_RAM, family))


def _counted_luts(bits: int) -> int:
    """LUTs of `_counted`: the sum, what it adds, whether several are left, and what goes on."""
    return adder(bits) + bits + equals(bits) + 4


def _counted(m: Module, count: Signal, up: Value, down: Value) -> Value:
    """Count, never below 0; whether anything will be left, found beside the sum and not behind it."""
    several = count[1:].any()
    m.d.sync += count.eq((count + Mux(up, Mux(down, 0, 1), Mux(down, -1, 0)))[: len(count)])
    return up | several | (count[0] & ~down)


class Fifo(wiring.Component):
    """Holds `depth` words in all, those in its pipeline and at its output included.

    Timing: a word accepted in cycle t stands at the output from t + `fifo_latency` on, or from the cycle after
    the word before it was taken; a word taken at t makes room for one accepted at t + 1.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
    family : Family
    """

    def __init__(self, width: int, depth: int, family: Family):
        if depth < 1:
            raise ValueError(f"a FIFO holds at least one word, not {depth}")
        self.width, self.depth, self.family = width, depth, family
        word = stream.Signature(unsigned(width))
        super().__init__({"i": In(word), "o": Out(word)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        accepted, leaves = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        room = Signal(range(self.depth + 1), init=self.depth)
        m.d.sync += self.i.ready.eq(_counted(m, room, up=leaves, down=accepted))
        deep = self.family.memory.uses_block(self.depth)
        m.submodules.queue = queue = OutputQueue(self.width, BEHIND_RAM if deep else self.depth, self.family)
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        if deep:
            self._through_memory(m, accepted, queue)
        else:
            m.d.comb += [queue.push.eq(accepted), queue.word.eq(self.i.payload)]
        return m

    def _through_memory(self, m: Module, accepted: Value, queue: OutputQueue) -> None:
        """Words are written a cycle after they are accepted, and read as soon as the queue has room for them."""
        m.submodules.memory = memory = Ram(self.depth, self.width, self.family, _READ)
        unread, room = Signal(range(self.depth + 1)), Signal(range(BEHIND_RAM + 1), init=BEHIND_RAM)
        some, fits, reads = Signal(), Signal(init=1), Signal()
        m.d.comb += [
            reads.eq(some & fits),
            queue.push.eq(delay(m, reads, _READ, "reads")),
            queue.word.eq(memory.data),
        ]
        m.d.sync += [
            memory.write_enable.eq(accepted),
            memory.write_data.eq(self.i.payload),
            some.eq(_counted(m, unread, up=memory.write_enable, down=reads)),
            fits.eq(_counted(m, room, up=queue.freed, down=reads)),
        ]
        for enable, address in ((memory.write_enable, memory.write_address), (reads, memory.address)):
            with m.If(enable):
                m.d.sync += address.eq(Mux(address == self.depth - 1, 0, address + 1))
