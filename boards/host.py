"""The host's side of a board: samples go to the accelerator, logits, class and counted cycles come back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boards.channel import Channel, Line, Traffic
from boards.protocol import (
    CLOCK_BYTES,
    IDENTITY_BYTES,
    MOST_PAYLOAD,
    PROTOCOL,
    Answer,
    Identity,
    Kind,
    Status,
    bytes_of,
    page_words,
)
from boards.sample_buffer import piece_bytes
from boards.serial_line import SerialLine
from boards.top import build_digest
from qtt_hw.progress import Progress, silent
from rtl_gen.manifest import Manifest
from rtl_gen.words import limbs, pack, unpack

__all__ = ["MOST_REPEATS", "TIMEOUT", "Answers", "Host"]

#: Seconds without any progress after which a board is given up.
TIMEOUT = 10.0
#: How often a sample may be fed without being sent again.
MOST_REPEATS = 256
#: An accelerator that takes so many times its predicted cycles, and these more, hangs.
HANGS, MORE = 4, 10_000


@dataclass(frozen=True)
class Answers:
    """What a board said.

    Attributes
    ----------
    logits : int64 array, [samples, classes]
    classes : int64 array, [samples]
        The board's own argmax, which is that of its logits.
    cycles : int64 array, [samples]
        Counted from the first input word to the last output word.
    starved : bool
        In some inference the accelerator waited for the line: its cycles are then more than those predicted.
    words : uint32 array, [samples, words, limbs]
        Output words as they came.
    """

    logits: NDArray[np.int64]
    classes: NDArray[np.int64]
    cycles: NDArray[np.int64]
    starved: bool
    words: NDArray[np.uint32]


class Host:
    """A session with a board; the board forgets whatever it had of an earlier one.

    Parameters
    ----------
    manifest : Manifest
        Of the BUILD that the board should hold.
    line : Line
    where : str
        The port, for messages.
    timeout : float
        Seconds without any progress after which a call fails.
    session : int, optional
        1 to 2^32 - 1; drawn at random unless given.
    clock : callable
        Of seconds.

    Raises
    ------
    ValueError
        When no board answers, or it holds something else.
    """

    def __init__(
        self,
        manifest: Manifest,
        line: Line,
        *,
        where: str = "the board",
        timeout: float = TIMEOUT,
        session: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._manifest, self._where = manifest, where
        session = 1 + secrets.randbelow((1 << 32) - 1) if session is None else session
        self._channel = channel = Channel(line, session, where, timeout, clock)
        channel.ask(Kind.OPEN, session.to_bytes(4, "little"), "the opening")
        parts = [
            self._payload(channel.ask(Kind.IDENTIFY, bytes([first]), "who it is"), MOST_PAYLOAD)
            for first in range(0, IDENTITY_BYTES, MOST_PAYLOAD)
        ]
        #: What the board says of itself.
        self.identity = Identity.decoded(b"".join(parts))
        self._check()

    @classmethod
    @contextmanager
    def at(cls, build: Path | str, port: str, baud: int, *, timeout: float = TIMEOUT) -> Iterator[Host]:
        """A session with the board at a serial port, while the block runs."""
        manifest = Manifest.load(Path(build))
        with SerialLine(port, baud) as line:
            yield cls(manifest, line, where=port, timeout=timeout)

    @property
    def traffic(self) -> Traffic:
        """What went over the line so far."""
        return self._channel.traffic

    def run(self, x: NDArray, *, progress: Progress = silent) -> Answers:
        """Answers to preprocessed samples, one after the other.

        Parameters
        ----------
        x : integer array, [N, D, H, W, C]
        progress : Progress
            Told how many samples are answered.

        Raises
        ------
        ValueError
            When the board does not answer within the timeout, its accelerator does not end, or an answer is not sound.
        """
        output = self._manifest.output
        words = np.zeros((len(x), output.words, limbs(output.bits)), dtype=np.uint32)
        cycles, starved = np.zeros(len(x), dtype=np.int64), False
        for number, sample in enumerate(x):
            words[number], cycles[number], waited = self.infer(sample, f"sample {number}")
            starved |= waited
            progress("board", number + 1, len(x))
        values = unpack(words.reshape(-1, words.shape[-1]), 1, output.value_bits, True).reshape(len(x), output.words)
        return Answers(values[:, :-1], values[:, -1], cycles, starved, words)

    def infer(self, sample: NDArray, what: str = "a sample") -> tuple[NDArray[np.uint32], int, bool]:
        """Output words, cycles, and whether the accelerator waited for the line, of one sample."""
        begin = (Kind.BEGIN, bytes([0, 0]))
        before = -1

        def moved() -> bool:
            nonlocal before
            last, before = before, self._cycles(self._channel.ask(Kind.RESULT, bytes([0, 0]), what))
            return before != last

        self._channel.deliver([begin, *((Kind.DATA, part) for part in self.encode(sample))], what, moved)
        answer, cycles = self._finished(1, what)
        return self._words(answer, cycles, what), cycles, bool(answer.status & Status.STARVED)

    def repeat(self, times: int) -> int:
        """Cycles until the last sample, fed so often back to back from a reset, has come out for the last time.

        Raises
        ------
        ValueError
            When the board does not hold a whole sample.
        """
        if not self.identity.whole:
            raise ValueError(f"{self._where}: the board does not hold a whole sample, and cannot feed it again")
        if not 1 <= times <= MOST_REPEATS:
            raise ValueError(f"times must be 1 to {MOST_REPEATS}, got {times}")
        what = f"{times} repetitions"
        self._channel.deliver([(Kind.BEGIN, bytes([times - 1, 1]))], what)
        return self._finished(times, what)[1]

    def encode(self, sample: NDArray) -> list[bytes]:
        """The payloads of one sample: whole words in order, the low byte of each first."""
        port = self._manifest.input
        words = pack(sample, port.lanes, port.lane_bits).astype("<u4")
        width = bytes_of(port.bits)
        data = words.view(np.uint8).reshape(len(words), -1)[:, :width].tobytes()
        pieces = piece_bytes(port.bits)
        if len(pieces) == 1:
            step = MOST_PAYLOAD // width * width
            return [data[first : first + step] for first in range(0, len(data), step)]
        starts = [number * width + MOST_PAYLOAD * piece for number in range(len(words)) for piece in range(len(pieces))]
        return [data[first : first + pieces[i % len(pieces)]] for i, first in enumerate(starts)]

    def _finished(self, times: int, what: str) -> tuple[Answer, int]:
        """The answer that the accelerator is done, and its count of cycles."""
        predicted = self._manifest.predicted
        most = HANGS * (predicted.latency + times * predicted.longest) + MORE
        first: int | None = None
        progressed, pause, before = self._channel.now(), 0.0, -1
        while True:
            answer = self._channel.ask(Kind.RESULT, bytes([0, 0]), what)
            if answer.next != self._channel.next:
                raise ValueError(f"{self._where}: {what}: the board does not have what was sent; it was reset")
            cycles = self._cycles(answer)
            if answer.status & Status.MISFRAMED:
                raise ValueError(f"{self._where}: {what}: the answer does not end where a sample ends")
            if answer.status & Status.DONE:
                return answer, cycles
            first = cycles if first is None else first
            if cycles - first > most:
                raise ValueError(
                    f"{self._where}: {what}: the accelerator has not answered in {cycles} cycles, "
                    f"{predicted.latency} are predicted"
                )
            if cycles != before:
                progressed, before = self._channel.now(), cycles
            if self._channel.now() - progressed > self._channel.timeout:
                raise ValueError(
                    f"{self._where}: {what}: the accelerator has not moved within {self._channel.timeout:g} s"
                )
            pause = min(1.5 * pause + 0.0002, 0.05)
            self._channel.wait(pause)

    @staticmethod
    def _cycles(answer: Answer) -> int:
        """The count in an answer to RESULT."""
        return int.from_bytes(answer.payload[:CLOCK_BYTES], "little")

    def _words(self, answer: Answer, cycles: int, what: str) -> NDArray[np.uint32]:
        """The output words of a sample whose first page has come, uint32 [words, limbs]."""
        output = self._manifest.output
        width, page = bytes_of(output.bits), page_words(output.bits, output.words)
        data = b""
        for first in range(0, output.words, page):
            if first:
                answer = self._channel.ask(Kind.RESULT, first.to_bytes(2, "little"), what)
            payload = self._payload(answer, CLOCK_BYTES + page * width)
            if not answer.status & Status.DONE or int.from_bytes(payload[:CLOCK_BYTES], "little") != cycles:
                raise ValueError(f"{self._where}: {what}: the board has lost its answer; it was reset")
            data += payload[CLOCK_BYTES:]
        data = data[: width * output.words]
        padded = np.zeros((output.words, 4 * limbs(output.bits)), dtype=np.uint8)
        padded[:, :width] = np.frombuffer(data, np.uint8).reshape(output.words, width)
        words: NDArray[np.uint32] = padded.view("<u4").astype(np.uint32)
        last = unpack(words, 1, output.bits, False)[:, 0] >> output.value_bits
        values = unpack(words, 1, output.value_bits, True)[:, 0]
        if not np.array_equal(last, np.arange(output.words) == output.words - 1):
            raise ValueError(f"{self._where}: {what}: the answer does not end where a sample ends")
        if values[:-1].argmax() != values[-1]:
            raise ValueError(
                f"{self._where}: {what}: the class {values[-1]} contradicts its logits, "
                f"of which {values[:-1].argmax()} is the greatest"
            )
        return words

    def _payload(self, answer: Answer, length: int) -> bytes:
        if len(answer.payload) != length:
            raise ValueError(f"{self._where}: an answer of {len(answer.payload)} bytes, {length} are wanted")
        return answer.payload

    def _check(self) -> None:
        """Raise ValueError unless the board holds the BUILD."""
        found, manifest = self.identity, self._manifest
        if found.protocol != PROTOCOL:
            raise ValueError(
                f"{self._where}: the board speaks version {found.protocol} of the link's protocol, "
                f"this is version {PROTOCOL}; build its bitstream again"
            )
        if found.model.hex() != manifest.digest:
            raise ValueError(
                f"{self._where}: the board holds the model {found.model.hex()[:12]}, not {manifest.digest[:12]} "
                f"of {manifest.name}; program this BUILD's bitstream"
            )
        wanted = (manifest.input.bits, manifest.input.words, manifest.output.bits, manifest.output.words)
        if found.build != build_digest(manifest) or wanted != (
            *(found.in_bits, found.in_words),
            *(found.out_bits, found.out_words),
        ):
            raise ValueError(
                f"{self._where}: the board holds another BUILD of the model {manifest.name}, of another plan; "
                "program this BUILD's bitstream"
            )
