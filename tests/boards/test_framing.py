"""Frames in hardware against the protocol's bytes: every request is taken apart, every answer reads back."""

import random

from amaranth.sim import Simulator

from boards.framing import FrameReceiver, FrameTransmitter
from boards.protocol import FLAG, Frames, Kind, request

SESSION = 0x8000_7E7D


def received(data: bytes, session: int = SESSION) -> list[tuple[bool, int, int, bytes, int]]:
    """(good, kind, tag, payload, argument) of each frame in a stream of bytes."""
    receiver, found, payload = FrameReceiver(), [], bytearray()

    async def bench(ctx):
        ctx.set(receiver.session, session)
        for byte in data:
            ctx.set(receiver.i, byte)
            ctx.set(receiver.i_valid, 1)
            for _ in range(12):
                got = await ctx.tick().sample(
                    receiver.payload, receiver.byte, receiver.ended, receiver.good, receiver.kind, receiver.tag
                )
                _, _, is_payload, value, ended, good, kind, tag = got
                ctx.set(receiver.i_valid, 0)
                if is_payload:
                    payload.append(value)
                if ended:
                    found.append((bool(good), kind, tag, bytes(payload), ctx.get(receiver.argument)))
                    payload.clear()

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def test_requests_come_out_behind_whatever_was_broken() -> None:
    generator, stream, wanted = random.Random(4), b"\x03\x11noise", []
    for number in range(40):
        payload = generator.randbytes(generator.randrange(33))
        kind = generator.choice([Kind.IDENTIFY, Kind.BEGIN, Kind.DATA, Kind.RESULT])
        good = request(kind, generator.randrange(256), payload, SESSION)
        if number % 3 == 2:
            at = generator.randrange(1, len(good) - 1)
            cut = good[:at] if number % 2 else good[:at] + bytes([good[at] ^ 0x11]) + good[at + 1 :]
            stream += cut
        stream += good
        wanted.append((kind, good, payload))
    found = [frame for frame in received(stream) if frame[0]]
    assert [(kind, payload) for _, kind, _, payload, _ in found] == [(kind, payload) for kind, _, payload in wanted]


def test_opening_is_checked_alone_and_other_sessions_are_refused() -> None:
    opening = request(Kind.OPEN, 1, (0x01020304).to_bytes(4, "little"), 99)
    other = request(Kind.DATA, 2, b"abc", SESSION ^ 1)
    long = bytes([FLAG, Kind.DATA, 0, 33]) + bytes(40) + bytes([FLAG])
    found = received(opening + other + long + request(Kind.RESULT, 3, b"\x05\x01", SESSION))
    assert [frame[0] for frame in found] == [True, False, False, True]
    assert found[0][4] == 0x01020304 and found[3][4] >> 16 == 0x0105


def test_answers_read_back() -> None:
    transmitter, generator = FrameTransmitter(), random.Random(2)
    bodies = [
        bytes([0x85, 0x7E, 0x7D, 1, length]) + bytes(generator.choice([0x7E, 0x7D, 0, 0xFF]) for _ in range(length))
        for length in (0, 1, 5, 32)
    ]
    sent = bytearray()

    async def source(ctx):
        for body in bodies:
            ctx.set(transmitter.session, SESSION)
            ctx.set(transmitter.length, len(body) - 5)
            ctx.set(transmitter.start, 1)
            await ctx.tick()
            ctx.set(transmitter.start, 0)
            ctx.set(transmitter.session, 0)
            while ctx.get(transmitter.busy):
                index = ctx.get(transmitter.index)
                ctx.set(transmitter.byte, body[index] if index < len(body) else 0xEE)
                await ctx.tick()

    async def sink(ctx):
        for _ in range(130):
            await ctx.tick().repeat(11)
            ctx.set(transmitter.o.ready, 1)
            _, _, valid, byte = await ctx.tick().sample(transmitter.o.valid, transmitter.o.payload)
            ctx.set(transmitter.o.ready, 0)
            if valid:
                sent.append(byte)

    simulator = Simulator(transmitter)
    simulator.add_clock(1e-6)
    simulator.add_testbench(source)
    simulator.add_testbench(sink)
    simulator.run()
    assert Frames().take(bytes(sent), SESSION) == bodies
