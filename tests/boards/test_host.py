"""The host against a device in Python: its answers over a bad line, hosts that vanish, and what is refused, in time."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from boards.channel import Channel
from boards.host import HANGS, MORE, Host
from boards.protocol import Kind, Status, request
from boards.top import build_digest
from rtl_gen.manifest import InputPort, Manifest, OutputPort, Sources
from rtl_gen.prediction import Prediction
from tests.boards.device_model import IDENTITY, Device, Line, Time

WORDS, LANES = 6, 3


def manifest(**fields: object) -> Manifest:
    whole = {
        "name": "small",
        "version": 2,
        "top": "qtt_top",
        "sources": Sources(simulation=("design.v",), ecp5=("design.v",)),
        "model": "model.qtt",
        "digest": "0" * 64,
        "input": InputPort(lanes=LANES, lane_bits=4, signed=True, words=WORDS),
        "output": OutputPort(value_bits=16, words=12),
        "plan": "plan.json",
        "predicted": Prediction(interval=9, latency=8),
    }
    return Manifest(**{**whole, **fields})  # type: ignore[arg-type]


MANIFEST = manifest()
IDENTICAL = replace(IDENTITY, build=build_digest(MANIFEST))


def compute(sample: bytes) -> bytes:
    """Eleven logits from a sample's bytes, and the class."""
    logits = [((sum(sample) * (k + 3) ** 3 + sample[k]) % 65521) - 32760 for k in range(11)]
    words = [logit & 0xFFFF for logit in logits] + [(1 << 16) | int(np.argmax(logits))]
    return b"".join(word.to_bytes(3, "little") for word in words)


def samples(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8, 8, (count, 1, 1, WORDS, LANES))


def opened(line: Line, timeout: float = 5.0, session: int = 77) -> Host:
    return Host(MANIFEST, line, where="tty", timeout=timeout, session=session, clock=line.time)


def host_of(device: Device, *, noise: float = 0.0, seed: int = 0, timeout: float = 5.0) -> Host:
    return opened(Line(device, Time(), noise=noise, seed=seed), timeout)


def board(**options: object) -> Device:
    return Device(compute, identity=IDENTICAL, **options)  # type: ignore[arg-type]


def wanted(x: np.ndarray) -> np.ndarray:
    quiet = host_of(board())
    return quiet.run(x).words


def test_answers_are_the_device_s() -> None:
    x, told = samples(3), []
    host = host_of(board())
    answers = host.run(x, progress=lambda *report: told.append(report))
    for sample, words in zip(x, answers.words, strict=True):
        bytes_ = b"".join(host.encode(sample))
        assert b"".join(int(w[0]).to_bytes(3, "little") for w in words) == compute(bytes_)
    assert (answers.classes == answers.logits.argmax(axis=1)).all() and answers.cycles.tolist() == [8, 8, 8]
    assert not answers.starved and told == [("board", done, 3) for done in (1, 2, 3)]
    assert host.repeat(1) == 8 and host.repeat(4) == 35 and host.traffic.repeated == 0


def test_words_go_low_byte_first_in_frames_of_whole_words() -> None:
    host = host_of(board())
    (payload,) = host.encode(np.array([[[[1, -1, 2], [3, 4, -8]]]]))
    assert payload == bytes([0xF1, 0x02, 0x43, 0x08])
    wide = manifest(input=InputPort(lanes=100, lane_bits=4, signed=True, words=2))
    host._manifest = wide
    assert [len(part) for part in host.encode(np.zeros((1, 1, 2, 100), int))] == [32, 18, 32, 18]


@pytest.mark.parametrize("noise", [0.01, 0.04])
def test_nothing_wrong_comes_over_a_line_that_loses_and_changes_bytes(noise: float) -> None:
    x = samples(30)
    for seed in range(3):
        host = host_of(board(), noise=noise, seed=seed, timeout=30)
        answers = host.run(x)
        assert (answers.words == wanted(x)).all() and answers.cycles.tolist() == [8] * 30
        assert host.traffic.repeated > 0 and host.traffic.broken > 0


def test_a_host_that_vanishes_leaves_nothing_to_the_next() -> None:
    device, time, x = board(), Time(), samples(6)
    for number in range(3):
        line = Line(device, time, noise=0.02, seed=number)
        host = opened(line, 30.0, 1000 + number)
        host.infer(x[number])
        host._channel.deliver([(Kind.BEGIN, bytes([0, 0])), (Kind.DATA, host.encode(x[5])[0])], "half a sample")
        stale = line.coming
        line.write(request(Kind.RESULT, 9, bytes(2), 1000 + number), 1)
        later = Line(device, time, seed=number)
        later.coming = [*stale, *line.coming]  # answers of before stand in the port
        answers = opened(later, 30.0, 2000 + number).run(x)
        assert (answers.words == wanted(x)).all()
    assert device.opened >= 6


