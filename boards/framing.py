"""Frames of the link in hardware: a receiver that takes bytes apart, a transmitter that puts them together.

Both work on a bit a cycle: a byte on the line takes at least forty, and a CRC over single bits is one row of LUTs.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from boards.protocol import CRC_POLYNOMIAL, ESCAPE, FLAG, FLIP, MOST_PAYLOAD, Kind

__all__ = ["FrameReceiver", "FrameTransmitter"]

#: Bits of a byte.
BYTE = 8


def crc_step(state: Value, feedback: Value) -> Value:
    """The CRC's state after a bit that differs from its lowest as `feedback` says; without it, a shift."""
    return Cat(state[1:], 0) ^ Mux(feedback, Const(CRC_POLYNOMIAL, 32), 0)


class FrameReceiver(wiring.Component):
    """Requests out of bytes.

    Members
    -------
    i, i_valid : In
        Bytes of the line.
    session : In
        What the check begins from, but for OPEN.
    kind, tag : Out
        Of the frame that is received, from its payload on until the next one's begins.
    payload : Out
        High for a cycle with each byte of a payload, which is `byte`.
    argument : Out
        The last four bytes of the payload, the last one on top.
    ended, good : Out
        `ended` for a cycle behind each frame, `good` with it where it checks.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(8),
                "i_valid": In(1),
                "session": In(32),
                "kind": Out(8),
                "tag": Out(8),
                "byte": Out(8),
                "payload": Out(1),
                "argument": Out(32),
                "ended": Out(1),
                "good": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        escaped, sound = Signal(), Signal()
        crc, work = Signal(32, reset_less=True), Signal(BYTE, reset_less=True)
        left = Signal(range(BYTE + 1))
        begins, checking = Signal(), Signal()
        remaining = Signal(range(MOST_PAYLOAD + 1))
        is_flag = self.i == FLAG
        # What a byte is, a cycle later: no state hangs on comparisons of the line's bits.
        byte, taken, flag, cut = Signal(BYTE, reset_less=True), Signal(), Signal(), Signal(reset_less=True)
        m.d.sync += [
            byte.eq(self.i ^ Mux(escaped, FLIP, 0)),
            taken.eq(self.i_valid & ~is_flag & (escaped | (self.i != ESCAPE))),
            flag.eq(self.i_valid & is_flag),
            cut.eq(escaped),  # the flag came right behind an escape
        ]
        with m.If(self.i_valid):
            m.d.sync += escaped.eq(~is_flag & ~escaped & (self.i == ESCAPE))

        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), work.eq(work >> 1)]
            with m.If(checking & (work[0] == crc[0])):  # what is sent is the state's complement
                m.d.sync += sound.eq(0)
            m.d.sync += crc.eq(crc_step(crc, (crc[0] ^ work[0]) & ~checking))

        m.d.sync += [self.payload.eq(0), self.ended.eq(0), self.good.eq(0)]
        m.d.comb += self.byte.eq(work)  # as long as no bit of it has gone
        with m.If(taken):
            m.d.sync += [work.eq(byte), left.eq(BYTE)]

        def unless_cut(good: Value | int = 0) -> None:
            """In each state but the first, a flag ends the frame."""
            with m.If(flag):
                m.d.sync += [self.ended.eq(1), self.good.eq(good)]
                m.next = "KIND"

        with m.FSM():
            with m.State("KIND"):
                m.d.sync += [sound.eq(1), checking.eq(0)]
                m.d.comb += begins.eq(1)
                with m.If(taken):
                    m.d.sync += self.kind.eq(byte)
                    m.next = "TAG"
            with m.State("TAG"):
                with m.If(taken):
                    m.d.sync += self.tag.eq(byte)
                    m.next = "LENGTH"
                unless_cut()
            with m.State("LENGTH"):
                with m.If(taken):
                    m.d.sync += remaining.eq(byte[: len(remaining)])
                    with m.If(byte > MOST_PAYLOAD):
                        m.next = "BAD"
                    with m.Elif(byte == 0):
                        m.d.sync += remaining.eq(4)
                        m.next = "TO_CHECK"
                    with m.Else():
                        m.next = "PAYLOAD"
                unless_cut()
            with m.State("PAYLOAD"):
                with m.If(taken):
                    m.d.sync += [self.payload.eq(1), self.argument.eq(Cat(self.argument[8:], byte))]
                    m.d.sync += remaining.eq(remaining - 1)
                    with m.If(remaining == 1):
                        m.d.sync += remaining.eq(4)
                        m.next = "TO_CHECK"
                unless_cut()
            with m.State("TO_CHECK"):  # the last byte's bits are still on their way into the CRC
                with m.If(left == 0):
                    m.d.sync += checking.eq(1)
                    m.next = "CHECK"
                unless_cut()
            with m.State("CHECK"):
                with m.If(taken):
                    m.d.sync += remaining.eq(remaining - 1)
                    with m.If(remaining == 1):
                        m.next = "WHOLE"
                unless_cut()
            with m.State("WHOLE"):
                with m.If(taken):
                    m.next = "BAD"
                unless_cut(sound & ~cut)
            with m.State("BAD"):
                unless_cut()
        with m.If(begins & taken):
            m.d.sync += crc.eq(~(self.session & Mux(byte == Kind.OPEN, 0, ~0)))
        return m


class FrameTransmitter(wiring.Component):
    """Answers as bytes.

    A source gives `byte` of what `index` asks for: the header's five bytes, then the payload. It has eight cycles.

    Members
    -------
    start : In
        For a cycle, when `busy` is low: an answer begins.
    session : In
        What its check begins from, at `start`.
    length : In
        Of the payload, until the answer is over.
    index : Out
        Of the byte of the body that comes next.
    byte : In
        It, at the latest eight cycles after `index`.
    busy : Out
    o : Out(stream)
        Bytes for the line.
    """

    HEADER = 5

    def __init__(self) -> None:
        self.positions = self.HEADER + MOST_PAYLOAD
        super().__init__(
            {
                "start": In(1),
                "session": In(32),
                "length": In(range(MOST_PAYLOAD + 1)),
                "index": Out(range(self.positions + 1)),
                "byte": In(8),
                "busy": Out(1),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        crc, work = Signal(32, reset_less=True), Signal(BYTE, reset_less=True)
        left = Signal(range(BYTE + 1))
        left_checks = Signal(range(5))
        last, checking = Signal(), Signal()  # the byte that comes is one of the check; that of `work` was
        shown, escaped = Signal(8), Signal()
        special = Signal()
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), work.eq(work >> 1)]
            m.d.sync += crc.eq(crc_step(crc, (crc[0] ^ work[0]) & ~checking))
        # A cycle late is early enough: eight pass at each byte.
        m.d.sync += [
            last.eq(self.index == self.length + self.HEADER),
            special.eq((shown == FLAG) | (shown == ESCAPE)),
        ]
        with m.If(~self.busy):
            m.d.sync += crc.eq(~self.session)
        m.d.comb += self.busy.eq(1)
        wait = Signal(range(BYTE + 2))
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [self.index.eq(0), left_checks.eq(4), checking.eq(0)]
                with m.If(self.start):
                    m.next = "OPENING"
            with m.State("OPENING"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(FLAG)]
                with m.If(self.o.ready):
                    m.d.sync += wait.eq(BYTE + 1)
                    m.next = "FETCH"
            with m.State("FETCH"):  # meanwhile the byte before goes into the CRC
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 1):
                    m.d.sync += shown.eq(Mux(last, ~crc[:8], self.byte))
                with m.If(wait == 0):
                    m.next = "SHOW"
            with m.State("SHOW"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(Mux(special & ~escaped, ESCAPE, shown ^ Mux(special, FLIP, 0))),
                ]
                with m.If(self.o.ready):
                    with m.If(special & ~escaped):
                        m.d.sync += escaped.eq(1)
                    with m.Else():
                        m.d.sync += [escaped.eq(0), wait.eq(BYTE + 1)]
                        m.d.sync += [work.eq(shown), left.eq(BYTE), checking.eq(last)]
                        with m.If(last):
                            m.d.sync += left_checks.eq(left_checks - 1)
                        with m.Else():
                            m.d.sync += self.index.eq(self.index + 1)
                        m.next = "FETCH"
                        with m.If(last & (left_checks == 1)):
                            m.next = "CLOSING"
            with m.State("CLOSING"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(FLAG)]
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m
