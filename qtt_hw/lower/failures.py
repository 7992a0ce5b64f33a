"""What is said of a user's code that fails, or is not followed: the first line of why, and where it stands."""

from __future__ import annotations

import linecache
import os
import traceback
from itertools import takewhile
from pathlib import Path
from types import CodeType

import torch
from torch import nn

__all__ = ["FAILURES", "first_line", "layer_of", "reason_of", "users_line"]

#: What ends a user's code: one that ends the program has not run either.
FAILURES = (Exception, SystemExit)
#: Where lines of code are not the user's: PyTorch, this package, and the standard library.
_PACKAGES = tuple(str(Path(file).parent) + os.sep for file in (torch.__file__, Path(__file__).parent))
_LIBRARY = str(Path(os.__file__).parent) + os.sep


def first_line(error: BaseException) -> str:
    """Of what an error says, with its type where that says more."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[0] if isinstance(error, RuntimeError | ValueError) else f"{type(error).__name__}: {lines[0]}"


def reason_of(error: BaseException) -> str:
    """The first line of what an error says, behind the line of the user's that it came from, if there is one."""
    frames = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__))
    own = [(file, line) for file, line in frames if _is_users(file)]
    if not own:
        return first_line(error)
    return f"{_line(*own[-1])}: {first_line(error)}"


def users_line(within: CodeType) -> str | None:
    """The line of the user's that is running within a call of that code, if there is one."""
    frames = takewhile(lambda each: each[0].f_code is not within, traceback.walk_stack(None))
    lines = ((frame.f_code.co_filename, number) for frame, number in frames)
    return next((_line(file, number) for file, number in lines if _is_users(file)), None)


def _line(file: str, number: int) -> str:
    code = linecache.getline(file, number).strip()
    return f"{Path(file).name}, line {number}" + (f" ({code})" if code else "")


def layer_of(error: BaseException, model: nn.Module) -> str:
    """The innermost module of the model that was running, and its type, where that is one within it."""
    names = {id(module): name for name, module in model.named_modules()}
    running = (frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__))
    inner = [(names[id(module)], type(module).__name__) for module in running if id(module) in names]
    return f"{inner[-1][0]} ({inner[-1][1]}): " if inner and inner[-1][0] else ""


def _is_users(file: str) -> bool:
    if file.startswith(("<", *_PACKAGES)):  # in angle brackets: what torch.fx generates
        return False
    return not file.startswith(_LIBRARY) or "site-packages" in file
