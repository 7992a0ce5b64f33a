"""Characters on a line: 8 data bits, no parity, one stop bit, least significant bit first."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["UartReceiver", "UartTransmitter"]


class UartReceiver(wiring.Component):
    """Characters from a line: `valid` for one cycle with each byte.

    The line comes through two registers against metastability. A character begins where it falls; each bit is the
    majority of the three samples about its middle, so that a glitch shorter than a cycle or two neither begins a
    character nor changes a bit. A start bit that is not low in its middle, and a stop bit that is not high, make none.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit, at least 4.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"line": In(1, init=1), "byte": Out(8), "valid": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        metastable = Signal(init=1)
        recent = Signal(3, init=0b111)  # the last three samples, the latest in bit 0
        m.d.sync += [metastable.eq(self.line), recent.eq(Cat(metastable, recent[:2]))]
        level = Signal()
        m.d.comb += level.eq((recent[0] & recent[1]) | (recent[1] & recent[2]) | (recent[0] & recent[2]))
        timer = Signal(range(self.divisor))
        left = Signal(range(11))  # samples to come: start bit, eight data bits, stop bit
        m.d.sync += [self.valid.eq(0), timer.eq(Mux(timer == 0, self.divisor - 1, timer - 1))]
        with m.If(left == 0):
            with m.If(~recent[0] & recent[1]):
                # A cycle behind the bit's middle: the majority is of the samples about it.
                m.d.sync += [left.eq(10), timer.eq(self.divisor // 2)]
        with m.Elif(timer == 0):
            m.d.sync += left.eq(left - 1)
            with m.Switch(left):
                with m.Case(10):
                    with m.If(level):
                        m.d.sync += left.eq(0)
                with m.Case(1):
                    m.d.sync += self.valid.eq(level)
                with m.Default():
                    m.d.sync += self.byte.eq(Cat(self.byte[1:], level))
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
