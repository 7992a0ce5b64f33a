"""Files whole or absent: in use, on a full disk, and behind processes that were killed."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import qtt_hw.files
from qtt_hw.files import append_lines, file_writer, is_unfinished, scratch_folder, write_file
from tests.interrupts import interrupted

KILLED = """
import os, signal, sys
from pathlib import Path
from qtt_hw.files import file_writer, scratch_folder
target = Path(sys.argv[2])
if sys.argv[1] == "file":
    with file_writer(target) as stream:
        stream.write(b"half")
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)
with scratch_folder(target) as folder:
    (folder / "part").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""

FULL = """
import json, resource, sys
from pathlib import Path
from qtt_hw.files import append_lines, scratch_folder, write_file
folder, limit = Path(sys.argv[1]), 1000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
def in_scratch():
    with scratch_folder(folder / "c") as scratch:
        (scratch / "part").write_bytes(bytes(2 * limit))
told = []
for work in (
    lambda: write_file(folder / "a", bytes(2 * limit)),
    lambda: append_lines(folder / "b", "x" * 2 * limit),
    in_scratch,
):
    try:
        work()
    except OSError as error:
        told.append([error.errno, error.filename])
print(json.dumps(told))
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_file(path, "größe\n")
    assert path.read_bytes() == "größe\n".encode() and stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask()
    path.chmod(0o640)
    write_file(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["f"]


def umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_file(path, b"old")
    with pytest.raises(KeyboardInterrupt), file_writer(path) as stream:
        stream.write(b"half of the new")
        assert len(names(tmp_path)) == 2
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and names(tmp_path) == ["f"]


def test_a_link_is_followed_and_a_pipe_is_no_file_to_replace(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("there")
    write_file(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").read_bytes() == b"x"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDWR)
    write_file(tmp_path / "pipe", b"x")
    assert os.read(reader, 2) == b"x" and (tmp_path / "pipe").is_fifo()
    os.close(reader)
    with pytest.raises(IsADirectoryError) as error:
        write_file(tmp_path, b"x")
    assert error.value.filename == str(tmp_path)


def test_an_error_names_the_file_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "none" / "f"
    with pytest.raises(FileNotFoundError) as error:
        write_file(missing, b"x")
    assert error.value.filename == str(missing)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (lambda: write_file(tmp_path / "f", b"x"), lambda: append_lines(tmp_path / "f", "x")):
        with pytest.raises(OSError, match="No space left on device") as found:
            write()
        assert found.value.filename == str(tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b""


def test_what_others_raise_keeps_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, file_writer(tmp_path / "f"):
        (tmp_path / "other").read_bytes()
    assert error.value.filename == str(tmp_path / "other")
    with pytest.raises(FileNotFoundError) as error, scratch_folder(tmp_path / "f") as scratch:
        (scratch / "deep" / "part").write_bytes(b"x")
    assert error.value.filename == str(tmp_path / "f" / "deep" / "part")


def test_where_nothing_more_fits_nothing_is_left(tmp_path: Path) -> None:
    append_lines(tmp_path / "b", "whole")
    found = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == [
        [errno.EFBIG, str(tmp_path / "a")],
        [errno.EFBIG, str(tmp_path / "b")],
        [errno.EFBIG, str(tmp_path / "c")],
    ]
    assert names(tmp_path) == ["b"] and (tmp_path / "b").read_text() == "whole\n"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_goes_with_the_next_of_the_same_target(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    child = subprocess.run([sys.executable, "-c", KILLED, kind, target], capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    (left,) = tmp_path.iterdir()
    assert is_unfinished(left)
    write_file(tmp_path / "target2", b"")
    assert left.exists(), "it is not this one's"
    write_file(target, b"whole")
    assert names(tmp_path) == ["target", "target2"]


@pytest.mark.parametrize("write", [lambda path: file_writer(path), lambda path: scratch_folder(path)])
def test_what_another_is_writing_stays(tmp_path: Path, write: Callable) -> None:
    target = tmp_path / "target"
    with write(target):
        (left,) = tmp_path.iterdir()
        write_file(target, b"whole")
        with scratch_folder(target):
            assert left.exists()


def test_a_part_of_a_line_is_removed_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for text, expected in (("", b""), ("a\nb", b"a\n"), ("part", b""), ("a\n", b"a\n"), ("a\n" + "b" * 70_000, b"a\n")):
        path.write_text(text)
        append_lines(path, "1\n2")
        assert path.read_bytes() == expected + b"1\n2\n"


def test_a_pipe_is_written_into_by_the_name_that_is_given() -> None:
    code = "from pathlib import Path; from qtt_hw.files import write_file; write_file(Path('/dev/stdout'), 'text')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "text"


def test_a_folder_in_which_nothing_can_be_made_is_an_error_not_a_loop() -> None:
    with pytest.raises(OSError) as refused:
        write_file(Path("/proc/x.json"), "text")
    assert refused.value.filename == "/proc/x.json"


@pytest.mark.parametrize("write", [file_writer, scratch_folder])
def test_a_signal_before_any_line_leaves_nothing(tmp_path: Path, write: Callable[..., Any]) -> None:
    lines = 0
    while interrupted(qtt_hw.files, write(tmp_path / "target"), lines):
        assert names(tmp_path) == []
        lines += 1
    assert names(tmp_path) == []
    assert lines > 20


@pytest.mark.parametrize("write", [file_writer, scratch_folder])
def test_another_s_file_of_the_same_name_is_left_alone(
    tmp_path: Path, write: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter([tmp_path / "another", tmp_path / ".target.1-00000000.tmp"])
    monkeypatch.setattr(qtt_hw.files, "unfinished_name", lambda target: next(given))
    (tmp_path / "another").mkdir()
    with pytest.raises(KeyboardInterrupt), write(tmp_path / "target"):
        raise KeyboardInterrupt
    assert names(tmp_path) == ["another"]
