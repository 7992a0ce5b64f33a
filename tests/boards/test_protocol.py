"""Frames as bytes: what is framed comes out, whatever is between; other sessions and broken frames do not."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.protocol import ESCAPE, FLAG, Answer, Frames, Identity, Kind, Status, check_of, frame, request

BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
SESSIONS = st.integers(1, (1 << 32) - 1)


@given(bodies=BODIES, session=SESSIONS, cuts=st.lists(st.integers(1, 9), min_size=1))
def test_bodies_come_out_however_the_stream_is_cut(bodies: list[bytes], session: int, cuts: list[int]) -> None:
    stream, frames, found = b"".join(frame(body, session) for body in bodies), Frames(), []
    while stream:
        size = cuts[len(found) % len(cuts)]
        found += frames.take(stream[:size], session)
        stream = stream[size:]
    assert found == bodies and frames.broken == 0


@given(body=st.binary(max_size=40), noise=st.binary(max_size=80), session=SESSIONS)
def test_a_frame_behind_any_noise_comes_out(body: bytes, noise: bytes, session: int) -> None:
    assert Frames().take(noise + frame(body, session), session)[-1:] == [body]


@given(body=st.binary(max_size=40), one=SESSIONS, other=SESSIONS)
def test_no_frame_of_a_session_is_one_of_another(body: bytes, one: int, other: int) -> None:
    assert (Frames().take(frame(body, one), other) == [body]) == (one == other)
    assert check_of(body, 0) == zlib.crc32(body).to_bytes(4, "little")


def test_broken_frames_do_not_come_out() -> None:
    """A changed byte is always found, by the burst it makes; more of them, and lost ones, but for one in 2^32."""
    generator = random.Random(1)
    whole = request(Kind.DATA, 7, bytes(range(100, 132)), 0xDEADBEEF)
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(generator.randrange(1, 4)):
            at = generator.randrange(len(data))
            if generator.random() < 0.5:
                data[at] ^= generator.randrange(1, 256)
            else:
                del data[at]
        if FLAG not in data[1:-1] and bytes(data).strip(bytes([FLAG])) == whole.strip(bytes([FLAG])):
            continue  # nothing but a flag was lost, and another ended it
        assert bytes(data) == whole or not any(
            body[:1] == bytes([Kind.DATA]) for body in Frames().take(bytes([FLAG]) + data + bytes([FLAG]), 0xDEADBEEF)
        )


def test_noise_without_end_is_not_kept() -> None:
    frames = Frames()
    for _ in range(100):
        frames.take(bytes(1000), 1)
    assert len(frames._held) < 1000


def test_the_bytes_of_a_frame() -> None:
    begun = bytes([FLAG, 3, ESCAPE, 0x5E, 2, ESCAPE, 0x5D, 1])
    assert request(Kind.BEGIN, FLAG, bytes([ESCAPE, 1]), 5).startswith(begun)
    with pytest.raises(ValueError, match="32 bytes at most, not 33"):
        request(Kind.DATA, 0, bytes(33), 1)
    answer = Answer(Kind.RESULT, 9, 10, Status.DONE | Status.STARVED, b"abc")
    body = Frames().take(answer.encoded(3), 3)[0]
    assert body == bytes([0x85, 9, 10, 5, 3]) + b"abc" and Answer.decoded(body) == answer
    assert Answer.decoded(request(Kind.DATA, 1, b"x", 3)[1:-5]) is None, "a host's own frame, echoed"
    assert Answer.decoded(body + b"d") is None and Answer.decoded(b"") is None


def test_an_identity_reads_back() -> None:
    identity = Identity(False, 4096, 1 << 30, 64, 1 << 20, 256, 123_456, bytes(range(8)), bytes(range(32)))
    assert len(identity.encoded()) == 64 and Identity.decoded(identity.encoded()) == identity
