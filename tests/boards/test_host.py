"""The host driver on a line that keeps a record."""

import numpy as np
import pytest

import boards
from boards.host import Driver
from rtl_gen.manifest import InputPort, Manifest, OutputPort, Sources
from rtl_gen.prediction import Prediction


def manifest(interval: int = 100, lanes: int = 3) -> Manifest:
    return Manifest(
        name="small",
        version=1,
        top="qtt_top",
        sources=Sources(simulation=("design.v",), ecp5=("design.v",)),
        model="model.qtt",
        digest="0" * 64,
        input=InputPort(lanes=lanes, lane_bits=4, signed=True, words=2),
        output=OutputPort(value_bits=16, words=3),
        plan="plan.json",
        predicted=Prediction(interval=interval, latency=interval),
    )


class Recorder:
    """A line that answers every sample with the same bytes."""

    def __init__(self, answer: bytes):
        self.answer = answer
        self.events: list[str] = []
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.events.append("write")
        self.sent += data

    def read(self, count: int, seconds: float) -> bytes:
        self.events.append("read")
        assert count == len(self.answer) or len(self.answer) < 9
        return self.answer

    def send_break(self) -> None:
        self.events.append("break")


ANSWER = bytes([0xFE, 0xFF, 0x00, 0x05, 0x00, 0x00, 0x01, 0x00, 0x01])


def test_words_go_low_byte_first_and_come_back_as_logits_and_class() -> None:
    line = Recorder(ANSWER)
    x = np.array([[[[[1, -1, 2], [3, 4, -8]]]]])
    answers = Driver(manifest(), boards.load("ulx3s-85f"), line).run(x)
    assert line.sent == bytes([0xF1, 0x02, 0x43, 0x08])
    assert line.events == ["break", "write", "read"]
    assert answers.logits.tolist() == [[-2, 5]] and answers.classes.tolist() == [1]


def test_a_sample_is_sent_ahead_only_where_the_line_is_the_slower_side() -> None:
    x = np.zeros((3, 1, 1, 2, 3), int)
    board = boards.load("ulx3s-85f")
    slow = Recorder(ANSWER)
    Driver(manifest(interval=10_000), board, slow).run(x)
    assert slow.events == ["break", *["write", "read"] * 3]
    wide = manifest(interval=100)
    wide = wide.model_copy(update={"input": wide.input.model_copy(update={"words": 200})})
    fast = Recorder(ANSWER)
    Driver(wide, board, fast).run(np.zeros((3, 1, 1, 200, 3), int))
    assert fast.events == ["break", "write", "write", "read", "write", "read", "read"]


def test_answers_that_are_short_or_out_of_step_are_told() -> None:
    x = np.zeros((1, 1, 1, 2, 3), int)
    board = boards.load("ulx3s-85f")
    with pytest.raises(ValueError, match=r"^sample 0: 4 of 9 bytes of the answer came within"):
        Driver(manifest(), board, Recorder(ANSWER[:4])).run(x)
    with pytest.raises(ValueError, match=r"^sample 0: the answer is out of step"):
        Driver(manifest(), board, Recorder(ANSWER[3:] + ANSWER[:3])).run(x)
