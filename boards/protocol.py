"""The link's protocol: frames as bytes, and what their fields mean; one definition for device and host.

`docs/link.md` says what is guaranteed and why. A frame is FLAG, body, check, FLAG; in body and check the bytes FLAG and
ESCAPE are sent as ESCAPE and the byte with bit 5 flipped, so that a FLAG on the line always ends a frame. The check is
the body's CRC-32 begun from the session's number, which is not sent: four bytes, low byte first.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag

__all__ = [
    "ANSWER",
    "CLOCK_BYTES",
    "CRC_POLYNOMIAL",
    "ESCAPE",
    "FLAG",
    "FLIP",
    "IDENTITY_BYTES",
    "MOST_PAYLOAD",
    "PROTOCOL",
    "Answer",
    "Frames",
    "Identity",
    "Kind",
    "Status",
    "bytes_of",
    "check_of",
    "frame",
    "page_words",
    "request",
]

#: Version of the protocol.
PROTOCOL = 1
#: Begins and ends every frame.
FLAG = 0x7E
#: Stands before a byte of which `FLIP` is flipped.
ESCAPE = 0x7D
FLIP = 0x20
#: Bytes that a frame may carry.
MOST_PAYLOAD = 32
#: Set in the kind of what the device says.
ANSWER = 0x80
#: That of Ethernet and zlib, bits reversed.
CRC_POLYNOMIAL = 0xEDB88320
#: Bytes of a count of cycles.
CLOCK_BYTES = 5
#: Bytes of what a device says of itself; two payloads.
IDENTITY_BYTES = 64


class Kind(IntEnum):
    """Of a frame; the device's answer has the request's with `ANSWER`."""

    BROKEN = 0  # the device's alone: a frame came that does not check
    OPEN = 1  # payload: the new session's number, 4 bytes
    IDENTIFY = 2  # payload: from which byte of the identity on
    BEGIN = 3  # payload: repetitions less one, and 1 to keep the sample that is there
    DATA = 4  # payload: whole words of the sample
    RESULT = 5  # payload: from which output word on, 2 bytes


class Status(IntFlag):
    """Of the device, in every answer."""

    DONE = 1  # the result of the last BEGIN is there
    RUNNING = 2  # the accelerator is out of its reset
    STARVED = 4  # it waited for input since the last BEGIN: its cycles are not the predicted ones
    MISFRAMED = 8  # its output did not end where a sample ends
    REFUSED = 16  # the last frame in sequence found no room


def bytes_of(bits: int) -> int:
    """Bytes that a word of this many bits takes."""
    return -(-bits // 8)


def page_words(out_bits: int, words: int) -> int:
    """Output words in an answer to RESULT, behind the count of cycles."""
    return min((MOST_PAYLOAD - CLOCK_BYTES) // bytes_of(out_bits), words)


def check_of(body: bytes, session: int) -> bytes:
    """Of the same body another one in every session: each of a CRC's steps maps states one to one."""
    return zlib.crc32(body, session).to_bytes(4, "little")


def frame(body: bytes, session: int) -> bytes:
    """A body as it goes over the line."""
    stuffed = bytearray([FLAG])
    for byte in body + check_of(body, session):
        stuffed += bytes([ESCAPE, byte ^ FLIP]) if byte in (FLAG, ESCAPE) else bytes([byte])
    return bytes(stuffed) + bytes([FLAG])


def request(kind: Kind, tag: int, payload: bytes, session: int) -> bytes:
    """The host's frame; `tag` is the sequence number of BEGIN and DATA, and what the answer repeats.

    OPEN is checked in session 0, which no host has.
    """
    if len(payload) > MOST_PAYLOAD:
        raise ValueError(f"a frame carries {MOST_PAYLOAD} bytes at most, not {len(payload)}")
    return frame(bytes([kind, tag, len(payload)]) + payload, 0 if kind == Kind.OPEN else session)


@dataclass(frozen=True)
class Answer:
    """The device's frame.

    Attributes
    ----------
    kind : int
        Of the request.
    tag : int
        The request's.
    next : int
        The sequence number that the device waits for: all before it have been accepted.
    status : Status
    payload : bytes
    """

    kind: int
    tag: int
    next: int
    status: Status
    payload: bytes

    def encoded(self, session: int) -> bytes:
        """As it goes over the line; for models of a device."""
        header = bytes([self.kind | ANSWER, self.tag, self.next, self.status, len(self.payload)])
        return frame(header + self.payload, session)

    @classmethod
    def decoded(cls, body: bytes) -> Answer | None:
        """Of a body that checks; None where it is not an answer."""
        if len(body) < 5 or not body[0] & ANSWER or body[4] != len(body) - 5 or body[4] > MOST_PAYLOAD:
            return None
        return cls(body[0] & ~ANSWER, body[1], body[2], Status(body[3]), body[5:])


class Frames:
    """Bodies out of a stream of bytes, however it is cut, whatever stands between them."""

    def __init__(self) -> None:
        self._held = bytearray()
        #: Frames that did not check since the start.
        self.broken = 0

    def take(self, data: bytes, session: int) -> list[bytes]:
        """The bodies that are whole with these bytes, and check in the session."""
        found = []
        *whole, rest = bytes(self._held + data).split(bytes([FLAG]))
        for part in whole:
            if part:
                body = _unstuffed(part)
                if body is None or len(body) < 4 or check_of(body[:-4], session) != body[-4:]:
                    self.broken += 1
                else:
                    found.append(body[:-4])
        self._held = bytearray(rest[-4 * MOST_PAYLOAD :])  # noise without end is not kept
        return found


def _unstuffed(part: bytes) -> bytes | None:
    """What stands between two flags; None where it ends in an escape."""
    found, escaped = bytearray(), False
    for byte in part:
        if byte == ESCAPE and not escaped:
            escaped = True
        else:
            found.append(byte ^ FLIP if escaped else byte)
            escaped = False
    return None if escaped else bytes(found)


@dataclass(frozen=True)
class Identity:
    """What a device says of itself.

    Attributes
    ----------
    whole : bool
        It holds a whole sample before it starts; so cycles are the predicted ones.
    in_bits, in_words, out_bits, out_words : int
        Of the words of a sample, and of its answer.
    buffer_words : int
        Input words that it holds.
    clock_khz : int
    build, model : bytes
        Digests: 8 bytes of the BUILD's, and the model's 32.
    protocol : int
    """

    whole: bool
    in_bits: int
    in_words: int
    out_bits: int
    out_words: int
    buffer_words: int
    clock_khz: int
    build: bytes
    model: bytes
    protocol: int = PROTOCOL

    def encoded(self) -> bytes:
        numbers = (
            *((self.protocol, 1), (int(self.whole), 1), (self.in_bits, 2), (self.in_words, 4), (self.out_bits, 2)),
            *((self.out_words, 4), (self.buffer_words, 4), (self.clock_khz, 4)),
        )
        head = b"".join(number.to_bytes(size, "little") for number, size in numbers)
        return head.ljust(24, b"\0") + self.build + self.model

    @classmethod
    def decoded(cls, data: bytes) -> Identity:
        def number(first: int, size: int) -> int:
            return int.from_bytes(data[first : first + size], "little")

        return cls(
            protocol=data[0],
            whole=bool(data[1]),
            in_bits=number(2, 2),
            in_words=number(4, 4),
            out_bits=number(8, 2),
            out_words=number(10, 4),
            buffer_words=number(14, 4),
            clock_khz=number(18, 4),
            build=data[24:32],
            model=data[32:64],
        )