def test_a_port_that_does_not_answer_is_given_up_in_time() -> None:
    time = Time()
    for line, reason in (
        (Line(None, time), "nothing came at all: check the port"),
        (Line(None, time), r"\d+ bytes came and no answer among them: check the baud rate"),
    ):
        if "baud" in reason:
            line.coming = [(time.now + n / 10, b"\x00\x7e\x81") for n in range(200)]
        start = time.now
        with pytest.raises(ValueError, match=f"^tty: no answer to the opening within 3 s; {reason}"):
            opened(line, 3.0)
        assert time.now - start < 4


def test_a_board_that_is_cut_off_is_given_up_in_time() -> None:
    host = host_of(board())
    line = host._channel.line
    assert isinstance(line, Line)
    host.run(samples(1))
    line.device = None
    start = line.time.now
    with pytest.raises(ValueError, match="^tty: no answer to sample 0 within 5 s; it answered before"):
        host.run(samples(1))
    assert line.time.now - start < 6


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"model": bytes([0xAB]) * 32}, "the board holds the model abababababab, not 000000000000 of small; program"),
        ({"build": b"otherone"}, "the board holds another BUILD of the model small, of another plan; program"),
        ({"in_words": 7}, "the board holds another BUILD of the model small, of another plan; program"),
        ({"protocol": 9}, "the board speaks version 9 of the link's protocol, this is version 1; build its bitstream"),
    ],
)
def test_a_board_with_something_else_is_refused(identity: dict[str, object], message: str) -> None:
    device = Device(compute, identity=replace(IDENTICAL, **identity))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"^tty: {re.escape(message)}"):
        host_of(device)


def test_an_accelerator_that_hangs_is_told_by_its_cycles() -> None:
    host = host_of(board(cycles=lambda times: None))
    with pytest.raises(ValueError, match=r"^tty: sample 0: the accelerator has not answered in \d+ cycles, 8 are"):
        host.run(samples(1))
    assert MORE + HANGS * 17 < 20_000


def test_answers_that_cannot_be_are_told() -> None:
    def contradicting(sample: bytes) -> bytes:
        words = compute(sample)
        return words[:-3] + bytes([(words[-3] + 1) % 11]) + words[-2:]

    with pytest.raises(ValueError, match=r"^tty: sample 0: the class \d+ contradicts its logits, of which \d+ is"):
        host_of(Device(contradicting, identity=IDENTICAL)).run(samples(1))
    with pytest.raises(ValueError, match="^tty: sample 0: the answer does not end where a sample ends"):
        host_of(Device(lambda s: compute(s)[3:] + compute(s)[:3], identity=IDENTICAL)).run(samples(1))

    class Misframed(Device):
        def _run(self) -> None:
            super()._run()
            self.status |= Status.MISFRAMED

    with pytest.raises(ValueError, match="^tty: sample 0: the answer does not end where a sample ends"):
        host_of(Misframed(compute, identity=IDENTICAL)).run(samples(1))


def test_repetitions_need_a_whole_sample_and_a_number_that_is_one() -> None:
    host = host_of(board())
    host.infer(samples(1)[0])
    with pytest.raises(ValueError, match="^times must be 1 to 256, got 257"):
        host.repeat(257)
    with pytest.raises(ValueError, match="does not hold a whole sample"):
        host_of(Device(compute, identity=replace(IDENTICAL, whole=False))).repeat(2)


def test_sequence_numbers_go_round() -> None:
    host, x = host_of(board(), noise=0.02, timeout=30), samples(200, 3)
    assert (host.run(x).words == wanted(x)).all() and isinstance(host._channel, Channel)


class Queue(Device):
    """A board that holds less than a sample: it has no room until its accelerator has moved so often."""

    def __init__(self, moves: int, stands: bool = False):
        super().__init__(compute, identity=replace(IDENTICAL, whole=False))
        self.moves, self.stands = moves, stands

    def _answer(self, frame: bytes) -> bytes:
        kind = frame[0]
        if kind == Kind.DATA and self.moves and self.armed:
            self.status |= Status.REFUSED
            return self._said(kind, frame[1], b"")
        if kind == Kind.RESULT and self.armed:
            self.moves -= 1
            self.clock += 0 if self.stands else 1000
            if not self.moves:
                self.status &= ~Status.REFUSED
        return super()._answer(frame)


def test_a_board_without_room_is_waited_for_as_long_as_its_accelerator_moves() -> None:
    x = samples(1)
    host = host_of(Queue(moves=4), timeout=3)
    started = host._channel.now()
    assert (host.run(x).words == wanted(x)).all()
    assert host._channel.now() - started > 9, "three times the timeout"
    with pytest.raises(ValueError, match=r"^tty: sample 0: the accelerator has taken no input within 3 s$"):
        host_of(Queue(moves=1000, stands=True), timeout=3).run(x)
