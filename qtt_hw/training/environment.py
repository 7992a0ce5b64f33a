"""What training sets in the process that it runs in: how it computes, and what it does with freed memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import deterministic

__all__ = ["keep_freed_memory", "reproducible"]

_filling: Any = deterministic  # whose attribute is not declared
# Options of mallopt, from glibc's malloc.h: M_MMAP_MAX and M_TRIM_THRESHOLD.
_MALLOC_OPTIONS = ((-4, 0), (-1, 2**31 - 1))


def keep_freed_memory() -> None:
    """Have glibc keep freed tensors for the next ones, for as long as the process lives; elsewhere nothing is done.

    It cannot be undone, so only processes of the project's own do it: the command line and the queue of results.

    By default every large tensor is mapped anew, and the kernel zeroes its pages, which shows where tensors
    are large (compare `bench/float_step.py` with its --default-malloc).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in _MALLOC_OPTIONS:
            mallopt(option, value)


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Deterministic algorithms, exact float32, a given number of threads and an untouched random state afterwards."""
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        _filling.fill_uninitialized_memory,
    )
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # By default every new tensor is filled with NaN first, in case somebody reads it unwritten.
    _filling.fill_uninitialized_memory = False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1], warn_only=before[2])
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before[3:5]
        _filling.fill_uninitialized_memory = before[5]
