"""The serial link in hardware: a host's requests in frames, a sample into the accelerator, its answer until asked for.

The device never speaks first. `docs/link.md` has the protocol byte by byte and why nothing wrong passes for right; what
follows from the states here is: the accelerator is in its reset whenever it does not run, so that each inference begins
as a simulation does; input flows without a pause where the buffer holds a whole sample, and output is always taken, so
that the counted cycles are the predicted ones.
"""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from boards.framing import FrameReceiver, FrameTransmitter
from boards.protocol import ANSWER, CLOCK_BYTES, MOST_PAYLOAD, Identity, Kind, Status, bytes_of, page_words
from boards.sample_buffer import SampleBuffer
from boards.uart import UartReceiver, UartTransmitter
from rtl_gen.families import Family
from rtl_gen.memory import Ram, Rom

__all__ = ["LEAST_SIMULATED", "Link"]

#: Clock cycles of a bit at the least; of a line that is not simulated, `boards.clock.LEAST_DIVISOR`.
LEAST_SIMULATED = 4
#: Cycles of reset between two inferences, and in which the queue before the accelerator fills.
QUIET = 31
#: Words of the identity's memory: a block RAM, so that a model's digest can be exchanged with its weights.
IDENTITY_DEPTH = 256


class Link(wiring.Component):
    """A UART on one side, the accelerator's streams on the other.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.
    identity : Identity
        With the sizes of words, sample, answer and buffer.
    family : Family
        Of the memories.

    Members
    -------
    rx, tx : line from and to the host.
    o : Out(stream)
        Words for the accelerator.
    i : In(stream)
        Words from it.
    restart : Out
        The accelerator's reset: a register.
    fault : Out
        A frame came broken in this session.
    """

    def __init__(self, *, divisor: int, identity: Identity, family: Family):
        if divisor < LEAST_SIMULATED:
            least = f"{LEAST_SIMULATED} are the least"
            raise ValueError(f"a bit of {divisor} clock cycles is too short for the link; {least}")
        self.divisor, self.identity, self.family = divisor, identity, family
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "o": Out(stream.Signature(unsigned(identity.in_bits))),
                "i": In(stream.Signature(data.StructLayout({"value": identity.out_bits - 1, "last": 1}))),
                "restart": Out(1, init=1),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        identity = self.identity
        m.submodules.uart_receiver = line = UartReceiver(self.divisor)
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.buffer = buffer = SampleBuffer(
            bits=identity.in_bits, words=identity.in_words, depth=identity.buffer_words, family=self.family
        )
        m.d.comb += [line.line.eq(self.rx), receiver.i.eq(line.byte), receiver.i_valid.eq(line.valid)]

        session, expected = Signal(32), Signal(8)
        begin, opened, refused = Signal(), Signal(), Signal()
        # Kind and tag stand long before a frame's end, and what it does may be a cycle late.
        names = ("in_turn", "is_open", "is_begin", "is_data", "ended", "good", "came")
        in_turn, is_open, is_begin, is_data, ended, good, came = (Signal(name=name) for name in names)
        m.d.sync += [
            in_turn.eq(receiver.tag == expected),
            is_open.eq(receiver.kind == Kind.OPEN),
            is_begin.eq(receiver.kind == Kind.BEGIN),
            is_data.eq(receiver.kind == Kind.DATA),
            ended.eq(receiver.ended),
            good.eq(receiver.good),
            opened.eq(receiver.ended & receiver.good & is_open),
            begin.eq(receiver.ended & receiver.good & is_begin & in_turn),
            came.eq(receiver.ended & receiver.good & is_data & in_turn),
        ]
        m.d.comb += [
            receiver.session.eq(session),
            buffer.byte.eq(receiver.byte),
            buffer.byte_valid.eq(receiver.payload & is_data & in_turn),
            buffer.commit.eq(came & buffer.sound),
            buffer.revert.eq(ended & ~buffer.commit),
        ]
        keep = receiver.argument[24]
        m.d.comb += buffer.clear.eq(opened | (begin & ~keep))
        with m.If(buffer.commit | begin):
            m.d.sync += expected.eq(expected + 1)
        with m.If(came):
            m.d.sync += refused.eq(~buffer.sound)
        with m.If(ended & ~good):
            m.d.sync += self.fault.eq(1)
        with m.If(opened):
            m.d.sync += [session.eq(receiver.argument), expected.eq(0), refused.eq(0), self.fault.eq(0)]

        status, clock, result = self._run(m, buffer, begin, opened, receiver.argument[16:24])
        m.d.comb += status[4].eq(refused)
        self._answer(m, receiver, ended, good, session, expected, status, clock, result)
        return m

    def _run(
        self, m: Module, buffer: SampleBuffer, begin: Signal, opened: Signal, again: Value
    ) -> tuple[Signal, Signal, Ram]:
        """The accelerator's states, its count of cycles, and the memory of its answer."""
        identity = self.identity
        clock, status = Signal(8 * CLOCK_BYTES), Signal(8)
        done, starved, misframed, armed = (Signal(name=name) for name in ("done", "starved", "misframed", "armed"))
        left, quiet = Signal(len(buffer.again)), Signal(range(QUIET + 1))
        m.d.comb += [status[0].eq(done), status[1].eq(~self.restart), status[2].eq(starved), status[3].eq(misframed)]
        m.submodules.result = result = Ram(max(identity.out_words, 2), identity.out_bits, self.family)

        anew = begin | opened

        # What happens at the streams, a cycle later on both sides.
        running = ~self.restart
        moved, came = Signal(), Signal()
        word = Signal(identity.out_bits)
        waited, ended = Signal(), Signal()
        m.d.comb += [
            self.o.payload.eq(buffer.o.payload.word),
            self.o.valid.eq(buffer.o.valid & running),
            buffer.o.ready.eq(self.o.ready & running),
            self.i.ready.eq(1),
        ]
        m.d.sync += [
            moved.eq(self.o.valid & self.o.ready),
            ended.eq(self.o.valid & self.o.ready & buffer.o.payload.last),
            waited.eq(self.o.ready & ~self.o.valid & running),
            came.eq(self.i.valid & running),
            word.eq(Value.cast(self.i.payload)),
        ]
        started, over = Signal(), Signal()
        index = Signal(range(identity.out_words))
        final = came & word[-1] & (left == 0)
        ends = index == identity.out_words - 1
        m.d.comb += [result.write_enable.eq(came & ~done), result.write_address.eq(index), result.write_data.eq(word)]
        with m.If((moved | started) & ~final & ~done):
            m.d.sync += clock.eq(clock + 1)
        with m.If(moved):
            m.d.sync += started.eq(1)
        with m.If(ended):
            m.d.sync += over.eq(1)
        with m.If(waited & started & ~over):
            m.d.sync += starved.eq(1)
        with m.If(came):
            m.d.sync += index.eq(Mux(ends | word[-1], 0, index + 1))
            with m.If(ends != word[-1]):
                m.d.sync += misframed.eq(1)
            with m.If(word[-1]):
                m.d.sync += left.eq(left - 1)

        with m.FSM():
            with m.State("HELD"):
                with m.If(quiet != 0):
                    m.d.sync += quiet.eq(quiet - 1)
                with m.Elif(armed & buffer.full):
                    m.d.sync += [armed.eq(0), quiet.eq(QUIET)]
                    m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += buffer.feed.eq(1)
                m.d.sync += quiet.eq(quiet - 1)
                with m.If(quiet == 0):
                    m.d.sync += [self.restart.eq(0), quiet.eq(0)]
                    m.next = "RUN"
                with m.If(anew):
                    m.next = "HELD"
            with m.State("RUN"):
                m.d.comb += buffer.feed.eq(1)
                with m.If(final):
                    m.d.sync += [done.eq(1), self.restart.eq(1), quiet.eq(QUIET)]
                with m.If(final | anew):
                    m.next = "HELD"
        again_held = Signal.like(left, name="again")
        m.d.comb += buffer.again.eq(again_held)
        with m.If(anew):
            m.d.sync += [s.eq(0) for s in (done, starved, misframed, started, over, index, clock, moved, came, ended)]
            m.d.sync += [self.restart.eq(1), quiet.eq(QUIET), armed.eq(begin), left.eq(again), again_held.eq(again)]
        return status, clock, result

    def _answer(
        self,
        m: Module,
        receiver: FrameReceiver,
        ended: Signal,
        good: Signal,
        session: Signal,
        expected: Signal,
        status: Signal,
        clock: Signal,
        result: Ram,
    ) -> None:
        """An answer to every frame; one that comes while another is sent waits, and the latest stays."""
        identity = self.identity
        m.submodules.transmitter = transmitter = FrameTransmitter()
        m.submodules.uart_transmitter = line = UartTransmitter(self.divisor)
        m.submodules.identity = rom = Rom(self._identity(), 8, self.family)
        wiring.connect(m, transmitter.o, line.i)
        m.d.comb += [self.tx.eq(line.line), transmitter.session.eq(session)]

        waits = Signal()
        waiting = [Signal(4, name="waiting_kind"), Signal(8, name="waiting_tag"), Signal(16, name="waiting_from")]
        present = [Signal.like(one, name=one.name.replace("waiting", "present")) for one in waiting]
        length, with_result = Signal(range(MOST_PAYLOAD + 1)), Signal()
        kind, tag = Mux(good, receiver.kind[:4], Kind.BROKEN), Mux(good, receiver.tag, 0)
        with m.If(transmitter.start):
            m.d.sync += [waits.eq(0), *(now.eq(one) for now, one in zip(present, waiting, strict=True))]
            m.d.sync += with_result.eq(status[0])
        with m.If(ended):
            m.d.sync += waits.eq(1)
            m.d.sync += [one.eq(value) for one, value in zip(waiting, (kind, tag, receiver.argument[16:]), strict=True)]
        m.d.comb += transmitter.start.eq(waits & ~transmitter.busy)

        # Where the next byte of a result comes from: the count of cycles, then words, byte by byte.
        width, page = bytes_of(identity.out_bits), page_words(identity.out_bits, identity.out_words)
        present_kind, present_tag, first = present
        m.d.comb += transmitter.length.eq(length)
        with m.If(present_kind == Kind.IDENTIFY):
            m.d.sync += length.eq(MOST_PAYLOAD)
        with m.Elif(present_kind == Kind.RESULT):
            m.d.sync += length.eq(Mux(with_result, CLOCK_BYTES + page * width, CLOCK_BYTES))
        with m.Else():
            m.d.sync += length.eq(0)
        number, part = Signal(len(result.address)), Signal(range(max(width, 2)))
        header, before = transmitter.HEADER, Signal.like(transmitter.index)
        m.d.sync += before.eq(transmitter.index)
        with m.If(transmitter.index == header + CLOCK_BYTES - 1):
            m.d.sync += [number.eq(first), part.eq(0)]
        with m.Elif((before != transmitter.index) & (transmitter.index != header + CLOCK_BYTES)):  # a byte further
            m.d.sync += part.eq(part + 1)
            with m.If(part == width - 1):
                m.d.sync += [part.eq(0), number.eq(number + 1)]
        place = Signal(range(MOST_PAYLOAD + 1))
        m.d.sync += place.eq((transmitter.index - header)[: len(place)])
        m.d.comb += [rom.address.eq((place + first[8:])[: len(rom.address)]), result.address.eq(number)]
        word = Cat(result.data, Const(0, 8 * width - len(result.data)))
        counted, chosen, value = (Signal(8, name=name) for name in ("counted", "chosen", "value"))
        m.d.sync += [
            counted.eq(Array([clock.word_select(k, 8) for k in range(CLOCK_BYTES)])[place[:3]]),
            chosen.eq(word.word_select(part, 8)),
        ]
        with m.If(present_kind == Kind.IDENTIFY):
            m.d.sync += value.eq(rom.data)
        with m.Elif(place < CLOCK_BYTES):
            m.d.sync += value.eq(counted)
        with m.Else():
            m.d.sync += value.eq(chosen)
        shown = Mux(with_result, status, status & ~Status.DONE)
        headers = (present_kind | ANSWER, present_tag, expected, shown, length)
        with m.Switch(transmitter.index):
            for position, one in enumerate(headers):
                with m.Case(position):
                    m.d.sync += transmitter.byte.eq(one)
            with m.Default():
                m.d.sync += transmitter.byte.eq(value)

    def _identity(self) -> list[int]:
        """The bytes of the identity's memory; the rest of it is 0."""
        found = self.identity.encoded()
        return [*found, *[0] * (IDENTITY_DEPTH - len(found))]
