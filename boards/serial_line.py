"""A serial port of this machine as the host's line: raw bytes, no flow control, through the terminal interface."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios
import time
from types import TracebackType

__all__ = ["SerialLine"]


class SerialLine:
    """A device file such as /dev/ttyUSB0, or a pseudo-terminal; nobody else of this program has it meanwhile.

    Parameters
    ----------
    port : str
    baud : int

    Raises
    ------
    ValueError
        When the port cannot be opened, is in use, or does not know the baud rate.
    """

    def __init__(self, port: str, baud: int):
        self.port = port
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise ValueError(f"{port}: this system has no baud rate of {baud}")
        try:
            self._file = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ValueError(f"{port}: cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            settings = termios.tcgetattr(self._file)
            settings[0] = settings[1] = settings[3] = 0  # raw: nothing is translated, echoed or paused
            settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
            settings[4] = settings[5] = speed
            settings[6][termios.VMIN], settings[6][termios.VTIME] = 0, 0
            termios.tcsetattr(self._file, termios.TCSANOW, settings)
            termios.tcflush(self._file, termios.TCIOFLUSH)
        except BlockingIOError:
            os.close(self._file)
            raise ValueError(f"{port}: is in use by another process") from None
        except termios.error as error:
            os.close(self._file)
            raise ValueError(f"{port}: is not a serial port: {error.args[-1]}") from None

    def write(self, data: bytes, seconds: float) -> None:
        """Hand bytes to the system; raises ValueError where it does not take them within the time."""
        left, until = memoryview(data), time.monotonic() + seconds
        while left:
            _, ready, _ = select.select([], [self._file], [], max(until - time.monotonic(), 0))
            if not ready:
                raise ValueError(f"{self.port}: took no bytes for {seconds:g} s")
            try:
                left = left[os.write(self._file, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone(error) from None

    def read(self, seconds: float) -> bytes:
        """What has come, as soon as anything has; nothing where none came within the time."""
        ready, _, _ = select.select([self._file], [], [], max(seconds, 0))
        if not ready:
            return b""
        try:
            found = os.read(self._file, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from None
        if not found:  # readable and empty: the other end is gone
            raise self._gone(OSError(errno.EIO, os.strerror(errno.EIO)))
        return found

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _gone(self, error: OSError) -> ValueError:
        return ValueError(f"{self.port}: the port is gone: {error.strerror}")
