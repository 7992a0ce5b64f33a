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
        line.write(data, 5.0)
        received = b""
        while len(received) < len(data):
            received += os.read(master, 512)
        assert received == data
        os.write(master, data)
        found = b""
        while len(found) < len(data):
            found += line.read(5.0)
        assert found == data and line.read(0.01) == b""


def test_what_stood_in_the_port_before_is_gone(terminal: tuple[int, str]) -> None:
    master, name = terminal
    with SerialLine(name, 115_200):
        os.write(master, b"stale")
    with SerialLine(name, 115_200) as line:
        assert line.read(0.05) == b""


def test_a_port_that_takes_nothing_or_is_gone_is_told(terminal: tuple[int, str]) -> None:
    master, name = terminal
    with SerialLine(name, 115_200) as line:
        with pytest.raises(ValueError, match=f"^{name}: took no bytes for 0.05 s$"):
            line.write(bytes(100_000), 0.05)
    with SerialLine(name, 3_000_000) as line:
        with pytest.raises(ValueError, match=f"^{name}: is in use by another process$"):
            SerialLine(name, 3_000_000)
        os.close(master)
        try:
            with pytest.raises(ValueError, match=f"^{name}: the port is gone: "):
                line.read(5.0)
        finally:
            os.dup2(os.open(os.devnull, os.O_RDONLY), master)  # for the fixture to close


def test_ports_that_are_none_are_refused(tmp_path: Path, terminal: tuple[int, str]) -> None:
    with pytest.raises(ValueError, match=r"tty: cannot be opened: No such file or directory$"):
        SerialLine(str(tmp_path / "tty"), 1_000_000)
    (tmp_path / "plain").touch()
    with pytest.raises(ValueError, match=r"plain: is not a serial port: "):
        SerialLine(str(tmp_path / "plain"), 1_000_000)
    with pytest.raises(ValueError, match=r"this system has no baud rate of 1234567$"):
        SerialLine(terminal[1], 1_234_567)
