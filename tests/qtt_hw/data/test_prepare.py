import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.data import prepare as module
from qtt_hw.data.prepare import Unusable, cache_folder, prepare


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{name}.raw" for name in "abcd"]
    for number, path in enumerate(found):
        path.write_bytes(bytes([number + 1] * 6))
    return found


class Convert:
    """Bytes of a file as [2, 3]; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, path: Path) -> np.ndarray:
        self.calls += 1
        content = np.frombuffer(path.read_bytes(), np.uint8)
        if len(content) != 6:
            raise Unusable(f"{path}: {len(content)} bytes, expected 6")
        return content.reshape(2, 3)


def run(files: list[Path], convert: Callable, how: str = "refuse", **parameters: int) -> module.Prepared:
    return prepare(files[0].parent, files, (2, 3), parameters, convert, corrupt=how)


def test_converted_once(files: list[Path], cache: Path) -> None:
    convert = Convert()
    first = run(files, convert)
    again = run(files, convert)
    assert convert.calls == 4
    for prepared in (first, again):
        assert prepared.x[:, 0, 0].tolist() == [1, 2, 3, 4] and prepared.kept.tolist() == [0, 1, 2, 3]
        assert prepared.rows is prepared.x and type(prepared.x) is np.ndarray and not prepared.x.flags.writeable
    assert len(list(cache.iterdir())) == 1 == len(list(cache.glob("*/x.npy")))


def test_converted_anew_for_other_parameters_files_and_contents(files: list[Path]) -> None:
    convert = Convert()
    run(files, convert, edge=1)
    run(files, convert, edge=2)
    assert convert.calls == 8
    run(files[:3], convert, edge=1)
    assert convert.calls == 11
    before = files[0].stat()
    files[0].write_bytes(bytes([9] * 6))
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert run(files, convert, edge=1).x[0, 0, 0] == 9


def test_a_corrupt_or_empty_file_is_refused_by_name_and_leaves_nothing(files: list[Path], cache: Path) -> None:
    files[2].write_bytes(b"xy")
    with pytest.raises(ValueError, match=f"^{files[2]}: 2 bytes, expected 6$"):
        run(files, Convert())
    files[2].write_bytes(b"")
    with pytest.raises(ValueError, match=f"^{files[2]}: is empty$"):
        run(files, Convert())
    files[2].unlink()
    with pytest.raises(ValueError, match=f"^{files[2]}: cannot be read: No such file"):
        run(files, Convert())
    assert not list(cache.iterdir())


def test_skipped_files_are_named_every_time(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    files[0].write_bytes(b"")
    files[2].write_bytes(b"xy")
    convert = Convert()
    expected = f"qtt: {files[0].parent}: skipped 2 of 4 files: {files[0]}: is empty; {files[2]}: 2 bytes, expected 6\n"
    for _ in range(2):
        prepared = run(files, convert, "skip")
        assert prepared.kept.tolist() == [1, 3] and prepared.rows[:, 0, 0].tolist() == [2, 4]
        assert capsys.readouterr().err == expected
    assert convert.calls == 3
    with pytest.raises(ValueError, match=f"^{files[0]}: is empty$"):
        run(files, convert)
    with pytest.raises(ValueError, match="none of its 1 files could be read"):
        run(files[:1], convert, "skip")


def test_an_interruption_leaves_no_entry(files: list[Path], cache: Path) -> None:
    def interrupted(path: Path) -> np.ndarray:
        if path == files[2]:
            raise KeyboardInterrupt
        return Convert()(path)

    with pytest.raises(KeyboardInterrupt):
        run(files, interrupted)
    assert not list(cache.iterdir())


def test_a_damaged_entry_is_replaced(files: list[Path], cache: Path) -> None:
    convert = Convert()
    run(files, convert)
    stored = next(cache.glob("*/x.npy"))
    for damage in (lambda: stored.write_bytes(stored.read_bytes()[:-5]), stored.unlink):
        damage()
        assert run(files, convert).x[3, 1, 2] == 4
    assert convert.calls == 12 and len(list(cache.iterdir())) == 1


def _process(files: list[Path], results: "multiprocessing.Queue[list[int]]") -> None:
    convert = Convert()
    results.put(run(files, convert).x[:, 0, 0].tolist())
    if convert.calls:
        with (files[0].parent / "converted").open("a") as stream:
            stream.write(f"{convert.calls} files\n")


def test_processes_at_the_same_time(files: list[Path], cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[list[int]] = context.Queue()
    processes = [context.Process(target=_process, args=(files, results)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [[1, 2, 3, 4]] * 4
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(list(cache.iterdir())) == 1
    assert (files[0].parent / "converted").read_text() == "4 files\n", "by one process alone"


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from qtt_hw.data.prepare import prepare
def convert(path):
    if path.name == "c.raw":
        os.kill(os.getpid(), signal.SIGKILL)
    return np.zeros((2, 3), np.uint8)
root = Path(sys.argv[1])
prepare(root, sorted(root.glob("*.raw")), (2, 3), {}, convert)
"""


