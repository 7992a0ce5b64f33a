"""Data-parallel training: the processes that torchrun starts, and what they agree on, add up and hand out.

Every process computes its part of each batch; sums over the processes then make the step of the joined batch. All
gradients travel in one sum after the backward pass: the networks are small, and layers may stop learning in between.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from qtt_hw.nn.joined_batch_norm import JoinedBatchNorm
from qtt_hw.quant import BatchNorm

__all__ = ["ALONE", "Processes", "is_first", "join_batch_norms", "started"]

#: Signals that stop a run.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def is_first() -> bool:
    """Whether this process is the only one or the first of torchrun's: the one that writes and prints."""
    return int(os.environ.get("RANK", "0")) == 0


@dataclass(frozen=True)
class Processes:
    """Processes that train one model together; on all of them the same calls are made in the same order.

    Parameters
    ----------
    rank, count : int
        Which process this is, of how many.
    device : torch.device
        Where it computes, and what is exchanged lies.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def several(self) -> bool:
        return self.count > 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def part(self, size: int) -> slice:
        """This process's part of so many samples: all parts are equal, or differ by one."""
        return slice(self.rank * size // self.count, (self.rank + 1) * size // self.count)

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each value's sum over the processes."""
        if not self.several:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def sum_gradients(self, model: nn.Module) -> None:
        """Replace every gradient by its sum over the processes."""
        if not self.several:
            return
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        for dtype in sorted({gradient.dtype for gradient in gradients}, key=str):
            chosen = [gradient for gradient in gradients if gradient.dtype == dtype]
            flat = torch.cat([gradient.reshape(-1) for gradient in chosen])
            dist.all_reduce(flat)
            for gradient, total in zip(chosen, flat.split([g.numel() for g in chosen]), strict=True):
                gradient.copy_(total.view(gradient.shape))

    @torch.no_grad()
    def share(self, model: nn.Module) -> None:
        """Give all processes the first one's parameters and buffers."""
        if not self.several:
            return
        for value in model.state_dict().values():
            sent = value.contiguous().to(self.device)
            dist.broadcast(sent, 0)
            value.copy_(sent)

    def stopped_by(self, received: int | None) -> int | None:
        """The signal that any process received, the same answer for all."""
        if not self.several:
            return received
        found = self.sum([float(received == number) for number in SIGNALS])
        return next((int(number) for number, count in zip(SIGNALS, found, strict=True) if count), None)

    def from_first(self, read: Callable[[], bytes]) -> bytes:
        """What the first process reads, or its ValueError, on all of them."""
        if not self.several:
            return read()
        content, failed = b"", False
        if self.first:
            try:
                content = read()
            except (ValueError, OSError) as error:
                content, failed = str(error).encode(), True
        head = torch.tensor([len(content), failed], dtype=torch.int64, device=self.device)
        dist.broadcast(head, 0)
        size, failed = int(head[0]), bool(head[1])
        body = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(size).byte()
        body = body.to(self.device)
        if size:
            dist.broadcast(body, 0)
        content = body.cpu().numpy().tobytes()
        if failed:
            raise ValueError(content.decode())
        return content

    def agree(self, text: str, what: str) -> None:
        """Raise ValueError on every process unless the text is the same on all."""
        if not self.several:
            return
        digest = hashlib.sha256(text.encode()).digest()
        own = torch.frombuffer(bytearray(digest), dtype=torch.uint8).to(self.device, torch.int64)
        least, most = own.clone(), own.clone()
        dist.all_reduce(least, dist.ReduceOp.MIN)
        dist.all_reduce(most, dist.ReduceOp.MAX)
        if not torch.equal(least, most):
            raise ValueError(f"process {self.rank} of {self.count}: {what} differs between the processes")


#: A single process.
ALONE = Processes()


@contextmanager
def started(accelerator: str) -> Iterator[Processes]:
    """The processes that torchrun started with this one, connected by gloo or nccl; without torchrun just this one.

    A connection is made once and lasts: torchrun's store does not serve a second one.

    Parameters
    ----------
    accelerator : "cpu" or "cuda"
        With cuda each process takes the device of its number on this machine.
    """
    count, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device(accelerator)
    if count > 1 and accelerator == "cuda":
        if local >= torch.cuda.device_count():
            raise ValueError(f"process {local} on this machine: it has {torch.cuda.device_count()} CUDA devices")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if count > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if accelerator == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    rank = dist.get_rank() if count > 1 else 0
    try:
        yield Processes(rank, count, device)
        if count > 1:  # none ends, and closes its connections, before the first one has written everything
            dist.barrier()
    except RuntimeError as error:
        # Another process ended, by its own error or killed; what that was stands in its own message.
        if count > 1 and (isinstance(error, dist.DistError) or (type(error) is RuntimeError and "gloo" in str(error))):
            reason = " ".join(str(error).split())
            raise ValueError(f"process {rank} of {count}: lost the connection to another one: {reason}") from error
        raise


def join_batch_norms(model: nn.Module) -> nn.Module:
    """The model with every batch norm over the joined batch: torch's own replaced, a prepared model's told so."""
    for module in list(model.modules()):
        if isinstance(module, BatchNorm):
            module.joined = True
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(module, name, JoinedBatchNorm.of(child))
    return model
