"""A signal between any two lines of a module, as an interrupt raised there."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import FrameType, ModuleType
from typing import Any

__all__ = ["interrupted"]


def interrupted(module: ModuleType, block: AbstractContextManager[Any], lines: int) -> bool:
    """Whether a signal after so many lines of the module came before the block; else one comes in the block."""
    left, entered = lines, False

    def trace(frame: FrameType, event: str, given: object) -> Any:
        nonlocal left
        if event == "line" and frame.f_code.co_filename == module.__file__ and not entered:
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with block:
            entered = True
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return not entered
    finally:
        sys.settrace(before)
