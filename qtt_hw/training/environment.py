"""What training sets in the process that it runs in: how it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import deterministic

__all__ = ["reproducible"]

_filling: Any = deterministic  # whose attribute is not declared


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
