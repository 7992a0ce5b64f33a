"""The command line `qtt`: thin shells over the Python functions of the same names."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

import typer
from pydantic import ValidationError

from qtt_hw.cli import demonstrate, hardware, model
from qtt_hw.errors import one_line

__all__ = ["app", "main"]

app = typer.Typer(
    name="qtt",
    help="From a PyTorch 3D CNN to a proven FPGA accelerator: train, freeze, plan, emit, cosim, build.",
    epilog="Start with: qtt demo",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for part in (model, hardware, demonstrate):
    part.add_to(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 on success, 1 with one line on stderr on a failure, 2 on a usage error."""
    try:
        with _terminable(), warnings.catch_warnings():
            warnings.showwarning = _warned
            code = app(list(sys.argv[1:] if arguments is None else arguments), prog_name="qtt", standalone_mode=False)
        # typer turns Ctrl-C into this code by itself, and says nothing.
        return _fail("interrupted", 130) if code == 130 else code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except _Terminated:
        return _fail("terminated", 128 + signal.SIGTERM)
    except ValidationError as error:
        return _fail(str(one_line(error, "qtt")), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except ValueError as error:
        return _fail(str(error), 1)
    except Exception as error:
        number = getattr(error, "number", None)
        if type(error).__name__ == "Interrupted" and isinstance(number, int):
            return _fail(str(error), 128 + number)
        # What typer raises for a wrong command line differs in its base class from version to version.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        return _fail(f"{message().rstrip('.')}; see qtt --help", 2)


class _Terminated(BaseException):
    """SIGTERM arrived: unwind, so that what is half-written is removed and child processes end."""


@contextmanager
def _terminable() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line on stderr, without the place in the program that it comes from."""
    print(f"qtt: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _fail(message: str, code: int) -> int:
    print(f"qtt: {' '.join(message.split())}", file=sys.stderr)
    return code
