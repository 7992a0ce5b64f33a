"""Stopping between two steps when SIGINT or SIGTERM arrives."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupted", "StopSignals"]


class Interrupted(RuntimeError):
    """Training stopped on a signal; its checkpoint is valid and the same command goes on from it."""

    def __init__(self, folder: object, number: int) -> None:
        super().__init__(f"{folder}: stopped by {signal.Signals(number).name}; the same command goes on from here")
        self.number = number


class StopSignals:
    """While entered, SIGINT and SIGTERM only set `received`; a second one acts as it did before. Ignored ones stay so.

    One that was ignored before (nohup, or a script's `&`) stays ignored.

    Parameters
    ----------
    patient : bool
        A second one does nothing either: torchrun sends one after Ctrl-C has, and kills by itself in the end.
    """

    def __init__(self, patient: bool = False) -> None:
        self.received: int | None = None
        self._patient = patient
        self._before: dict[int, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if not self._patient:
            self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def __enter__(self) -> StopSignals:
        # Python delivers signals to the main thread only; elsewhere the owner of that thread decides.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
