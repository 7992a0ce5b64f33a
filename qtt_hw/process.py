"""The ends of a command's process: a signal becomes an exit code, an error one line, and neither a traceback unless
it is asked for.

And what it does with freed memory.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Terminated", "UsageError", "keep_freed_memory", "run_command"]

#: Signals that end a process, besides SIGINT; where they were ignored from the start, as nohup does, they stay so.
_ENDING = (signal.SIGTERM, signal.SIGHUP)
#: What makes the main thread look for a signal that has arrived, and when after it, in seconds.
_NUDGE, _NUDGES = signal.SIGURG, (0.05, 0.2, 1.0)


# Options of mallopt, from glibc's malloc.h: M_MMAP_MAX and M_TRIM_THRESHOLD.
_MALLOC_OPTIONS = ((-4, 0), (-1, 2**31 - 1))


class Terminated(BaseException):
    """A signal arrived that ends the process: unwind, so that what is half-written is removed and children end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class UsageError(Exception):
    """A wrong command line."""


def run_command(
    name: str, work: Callable[[], int | None], *, whole: bool = False, debug: bool = False, option: str = "QTT_DEBUG=1"
) -> int:
    """Do a command's work and return its exit code; what went wrong is one line on stderr.

    0 is success, 1 a ValueError, an OSError or a fault of the program, 2 a UsageError, 128 and its number a signal.
    With `debug`, or QTT_DEBUG=1 in the environment, the traceback stands before the line.

    Parameters
    ----------
    name : str
        What the line begins with.
    work : callable
        Its result is the exit code, None being 0.
    whole : bool
        The process does nothing else, before or after: a signal behind the work ends it at once, and silently.
    debug : bool
    option : str
        What shows the traceback, for the line of a fault of the program.
    """
    debug = debug or os.environ.get("QTT_DEBUG", "") not in ("", "0")

    def fail(message: str, code: int) -> int:
        if debug and code != 2:
            import traceback  # only here: a command is not ready for a signal before its imports

            traceback.print_exc()
        print(f"{name}: {' '.join(message.split())}", file=sys.stderr, flush=True)
        return code

    if whole:
        # An error, or a signal, in the middle of an elaboration leaves parts that were not used; that says nothing.
        warnings.filterwarnings("ignore", message=r"(?s).* created but never used")
    try:
        with _ending_signals(), _warnings_as_lines(name):
            code = work() or 0
    except KeyboardInterrupt:
        code = fail("interrupted", 128 + signal.SIGINT)
    except Terminated as ended:
        code = fail("terminated", 128 + ended.number)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        code = fail(f"{where}{error.strerror or error}", 1)
    except ValueError as error:
        code = fail(_line(error), 1)
    except UsageError as error:
        code = fail(str(error), 2)
    except Exception as error:
        number = getattr(error, "number", None)
        if type(error).__name__ == "Interrupted" and isinstance(number, int):
            code = fail(str(error), 128 + number)
        else:
            code = fail(_fault(error, option), 1)
    finally:
        if whole:
            exec("")  # else an interrupt in an earlier exec of text, as of dataclasses, has Python end by SIGINT itself
            for number in (signal.SIGINT, *_ENDING):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, signal.SIG_DFL)
    return code


@contextmanager
def _ending_signals() -> Iterator[None]:
    """While entered, signals that end the process raise Terminated in the main thread."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, end)
    try:
        with _nudged():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _nudged() -> Iterator[None]:
    """While entered, the main thread does not sleep through a signal.

    Python notes a signal and has its handler run by the main thread between two instructions. Where that thread is just
    about to wait for a lock, a pipe or a child, or where another thread took the signal, it goes on waiting, however
    long that takes. So a thread is told of every signal, and interrupts the wait.
    """
    told, tells = os.pipe()
    os.set_blocking(tells, False)
    done, main = threading.Event(), threading.main_thread().ident
    assert main is not None

    def nudge() -> None:
        while number := os.read(told, 1):
            for pause in _NUDGES if number[0] != _NUDGE else ():
                if not done.wait(pause):
                    signal.pthread_kill(main, _NUDGE)

    watch = threading.Thread(target=nudge, name="signals", daemon=True)
    handler, earlier = signal.signal(_NUDGE, lambda number, frame: None), -1
    try:
        earlier = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
        watch.start()
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(earlier)
        os.close(tells)
        if watch.ident is not None:
            watch.join()
        os.close(told)
        signal.signal(_NUDGE, handler)


@contextmanager
def _warnings_as_lines(name: str) -> Iterator[None]:
    """While entered, a warning is one line on stderr, without the place in the program that it comes from."""

    def show(message: Warning | str, *place: object) -> None:
        print(f"{name}: warning: {' '.join(str(message).split())}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def _line(error: ValueError) -> str:
    """The first fault alone of what pydantic reports."""
    if "pydantic" in sys.modules:
        from pydantic import ValidationError

        from qtt_hw.errors import one_line

        if isinstance(error, ValidationError):
            return str(one_line(error, error.title))
    return str(error)


def _fault(error: Exception, option: str) -> str:
    """What is to be installed; else what is wrong with the program: the error, its place, and what shows more."""
    if isinstance(error, ImportError):
        from qtt_hw.extras import missing

        if (line := missing(error.name)) is not None:
            return line
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" in {place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
    text = " ".join(str(error).split())
    return f"a fault of the program: {type(error).__name__}{': ' if text else ''}{text}{where}; {option} shows more"


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for what comes next, for as long as the process lives; elsewhere nothing is done.

    It cannot be undone, so only processes of the project's own do it: the command line and the queue of results.

    By default every large array is mapped anew, and the kernel zeroes its pages, which shows where arrays
    are large (compare `bench/float_step.py` with its --default-malloc).
    """
    import ctypes  # not above, since it takes a while

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in _MALLOC_OPTIONS:
            mallopt(option, value)
