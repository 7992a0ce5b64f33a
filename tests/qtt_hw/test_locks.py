"""Locks: between processes and threads, released by whatever ends the holder, and saying who holds them."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import qtt_hw.locks
from qtt_hw.locks import Busy, in_use, locked
from tests.interrupts import interrupted

HOLDER = """
import sys, time
from pathlib import Path
from qtt_hw.locks import locked
with locked(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    sys.stdin.read()
"""

COUNT = """
import sys
from pathlib import Path
from qtt_hw.locks import locked
path = Path(sys.argv[1])
for _ in range(50):
    with locked(path.with_name(".n.lock"), path, waiting=lambda text: None):
        path.write_text(str(int(path.read_text()) + 1))
"""


def hold(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_the_second_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / ".it.lock"
    with hold(path) as child:
        assert in_use(path)
        with pytest.raises(
            Busy, match=rf"^runs/a: process {child.pid} on .+ since 2.+ \(-c .*it.lock.*\) works on it$"
        ):
            with locked(path, "runs/a"):
                pass
        child.communicate("")
    assert not path.exists()
    with locked(path, "runs/a"):
        pass


def test_who_has_just_locked_it_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / ".f.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        soon = threading.Timer(0.005, lambda: os.pwrite(file.fileno(), b"process 7 on there; qtt", 0))
        soon.start()
        with pytest.raises(Busy, match=r"^f: process 7 on there \(qtt\) works on it$"), locked(path, "f"):
            pass
        soon.join()


def test_the_kernel_releases_it_when_the_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / ".it.lock"
    with hold(path) as child:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert path.exists() and not in_use(path)
    with locked(path, "it"):
        assert f"process {os.getpid()} on " in path.read_text()
    assert list(tmp_path.iterdir()) == []


def test_who_waits_is_told_once_and_comes_next(tmp_path: Path) -> None:
    path, told, got = tmp_path / ".it.lock", list[str](), threading.Event()

    def wait() -> None:
        with locked(path, "it", waiting=told.append):
            got.set()

    thread = threading.Thread(target=wait)
    with locked(path, "it"):
        thread.start()
        assert not got.wait(0.3)
    thread.join(60)
    assert got.is_set() and len(told) == 1 and told[0].startswith(f"it: waiting for process {os.getpid()}")
    assert list(tmp_path.iterdir()) == []


def test_no_update_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "n"
    path.write_text("0")
    children = [subprocess.Popen([sys.executable, "-c", COUNT, path]) for _ in range(3)]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    assert path.read_text() == "150"


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / ".it.lock", "it"):
        assert in_use(tmp_path / ".it.lock") is None


def test_a_folder_without_room_for_a_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, locked(tmp_path / "none" / ".it.lock", "it"):
        pass
    assert error.value.filename == str(tmp_path / "none")


def test_a_signal_before_any_line_leaves_no_lock(tmp_path: Path) -> None:
    lines = 0
    while interrupted(qtt_hw.locks, locked(tmp_path / ".x.lock", "x"), lines):
        assert list(tmp_path.iterdir()) == []
        lines += 1
    assert list(tmp_path.iterdir()) == []
    assert lines > 10
