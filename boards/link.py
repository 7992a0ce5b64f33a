"""The serial link: bytes from the host become input words, output words become bytes.

8 data bits, no parity, one stop bit, least significant bit first. A word takes ceil(bits / 8) bytes, low byte first;
nothing frames them. The host resets link and design by a break: the line held low for `BREAK_BITS` bit times. The
receiver has a queue, since the design may pause its input while it computes; a byte that finds it full is lost and
sets `overrun` until the next break.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from boards.clock import LEAST_DIVISOR
from rtl_gen.families import Family
from rtl_gen.fifo import Fifo
from rtl_gen.host_queue import queue_bits

__all__ = ["BREAK_BITS", "Link", "UartReceiver", "UartTransmitter", "bytes_of"]

#: Bit times of low level that make a break; a character has at most nine.
BREAK_BITS = 16


def bytes_of(bits: int) -> int:
    """Bytes that a word of this many bits takes on the line."""
    return -(-bits // 8)


class UartReceiver(wiring.Component):
    """Characters from a line: `valid` for one cycle with each byte; `pause` while the line is held in a break.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"line": In(1, init=1), "byte": Out(8), "valid": Out(1), "pause": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        metastable, line = Signal(init=1), Signal(init=1)
        m.d.sync += [metastable.eq(self.line), line.eq(metastable)]
        timer = Signal(range(self.divisor))
        left = Signal(range(11))  # samples to come: start bit, eight data bits, stop bit
        low = Signal(range(BREAK_BITS * self.divisor + 1))
        m.d.comb += self.pause.eq(low == BREAK_BITS * self.divisor)
        with m.If(line):
            m.d.sync += low.eq(0)
        with m.Elif(~self.pause):
            m.d.sync += low.eq(low + 1)

        m.d.sync += [self.valid.eq(0), timer.eq(Mux(timer == 0, self.divisor - 1, timer - 1))]
        with m.If(self.pause):
            m.d.sync += left.eq(0)
        with m.Elif(left == 0):
            with m.If(~line):
                m.d.sync += [left.eq(10), timer.eq(self.divisor // 2 - 1)]
        with m.Elif(timer == 0):
            m.d.sync += left.eq(left - 1)
            with m.Switch(left):
                with m.Case(10):
                    with m.If(line):  # a glitch, not a start bit
                        m.d.sync += left.eq(0)
                with m.Case(1):
                    m.d.sync += self.valid.eq(line)
                with m.Default():
                    m.d.sync += self.byte.eq(Cat(self.byte[1:], line))
        return m


class UartTransmitter(wiring.Component):
    """A byte stream to a line, idle high."""

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "line": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer = Signal(range(self.divisor))
        bits = Signal(9, init=0x1FF)
        left = Signal(range(11))
        m.d.comb += self.i.ready.eq(left == 0)
        with m.If(left == 0):
            with m.If(self.i.valid):
                m.d.sync += [self.line.eq(0), bits.eq(Cat(self.i.payload, 1)), left.eq(10), timer.eq(self.divisor - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self.divisor - 1), left.eq(left - 1), self.line.eq(bits[0])]
            m.d.sync += bits.eq(Cat(bits[1:], 1))
        return m


class Link(wiring.Component):
    """A UART on one side, the accelerator's streams on the other.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit, at least 8.
    in_bits, out_bits : int
        Widths of the accelerator's input and output words.
    queue : int
        Bytes that the receiver holds while the accelerator pauses.
    family : Family
        Of the queue's memory.

    Members
    -------
    rx, tx : line from and to the host.
    o : Out(stream)
        Words for the accelerator.
    i : In(stream)
        Words from it.
    restart : Out
        High during a break; resets the accelerator and the link.
    overrun : Out
        A byte was lost since the last break.
    """

    def __init__(self, *, divisor: int, in_bits: int, out_bits: int, queue: int, family: Family):
        if divisor < LEAST_DIVISOR:
            least = f"{LEAST_DIVISOR} are the least"
            raise ValueError(f"a bit of {divisor} clock cycles is too short for the link; {least}")
        self.divisor, self.in_bits, self.out_bits, self.queue, self.family = divisor, in_bits, out_bits, queue, family
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "o": Out(stream.Signature(unsigned(in_bits))),
                "i": In(stream.Signature(unsigned(out_bits))),
                "restart": Out(1),
                "overrun": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.d.comb += receiver.line.eq(self.rx)
        m.d.sync += self.restart.eq(receiver.pause)  # a register: what it resets lies all over the device
        # Everything but the receiver, which must see the break's end, starts anew.
        m.submodules.inner = ResetInserter(self.restart)(self._inner(receiver))
        return m

    def _inner(self, receiver: UartReceiver) -> Module:
        m = Module()
        m.submodules.queue = queue = Fifo(queue_bits(self.in_bits), self.queue, self.family)
        m.d.comb += [queue.i.payload.eq(receiver.byte), queue.i.valid.eq(receiver.valid)]
        with m.If(receiver.valid & ~queue.i.ready):
            m.d.sync += self.overrun.eq(1)

        # Bytes to a word, low byte first.
        count = bytes_of(self.in_bits)
        gathered, filled = Signal(8 * count), Signal(range(count + 1))
        m.d.comb += [
            self.o.payload.eq(gathered),
            self.o.valid.eq(filled == count),
            queue.o.ready.eq(filled != count),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += filled.eq(0)
        with m.If(queue.o.valid & queue.o.ready):
            byte = queue.o.payload | Const(0, 8)
            m.d.sync += [gathered.eq(Cat(gathered[8:], byte)), filled.eq(filled + 1)]

        # A word to bytes.
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        left = bytes_of(self.out_bits)
        held, remaining = Signal(8 * left), Signal(range(left + 1))
        m.d.comb += [
            self.tx.eq(transmitter.line),
            self.i.ready.eq(remaining == 0),
            transmitter.i.payload.eq(held[:8]),
            transmitter.i.valid.eq(remaining != 0),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [held.eq(self.i.payload), remaining.eq(left)]
        with m.If(transmitter.i.valid & transmitter.i.ready):
            m.d.sync += [held.eq(held >> 8), remaining.eq(remaining - 1)]
        return m
