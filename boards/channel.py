"""Requests and answers over a line that loses and changes bytes: what is lost is sent again, until a time is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from boards.protocol import Answer, Frames, Kind, Status, request

__all__ = ["Channel", "Line", "Traffic"]

#: Frames on their way at the most; the device counts them modulo 256.
WINDOW = 32
#: Seconds until a request is sent again, as long as nothing has been measured; and the least and the most ever.
FIRST_PATIENCE, LEAST_PATIENCE, MOST_PATIENCE = 0.1, 0.004, 10.0
#: By what factor patience grows at the most, once it is known how long an answer takes.
MOST_BACKOFF = 2.0


class Line(Protocol):
    """What carries bytes: a serial port, or a model of one."""

    def write(self, data: bytes, seconds: float) -> None:
        """Send bytes, or raise ValueError where they are not taken within the time."""

    def read(self, seconds: float) -> bytes:
        """Bytes that have come, as soon as there are any; none after the time."""


@dataclass
class Traffic:
    """What went over the line.

    Attributes
    ----------
    frames, repeated : int
        Sent, and of these those that were sent before.
    broken : int
        What came and was no answer of the session.
    sent, received : int
        Bytes.
    """

    frames: int = 0
    repeated: int = 0
    broken: int = 0
    sent: int = 0
    received: int = 0


class Channel:
    """One session with a device.

    Parameters
    ----------
    line : Line
    session : int
        Not 0; the device's answers are checked with it.
    where : str
        What messages name.
    timeout : float
        Seconds without any progress after which a request fails.
    clock : callable
        Of seconds.
    """

    def __init__(
        self, line: Line, session: int, where: str, timeout: float, clock: Callable[[], float] = time.monotonic
    ):
        self.line, self.session, self.where, self.timeout, self._now = line, session, where, timeout, clock
        self.traffic = Traffic()
        #: The sequence number of the next frame.
        self.next = 0
        self._frames, self._tag = Frames(), 0
        self._window = float(WINDOW)  # shrinks where frames are lost, since all behind a lost one are sent in vain
        self._mean, self._deviation, self._backoff = 0.0, 0.0, 1.0

    def ask(self, kind: Kind, payload: bytes, what: str) -> Answer:
        """The answer to a request that changes nothing, or OPEN.

        Every time that it is sent it has another tag, and the answer to any of them will do.
        """
        sent: dict[int, float] = {}
        until = self._now() + self.timeout
        resend = 0.0
        while True:
            now = self._now()
            if now >= until:
                raise self._silent(what)
            if now >= resend:
                self._tag = (self._tag + 1) % 256
                sent[self._tag] = now
                self._send(request(kind, self._tag, payload, self.session), again=len(sent) > 1)
                if len(sent) > 1:
                    self._back_off()
                resend = now + self._patience
            for answer in self._receive(min(resend, until)):
                if answer.kind == kind and answer.tag in sent:
                    self._measured(self._now() - sent[answer.tag])
                    return answer
                if answer.kind == Kind.BROKEN:
                    resend = min(resend, max(sent.values()) + self._mean)

    def deliver(
        self, frames: Sequence[tuple[Kind, bytes]], what: str, moved: Callable[[], bool] = lambda: False
    ) -> None:
        """Bring frames to the device in order, each once: several are on their way, from a lost one on again.

        Parameters
        ----------
        frames : sequence of (Kind, payload)
        what : str
            In messages.
        moved : callable
            Whether the accelerator has moved on since the last call: asked where the device answers, for as long as
            the timeout, that it has no room.
        """
        first = self.next
        base, sent, highest = 0, 0, 0
        times: dict[int, float] = {}  # when frames were sent that were sent once
        until = self._now() + self.timeout
        resend = deaf = 0.0
        full = False
        while base < len(frames):
            while sent < len(frames) and sent - base < int(self._window):
                kind, payload = frames[sent]
                if sent >= highest:
                    times[sent] = self._now()
                else:
                    times.pop(sent, None)
                self._send(request(kind, (first + sent) % 256, payload, self.session), again=sent < highest)
                if sent == base:
                    resend = self._now() + self._patience
                sent += 1
                highest = max(highest, sent)
            lost = False
            for answer in self._receive(min(resend, until)):
                ahead = (answer.next - first - base) % 256
                if answer.kind in (Kind.BEGIN, Kind.DATA):
                    full = bool(answer.status & Status.REFUSED)
                if 0 < ahead <= highest - base:
                    base += ahead
                    sent = max(sent, base)
                    self.next = (first + base) % 256
                    self._window = min(self._window + ahead / self._window, WINDOW)
                    until = self._now() + self.timeout
                    resend = self._now() + self._patience
                    if base - 1 in times and answer.tag == (first + base - 1) % 256:
                        self._measured(self._now() - times[base - 1])
                elif ahead == 0 and base < sent:
                    # The device has something else than what it waits for.
                    lost |= answer.kind == Kind.BROKEN or answer.kind in (Kind.BEGIN, Kind.DATA)
            now = self._now()
            if now >= until and full and moved():
                until = self._now() + self.timeout
            elif now >= until and full:
                raise ValueError(f"{self.where}: {what}: the accelerator has taken no input within {self.timeout:g} s")
            elif now >= until:
                raise self._silent(what)
            if now >= resend and base < sent:
                lost, deaf = True, 0.0
                self._back_off()
            if lost and now >= deaf:
                sent = base
                self._window = max(self._window / 2, 1.0)
                deaf = now + self._mean

    def now(self) -> float:
        """Seconds, from some beginning."""
        return self._now()

    def wait(self, seconds: float) -> None:
        """Let time pass; what comes meanwhile was asked for before, and is of no use."""
        until = self._now() + seconds
        while self._now() < until:
            self._receive(until)

    @property
    def _patience(self) -> float:
        measured = self._mean + 3 * self._deviation if self._mean else FIRST_PATIENCE
        return min(max(measured * self._backoff, LEAST_PATIENCE), MOST_PATIENCE, self.timeout)

    def _back_off(self) -> None:
        """More patience; little where the time of an answer is known: what is lost is not lost by crowding."""
        self._backoff = min(1.5 * self._backoff, MOST_BACKOFF if self._mean else math.inf)

    def _measured(self, seconds: float) -> None:
        """The time between a request and its answer: its mean, and how far it differs from it, move."""
        if self._mean:
            self._deviation += (abs(seconds - self._mean) - self._deviation) / 4
            self._mean += (seconds - self._mean) / 8
        else:
            self._mean, self._deviation = max(seconds, 1e-6), seconds / 2
        self._backoff = 1.0

    def _send(self, data: bytes, again: bool) -> None:
        self.traffic.frames += 1
        self.traffic.repeated += again
        self.traffic.sent += len(data)
        self.line.write(data, self.timeout)

    def _receive(self, until: float) -> list[Answer]:
        data = self.line.read(until - self._now())
        self.traffic.received += len(data)
        found = [Answer.decoded(body) for body in self._frames.take(data, self.session)]
        self.traffic.broken = self._frames.broken
        return [answer for answer in found if answer is not None]

    def _silent(self, what: str) -> ValueError:
        came = self.traffic
        if not came.received:
            reason = "nothing came at all: check the port, and that the bitstream of a BUILD is in the board"
        elif not self._mean:
            reason = f"{came.received} bytes came and no answer among them: check the baud rate"
        elif came.broken > came.frames // 10:
            reason = f"it answered before, and {came.broken} broken answers came: the line is bad, or others use it too"
        else:
            reason = "it answered before: it was reset or cut off, or another host has opened it"
        return ValueError(f"{self.where}: no answer to {what} within {self.timeout:g} s; {reason}")
