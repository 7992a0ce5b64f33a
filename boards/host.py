"""The host's side of the link: samples to bytes, bytes to logits and class, over anything that carries bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from boards.board import Board
from boards.link import bytes_of
from qtt_hw.progress import Progress, silent
from rtl_gen.manifest import Manifest
from rtl_gen.words import limbs, pack, unpack

__all__ = ["Answers", "Driver", "Line"]


class Line(Protocol):
    """A serial line: a device file, or a simulated board."""

    def write(self, data: bytes) -> None:
        """Send bytes; may return before they are on the wire."""

    def read(self, count: int, seconds: float) -> bytes:
        """The next `count` bytes, or fewer when nothing more comes within the time, counted from the last one sent."""

    def send_break(self) -> None:
        """Hold the line low for longer than a character."""


@dataclass(frozen=True)
class Answers:
    """What the board said.

    Attributes
    ----------
    logits : int64 array, [samples, classes]
    classes : int64 array, [samples]
        The board's own argmax.
    words : uint32 array, [samples, words, limbs]
        Output words as they came.
    """

    logits: NDArray[np.int64]
    classes: NDArray[np.int64]
    words: NDArray[np.uint32]


class Driver:
    """Inference over a line.

    The link has no flow control, but holds what arrives while the accelerator pauses. So a sample is sent ahead of the
    answer to the one before it only where the line is slower than the accelerator.

    Parameters
    ----------
    manifest : Manifest
        Of the BUILD in the FPGA.
    board : Board
    line : Line
    clock_mhz : float, optional
        What the design was built for; the board's own when left out.
    """

    def __init__(self, manifest: Manifest, board: Board, line: Line, *, clock_mhz: float | None = None):
        self._manifest, self._line = manifest, line
        clock_hz = 1e6 * (board.clock_mhz if clock_mhz is None else clock_mhz)
        self._in_bytes, self._out_bytes = bytes_of(manifest.input.bits), bytes_of(manifest.output.bits)
        sending = 10 * self._in_bytes * manifest.input.words / board.baud
        answering = 10 * self._out_bytes * manifest.output.words / board.baud
        computing = (manifest.predicted.longest + manifest.predicted.latency) / clock_hz
        self._ahead = 1 if sending > computing + answering else 0
        self._patience = 1.0 + 2 * (sending + computing + answering)
        self._line.send_break()

    def run(self, x: NDArray, *, progress: Progress = silent) -> Answers:
        """Answers to preprocessed samples.

        Parameters
        ----------
        x : integer array, [N, D, H, W, C]
        progress : Progress
            Told how many samples are answered.

        Raises
        ------
        ValueError
            When an answer does not come, or is out of step.
        """
        output = self._manifest.output
        received = []
        for number in range(len(x) + self._ahead):
            if number < len(x):
                self._line.write(self.encode(x[number]))
            if number >= self._ahead:
                received.append(self._answer(number - self._ahead))
                progress("board", len(received), len(x))
        words = np.array(received, dtype=np.uint32).reshape(len(x), output.words, limbs(output.bits))
        values = unpack(words.reshape(-1, limbs(output.bits)), 1, output.value_bits, True).reshape(len(x), output.words)
        return Answers(values[:, :-1], values[:, -1], words)

    def encode(self, sample: NDArray) -> bytes:
        """The bytes of one sample: words in order, the low byte of each first."""
        port = self._manifest.input
        words = pack(sample, port.lanes, port.lane_bits).astype("<u4")
        return words.view(np.uint8).reshape(len(words), -1)[:, : self._in_bytes].tobytes()

    def _answer(self, number: int) -> NDArray[np.uint32]:
        """The output words of one sample, uint32 [words, limbs]."""
        output = self._manifest.output
        wanted = self._out_bytes * output.words
        data = self._line.read(wanted, self._patience)
        if len(data) != wanted:
            raise ValueError(
                f"sample {number}: {len(data)} of {wanted} bytes of the answer came within {self._patience:.1f} s; "
                "check the port, the baud rate and that this BUILD is in the FPGA"
            )
        padded = np.zeros((output.words, 4 * limbs(output.bits)), dtype=np.uint8)
        padded[:, : self._out_bytes] = np.frombuffer(data, np.uint8).reshape(output.words, self._out_bytes)
        words: NDArray[np.uint32] = padded.view("<u4").astype(np.uint32)
        last = unpack(words, 1, output.bits, False)[:, 0] >> output.value_bits
        if not np.array_equal(last, np.arange(output.words) == output.words - 1):
            raise ValueError(f"sample {number}: the answer is out of step, its words do not end where a sample ends")
        return words
