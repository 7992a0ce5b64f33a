"""Work folders: removed at the end, and by the next process when their own was killed."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sim.work import plain_temporary, work_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from sim.work import work_folder
with work_folder("test", Path(sys.argv[1])) as folder:
    (folder / "obj").mkdir()
    (folder / "obj" / "half").write_text("written")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_is_removed_with_all_in_it(tmp_path: Path) -> None:
    with work_folder("test", tmp_path) as folder:
        assert folder.parent == tmp_path and folder.is_dir()
        (folder / "file").write_text("x")
    with pytest.raises(RuntimeError), work_folder("test", tmp_path) as folder:
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    (mine, other) = (tmp_path / name for name in ("qtt-test-notes", f"qtt-other{left.name.removeprefix('qtt-test')}"))
    mine.mkdir()
    other.mkdir()
    with work_folder("test", tmp_path) as first, work_folder("test", tmp_path) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second, mine, other])
    assert sorted(tmp_path.iterdir()) == sorted([mine, other])


def test_a_folder_that_somebody_holds_stays(tmp_path: Path) -> None:
    """As of a process in another container, whose number says nothing here."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    held = tmp_path / f"qtt-test-{ended.pid}-abcd"
    held.mkdir()
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with work_folder("test", tmp_path):
        assert held.is_dir()
    os.close(lock)
    with work_folder("test", tmp_path):
        assert not held.exists()


def test_a_path_that_make_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert plain_temporary() == tmp_path
    odd = tmp_path / 'it\'s a "path" $HOME ü'
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    assert plain_temporary() == Path("/tmp").resolve()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match=r"ü: make does not take such a path: set TMPDIR to one of letters, digits"):
        plain_temporary()