def test_what_a_killed_process_left_is_removed_by_the_next(files: list[Path], cache: Path) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED, files[0].parent], capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert len(list(cache.iterdir())) == 2, "the unfinished entry, and the lock's file"
    assert run(files, Convert()).x[:, 0, 0].tolist() == [1, 2, 3, 4]
    assert len(list(cache.iterdir())) == 1


def test_a_file_of_someone_else_in_an_entry_is_kept(files: list[Path], cache: Path) -> None:
    run(files, Convert())
    entry = next(cache.iterdir())
    (entry / "x.npy").write_bytes(b"")
    (entry / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=f"^{entry}/notes.txt: was not written by qtt"):
        run(files, Convert())
    assert (entry / "notes.txt").read_text() == "mine"


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from qtt_hw.data.prepare import prepare
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
root = Path(sys.argv[1])
try:
    prepare(root, sorted(root.glob("*.raw")), (100, 100), {}, lambda path: np.ones((100, 100), np.uint8))
except ValueError as error:
    print(error)
"""


def test_a_full_disk_is_an_error_that_names_the_cache_and_leaves_nothing(files: list[Path], cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, files[0].parent], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{cache}: cannot keep prepared data: File too large; set QTT_CACHE to another folder\n"
    assert list(cache.iterdir()) == []


def test_room_is_taken_before_it_is_written_to(files: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapped file with holes ends the process on a full disk, by SIGBUS."""

    def full(descriptor: int, begin: int, size: int) -> None:
        assert size == os.fstat(descriptor).st_size > 4 * 6
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ValueError, match=f"^{cache}: cannot keep prepared data: No space left on device"):
        run(files, Convert())
    assert list(cache.iterdir()) == []


def test_the_folder(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QTT_CACHE", str(files[0] / "below"))
    with pytest.raises(ValueError, match="cannot keep prepared data: Not a directory; set QTT_CACHE"):
        run(files, Convert())
    monkeypatch.delenv("QTT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "qtt-hw"


def test_a_long_conversion_says_where_its_result_is(
    files: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "LONG", 0.0)
    run(files, Convert())
    kept = next(cache.iterdir())
    assert capsys.readouterr().err == f"qtt: {files[0].parent}: prepared 4 files in 0 s, kept in {kept}\n"
    run(files, Convert())
    assert capsys.readouterr().err == ""


def test_what_does_not_fit_the_disk_is_refused_before_it_is_written(files: list[Path], cache: Path) -> None:
    convert = Convert()
    with pytest.raises(ValueError, match=rf"its 4 files, prepared, take \d+.\d GiB, but {cache} has .* set QTT_CACHE"):
        prepare(files[0].parent, files, (1 << 20, 1 << 20, 1 << 20), {}, convert)
    assert convert.calls == 0 and not list(cache.iterdir())
