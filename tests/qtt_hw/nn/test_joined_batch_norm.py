"""Two processes with a part of a batch each, against one with the whole batch, in float64."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from qtt_hw.nn.joined_batch_norm import JoinedBatchNorm

WORKER = """
import torch
import torch.distributed as dist
from torch import nn
from qtt_hw.nn.joined_batch_norm import JoinedBatchNorm
from qtt_hw.quant.batch_norm import BatchNorm, RoundedBatchNorm
from qtt_hw.training.processes import join_batch_norms

dist.init_process_group("gloo")
rank = dist.get_rank()
part = slice(0, 3) if rank == 0 else slice(3, 7)  # parts need not be equal

def quantised(kind, *arguments):
    return lambda: kind(*arguments).double()

CASES = {
    "1d": (lambda: nn.BatchNorm1d(4).double(), (7, 4)),
    "2d": (lambda: nn.BatchNorm2d(4, eps=1e-3, momentum=None).double(), (7, 4, 5, 6)),
    "3d": (lambda: nn.BatchNorm3d(4, momentum=0.3).double(), (7, 4, 2, 5, 3)),
    "plain": (lambda: nn.BatchNorm2d(4, affine=False).double(), (7, 4, 5, 6)),
    "untracked": (lambda: nn.BatchNorm2d(4, track_running_stats=False).double(), (7, 4, 5, 6)),
    "quantised": (quantised(BatchNorm, 4), (7, 4, 2, 5, 3)),
    "rounded": (quantised(RoundedBatchNorm, 4, 8), (7, 4, 2, 5, 3)),
}
for name, (make, shape) in CASES.items():
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x[part] = 2 * x[part] + rank - 4  # the two parts have other moments
    parts = [torch.zeros_like(x) for _ in range(2)]
    dist.all_gather(parts, x)
    x = torch.cat([parts[0][:3], parts[1][3:]])
    dy = torch.randn(shape, generator=generator, dtype=torch.float64)
    models = nn.Sequential(make()), nn.Sequential(make())
    join_batch_norms(models[1])
    inputs = x.clone().requires_grad_(), x[part].clone().requires_grad_()
    for _ in range(2):  # the second time moves running statistics that are not the initial ones any more
        for model, taken, gradient in zip(models, inputs, (dy, dy[part])):
            model.zero_grad()
            taken.grad = None
            y = model(taken)
            y.backward(gradient)
            taken.output = y.detach()
    whole, own = inputs
    close = lambda a, b: torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12, msg=lambda text: name + ": " + text)
    close(own.output, whole.output[part])
    close(own.grad, whole.grad[part])
    for ours, theirs in zip(models[1].parameters(), models[0].parameters(), strict=True):
        dist.all_reduce(ours.grad)
        close(ours.grad, theirs.grad)
    assert models[1].state_dict().keys() == models[0].state_dict().keys()
    for key, value in models[1].state_dict().items():
        close(value, models[0].state_dict()[key])
    assert isinstance(models[1][0], JoinedBatchNorm) == isinstance(models[0][0], nn.modules.batchnorm._BatchNorm)
    half = models[1].float()(x[part].to(torch.bfloat16))  # as autocast calls it
    if name not in ("rounded",):
        assert half.dtype == torch.bfloat16 and float((half.double() - models[0](x)[part]).detach().abs().max()) < 0.05
dist.destroy_process_group()
"""


def test_two_processes_normalise_and_differentiate_as_one(
    tmp_path: Path, torchrun: Callable[..., subprocess.Popen[str]]
) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    running = torchrun(script)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors


def test_evaluation_is_torchs_own() -> None:
    plain = nn.BatchNorm2d(3)
    with torch.no_grad():
        plain.running_mean.uniform_()
    joined = JoinedBatchNorm.of(plain.eval())
    x = torch.randn(2, 3, 4, 4)
    assert not joined.training and torch.equal(joined(x), plain(x))
    assert joined.weight is plain.weight and joined.running_mean is plain.running_mean
