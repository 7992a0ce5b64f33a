"""A serial port of this machine as the host's line: raw bytes, no flow control, through the terminal interface."""

from __future__ import annotations

import os
import select
import termios
import time
from types import TracebackType

__all__ = ["SerialLine"]


class SerialLine:
    """A device file such as /dev/ttyUSB0.

    Parameters
    ----------
    port : str
    baud : int

    Raises
    ------
    ValueError
        When the port cannot be opened, or does not know the baud rate.
    """

    def __init__(self, port: str, baud: int):
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise ValueError(f"{port}: this system has no baud rate of {baud}")
        try:
            self._file = os.open(port, os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            raise ValueError(f"{port}: cannot be opened: {error.strerror}") from None
        try:
            settings = termios.tcgetattr(self._file)
            settings[0] = settings[1] = settings[3] = 0  # raw: nothing is translated, echoed or paused
            settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
            settings[4] = settings[5] = speed
            settings[6][termios.VMIN], settings[6][termios.VTIME] = 0, 0
            termios.tcsetattr(self._file, termios.TCSANOW, settings)
        except termios.error as error:
            os.close(self._file)
            raise ValueError(f"{port}: is not a serial port: {error.args[-1]}") from None

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]

    def read(self, count: int, seconds: float) -> bytes:
        found = bytearray()
        until = time.monotonic() + seconds
        while len(found) < count:
            ready, _, _ = select.select([self._file], [], [], max(until - time.monotonic(), 0))
            if not ready:
                break
            found += os.read(self._file, count - len(found))
        return bytes(found)

    def send_break(self) -> None:
        termios.tcdrain(self._file)
        termios.tcsendbreak(self._file, 0)
        termios.tcflush(self._file, termios.TCIFLUSH)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
