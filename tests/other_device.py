"""A device that is not the processor, for machines without one: its tensors are the processor's inside, and say so.

    python -m tests.other_device FOLDER

trains a small network there in every phase, compares its evaluation with the golden model, and prints what came out as
JSON. An operation on tensors of both devices is an error, as it is on CUDA; so is numpy's view of a tensor there. It is
run as a process of its own: PyTorch is given the device for good.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "elsewhere"
#: Operations that may take tensors of both.
BOTH = ("aten.copy_", "aten._to_copy", "aten.index", "aten.set_")

TOML = """
[model]
name = "voxtt"
args = { widths = [4, 6], strides = [1, 2], dense = true, head = "average" }
[data]
block = 2
augmentation = { shifts = [1, 1, 1], rotation = "W", turns = 12, scales = [0.2, 0.2, 0.2] }
[train]
epochs = 1
batch = 16
ema = 0.9
balance = 1.0
threads = 1
[teacher]
dense = true
epochs = 1
batch = 16
weight = 0.5
[orientation]
[compress]
epochs = 1
pairs = 1
batch = 16
[tune]
epochs = 1
batch = 16
lr = 1e-3
[quant]
epochs = 4
batch = 16
calibration = 4
reestimate = 4
"""


class Elsewhere(torch.Tensor):
    """A tensor of the other device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Elsewhere:
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        made.inner = inner
        return made

    def tolist(self) -> Any:
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class Watched(TorchDispatchMode):
    """All operations, those that make tensors there among them."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    given = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
    there = [each for each in given if isinstance(each, Elsewhere)]
    here = [each for each in given if not isinstance(each, Elsewhere) and each.dim()]
    if there and here and not str(func).startswith(BOTH):
        raise RuntimeError(f"{func}: tensors of both devices")
    device = kwargs.get("device")
    result_there = bool(there) if device is None else torch.device(device).type == NAME
    args, kwargs = tree_map(lambda each: each.inner if isinstance(each, Elsewhere) else each, (args, kwargs))
    if device is not None:
        kwargs["device"] = "cpu"
    known = {id(each.inner): each for each in there}

    def wrapped(made: Any) -> Any:
        if not isinstance(made, torch.Tensor) or not result_there:
            return made
        return known[id(made)] if id(made) in known else Elsewhere(made)

    return tree_map(wrapped, func(*args, **kwargs))


def register() -> torch.device:
    """Give PyTorch the device."""
    _setup_privateuseone_for_python_backend(NAME)
    module = getattr(torch, NAME)
    module.get_amp_supported_dtype = lambda: [torch.bfloat16]
    module.get_rng_state = lambda device=None: torch.get_rng_state()
    module.set_rng_state = lambda state, device=None: None
    module.manual_seed = module.manual_seed_all = lambda seed: None
    module._is_in_bad_fork = lambda: False
    return torch.device(NAME)


def main(folder: Path) -> None:
    from bench import accelerator
    from qtt_hw.data import Samples, load
    from qtt_hw.nn import contraction
    from qtt_hw.training import loop
    from qtt_hw.training.config import load_config
    from qtt_hw.training.processes import Processes
    from qtt_hw.training.resident import Resident

    device = register()

    @contextmanager
    def started(accelerator: str) -> Iterator[Processes]:
        yield Processes(0, 1, device)

    def resident(samples: Samples, where: torch.device) -> Resident:
        return Resident(samples, where)

    loop.started = started  # type: ignore[assignment]
    Resident.where_it_pays = staticmethod(resident)  # type: ignore[assignment, method-assign]
    contraction._without_kernels = lambda x: isinstance(x, Elsewhere)
    (folder / "small.toml").write_text(TOML)
    splits = load("solids:8", classes=3, per_class=40)
    with Watched():
        result = loop.train(load_config(folder / "small.toml"), splits, folder / "run")
        golden, batches = accelerator.equal_to_golden(device, True), accelerator.equal_batches(device)
    print(
        json.dumps({"phases": list(result.phases), "accelerator": result.accelerator, "batches": batches, **golden[0]})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
