"""Settings of the whole suite, and processes that compute together.

Where QTT_NO_SKIPS is set, a test that would be skipped fails: what it needs has to be there.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine makes any single example slow now and then; that says nothing about the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Tables are as wide as where nobody looks, though a terminal's size is known: readline puts it into the environment.
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)

# Signals are heard, here and in child processes, also where the suite was started by what ignores them, as nohup does.
for number, heard in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, heard)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("QTT_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though QTT_NO_SKIPS is set: {report.longrepr[2]}"


@pytest.fixture
def default_signals() -> Iterator[None]:
    """SIGINT and SIGTERM act as in a terminal, however the tests were started: nohup and a script's & ignore SIGINT."""
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def torchrun() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """(script or -m module, *arguments) to a running torchrun of two processes, its output piped."""
    running: list[subprocess.Popen[str]] = []

    def start(*command: object) -> subprocess.Popen[str]:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        running.append(
            subprocess.Popen([*launcher, *map(str, command)], env=environment, stdout=pipe, stderr=pipe, text=True)
        )
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:  # a test failed while it was running
            process.terminate()
            process.communicate(timeout=60)
