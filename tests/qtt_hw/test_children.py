"""Children end when we do, whatever ends us, and everything that they have started ends with them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from qtt_hw.children import Children, run, running

#: A tree: a shell, and beside it a process of its own that would go on for a minute.
TREE = ["/bin/sh", "-c", "sleep 60 & echo $!; wait"]

PARENT = f"""
import subprocess, sys, time
from qtt_hw.children import running
with running({TREE!r}, stdout=subprocess.PIPE) as child:
    print(child.stdout.readline().decode(), end="", flush=True)
    time.sleep(60)
"""


def ended(pid: int) -> bool:
    """Whether a process ends within a while; one that nobody waits for may stay as a zombie."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGINT])
def test_the_whole_tree_ends_when_its_owner_is_killed(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        parent.send_signal(number)
        assert ended(grandchild)
        assert parent.wait() != 0


def test_the_whole_tree_ends_on_an_exception() -> None:
    with pytest.raises(RuntimeError), running(TREE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        raise RuntimeError
    assert ended(grandchild) and child.returncode == -signal.SIGKILL


def test_a_program_to_its_end(tmp_path: Path) -> None:
    done = run(
        ["/bin/sh", "-c", "cat; echo $WORD >&2; pwd; exit 3"], cwd=tmp_path, env={"WORD": "said"}, stdin="given "
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, f"given {tmp_path}\n", "said\n")
    with pytest.raises(FileNotFoundError):
        run(["/no/such/program"], cwd=tmp_path, env=os.environ)


def test_children_of_several_threads_end_together() -> None:
    children, started, failures = Children(), threading.Barrier(4), []

    def work() -> None:
        with children.running(["/bin/sh", "-c", "sleep 60"], stdout=subprocess.PIPE) as child:
            started.wait()
            assert child.stdout is not None
            child.stdout.read()  # to its end, which comes when it is killed
            failures.append(child.wait())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait()
    children.close()
    for thread in threads:
        thread.join()
    assert failures == [-signal.SIGKILL] * 3
    with pytest.raises(ChildProcessError, match="^/bin/sh is not started any more$"), children.running(["/bin/sh"]):
        pass
