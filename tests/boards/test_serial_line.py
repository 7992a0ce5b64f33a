import os
from pathlib import Path

import pytest

from boards.serial_line import SerialLine


@pytest.fixture
def terminal():
    master, slave = os.openpty()
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_every_byte_passes_unchanged_both_ways(terminal: tuple[int, str]) -> None:
    master, name = terminal
    data = bytes(range(256))
    with SerialLine(name, 1_000_000) as line:
        line.write(data)
        received = b""
        while len(received) < len(data):
            received += os.read(master, 512)
        assert received == data
        os.write(master, data)
        assert line.read(100, 5.0) == data[:100]
        assert line.read(156, 5.0) == data[100:]


def test_what_does_not_come_is_missing(terminal: tuple[int, str]) -> None:
    master, name = terminal
    with SerialLine(name, 115_200) as line:
        os.write(master, b"ab")
        assert line.read(3, 0.05) == b"ab"
        os.write(master, b"stale")
        line.send_break()
        assert line.read(1, 0.05) == b""


def test_ports_that_are_none_are_refused(tmp_path: Path, terminal: tuple[int, str]) -> None:
    with pytest.raises(ValueError, match=r"tty: cannot be opened: No such file or directory$"):
        SerialLine(str(tmp_path / "tty"), 1_000_000)
    (tmp_path / "plain").touch()
    with pytest.raises(ValueError, match=r"plain: is not a serial port: "):
        SerialLine(str(tmp_path / "plain"), 1_000_000)
    with pytest.raises(ValueError, match=r"this system has no baud rate of 1234567$"):
        SerialLine(terminal[1], 1_234_567)
