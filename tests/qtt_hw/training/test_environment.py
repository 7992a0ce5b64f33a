"""What training sets in its process, and leaves as it was."""

from __future__ import annotations

import resource

import torch

from qtt_hw.process import keep_freed_memory
from qtt_hw.training.environment import reproducible


def test_the_process_is_left_as_it_was() -> None:
    torch.set_num_threads(2)
    state = torch.random.get_rng_state()
    with reproducible(1):
        assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
        torch.rand(3)
    assert torch.get_num_threads() == 2 and not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.set_num_threads(1)


def test_freed_memory_serves_the_next_tensor() -> None:
    keep_freed_memory()
    faults = []
    for _ in range(2):  # the heap grows at first
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.ones(8 << 20)  # 32 MiB, 8 192 pages: by default mapped anew, page by page, each time
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert faults[1] < 8192
