"""A device behind a line, by the protocol's page alone and in Python: what hosts are tested against quickly."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from boards.protocol import (
    CLOCK_BYTES,
    FLAG,
    MOST_PAYLOAD,
    Answer,
    Identity,
    Kind,
    Status,
    bytes_of,
    check_of,
    page_words,
)

IDENTITY = Identity(
    whole=True,
    in_bits=12,
    in_words=6,
    out_bits=17,
    out_words=12,
    buffer_words=6,
    clock_khz=100_000,
    build=bytes(8),
    model=bytes(32),
)


class Device:
    """A board: bytes in, bytes out.

    Parameters
    ----------
    identity : Identity
    compute : callable
        From the bytes of a sample to those of its output words.
    cycles : callable
        Of so many repetitions; None while the accelerator hangs.
    """

    def __init__(
        self,
        compute: Callable[[bytes], bytes],
        cycles: Callable[[int], int | None] = lambda times: 8 + 9 * (times - 1),
        identity: Identity = IDENTITY,
    ):
        self.identity, self.compute, self.cycles = identity, compute, cycles
        self.session, self.expected = 0, 0
        self.sample, self.result, self.clock, self.again, self.armed = b"", b"", 0, 0, False
        self.status = Status(0)
        self.held = bytearray()
        self.opened = 0

    def take(self, data: bytes) -> bytes:
        """What the device says to some bytes."""
        said = b""
        for byte in data:
            if byte != FLAG:
                self.held.append(byte)
            elif self.held:
                said += self._answer(_unstuffed(bytes(self.held)))
                self.held.clear()
        return said

    def _answer(self, frame: bytes) -> bytes:
        body = frame[:-4]
        session = 0 if body[:1] == bytes([Kind.OPEN]) else self.session
        good = len(body) >= 3 and check_of(body, session) == frame[-4:] and body[2] == len(body) - 3 <= MOST_PAYLOAD
        if not good:
            return self._said(Kind.BROKEN, 0, b"")
        kind, tag, payload = body[0], body[1], body[3:]
        if kind == Kind.OPEN:
            self.session, self.expected = int.from_bytes(payload, "little"), 0
            self.sample, self.status, self.armed, self.clock = b"", Status(0), False, 0
            self.opened += 1
        elif kind == Kind.IDENTIFY:
            return self._said(kind, tag, self.identity.encoded()[payload[0] : payload[0] + MOST_PAYLOAD])
        elif kind == Kind.BEGIN and tag == self.expected:
            self.expected = (self.expected + 1) % 256
            self.again, self.status, self.armed, self.clock = payload[0], Status(0), True, 0
            if not payload[1] & 1:
                self.sample = b""
            self._run()
        elif kind == Kind.DATA and tag == self.expected:
            whole = bytes_of(self.identity.in_bits) * self.identity.in_words
            if len(self.sample) + len(payload) > whole:
                self.status |= Status.REFUSED
            else:
                self.expected = (self.expected + 1) % 256
                self.sample += payload
                self._run()
        elif kind == Kind.RESULT:
            width, out = bytes_of(self.identity.out_bits), self.identity.out_words
            first, page = int.from_bytes(payload, "little"), page_words(self.identity.out_bits, out)
            words = self.result[first * width :][: page * width].ljust(page * width, b"\0")
            clock = self.clock.to_bytes(CLOCK_BYTES, "little")
            if self.status & Status.RUNNING:
                self.clock += 5000
            return self._said(kind, tag, clock + (words if self.status & Status.DONE else b""))
        return self._said(kind, tag, b"")

    def _run(self) -> None:
        whole = bytes_of(self.identity.in_bits) * self.identity.in_words
        if self.armed and len(self.sample) == whole:
            self.armed, cycles = False, self.cycles(self.again + 1)
            if cycles is None:
                self.status |= Status.RUNNING
            else:
                self.result, self.clock = self.compute(self.sample), cycles
                self.status |= Status.DONE

    def _said(self, kind: int, tag: int, payload: bytes) -> bytes:
        return Answer(kind, tag, self.expected, self.status, payload).encoded(self.session)


def _unstuffed(data: bytes) -> bytes:
    found, flip = bytearray(), 0
    for byte in data:
        if byte == 0x7D and not flip:
            flip = 0x20
        else:
            found.append(byte ^ flip)
            flip = 0
    return bytes(found)


class Time:
    """Seconds that pass only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Line:
    """A line to a device on which bytes change and get lost; what the device says comes after `delay` seconds."""

    def __init__(self, device: Device | None, time: Time, *, noise: float = 0.0, seed: int = 0, delay: float = 0.001):
        self.device, self.time, self.noise, self.delay = device, time, noise, delay
        self.random = random.Random(seed)
        self.coming: list[tuple[float, bytes]] = []
        self.sent = b""

    def write(self, data: bytes, seconds: float) -> None:
        self.sent += data
        if self.device is not None and (said := self.noisy(self.device.take(self.noisy(data)))):
            self.coming.append((self.time.now + self.delay, said))

    def read(self, seconds: float) -> bytes:
        until = self.time.now + max(seconds, 0)
        if not self.coming or self.coming[0][0] > until:
            self.time.now = until
            return b""
        when, data = self.coming.pop(0)
        self.time.now = max(self.time.now, when)
        return data

    def noisy(self, data: bytes) -> bytes:
        if not self.noise:
            return data
        kept = [byte for byte in data if self.random.random() >= self.noise]
        return bytes(b ^ self.random.randrange(1, 256) if self.random.random() < self.noise else b for b in kept)


def of(identity: Identity, **fields: object) -> Identity:
    """The identity with other fields."""
    return replace(identity, **fields)  # type: ignore[arg-type]
