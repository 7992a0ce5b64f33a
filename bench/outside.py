"""Float networks trained by a plain PyTorch loop, then quantised without retraining: what each way of it loses.

    python -m bench.outside VoxNet ResNet-8 --weights runs/outside -o results/outside.json

The loop knows nothing of quantisation. Its weights are kept in the folder; what is there is not trained again. Every
row is of one integer model: its bits, its scales, and its accuracy beside the float network's. Nothing is chosen by
these figures, and the test set is read once for each.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench.report import command
from bench.rows import append_row, made_by
from bench.zoo.tiny import ResNet8
from bench.zoo.voxnet import VoxNet
from qtt_hw.data import Samples, load
from qtt_hw.evaluation import evaluate
from qtt_hw.process import run_command
from qtt_hw.quantizing import quantize
from qtt_hw.training.config import Config
from qtt_hw.training.sections import ModelConfig

WAYS: tuple[tuple[int, Literal["tensor", "channel"]], ...] = (
    *((8, scales) for scales in ("tensor", "channel")),
    *((4, scales) for scales in ("tensor", "channel")),
)
BATCH, SEED = 64, 0


@dataclass(frozen=True)
class Outside:
    """A network, its data and how it is trained.

    Parameters
    ----------
    make : callable
    file : str
        Of bench/zoo, with the name of its class.
    arguments : dict
    data : str
    epochs : int
    lr : float
        At the end of the warm-up of a one-cycle schedule.
    mean, std : tuple of float
        Of images as bytes / 255; none for voxels.
    """

    make: Callable[..., nn.Module]
    file: str
    arguments: dict[str, Any]
    data: str
    epochs: int
    lr: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def inputs(self, x: np.ndarray) -> Tensor:
        """[N, C, D, H, W], or [N, C, H, W] of images, normalised."""
        values = torch.from_numpy(x).permute(0, 4, 1, 2, 3).float()
        if not self.mean:
            return values
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
        return (values.squeeze(2) / 255 - mean) / std


NETWORKS = {
    "VoxNet": Outside(VoxNet, "voxnet.py:VoxNet", {"classes": 10, "side": 30}, "modelnet10", 12, 1e-3),
    "ResNet-8": Outside(
        *(ResNet8, "tiny.py:ResNet8", {"classes": 10}, "cifar10", 12, 4e-3),
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
}


def trained(what: Outside, samples: Samples) -> nn.Module:
    """The network after a plain loop over the training samples: Adam, cross-entropy, images mirrored at random."""
    torch.manual_seed(SEED)
    net, draw = what.make(**what.arguments), np.random.default_rng(SEED)
    optimizer = torch.optim.Adam(net.parameters(), what.lr)
    steps = -(-len(samples) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, what.lr, what.epochs * steps)
    for epoch in range(what.epochs):
        order, right, started = draw.permutation(len(samples)), 0, time.perf_counter()
        for step in range(steps):
            taken = np.sort(order[step * BATCH : (step + 1) * BATCH])
            x, y = what.inputs(samples.x[taken]), torch.from_numpy(samples.y[taken])
            if what.mean and draw.random() < 0.5:
                x = x.flip(-1)
            logits = net(x)
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, y).backward()
            optimizer.step()
            schedule.step()
            right += int((logits.argmax(1) == y).sum())
        seconds = time.perf_counter() - started
        print(f"epoch {epoch + 1} of {what.epochs}: {right / len(samples):.4f} in {seconds:.0f} s", flush=True)
    return net.eval()


@torch.no_grad()
def accuracy(what: Outside, net: nn.Module, samples: Samples) -> float:
    right = 0
    for start in range(0, len(samples), 256):
        part = slice(start, start + 256)
        right += int((net(what.inputs(samples.x[part])).argmax(1).numpy() == samples.y[part]).sum())
    return round(right / len(samples), 6)


def rows(name: str, folder: Path) -> list[dict[str, Any]]:
    """A row for each way of quantising the network, trained first unless its weights are there."""
    what = NETWORKS[name]
    splits, weights = load(what.data), folder / f"{name}.pt"
    if not weights.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(trained(what, splits.train).state_dict(), weights)
    net = what.make(**what.arguments).eval()
    net.load_state_dict(torch.load(weights, weights_only=True))
    source = Path(__file__).parent / "zoo" / "outside.toml"
    config = Config(model=ModelConfig(name=what.file, args=what.arguments), source=source)
    in_float = {split: accuracy(what, net, splits[split]) for split in ("validation", "test")}
    found = []
    for bits, scales in WAYS:
        with tempfile.TemporaryDirectory() as temporary:
            model = Path(temporary) / "model.qtt"
            made = quantize(
                *(config, splits, model),
                weights=weights,
                weight_bits=bits,
                activation_bits=8,
                weight_scales=scales,
                mean=what.mean,
                std=what.std,
            )
            test = evaluate(model, splits)
        found.append(
            {
                "network": name,
                "data": what.data,
                "epochs_of_training": what.epochs,
                "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
                "weight_bits": bits,
                "activation_bits": 8,
                "weight_scales": scales,
                "float": in_float,
                "quantised": {"validation": round(made.accuracy, 6), "test": round(test.accuracy, 6)},
                "weight_bytes": made.weight_bytes,
                "stages": made.stages,
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.outside", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}; all when left out")
    parser.add_argument("--weights", type=Path, required=True, help="folder that keeps what was trained")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.networks if name not in NETWORKS]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such network; there are {', '.join(NETWORKS)}")
    for name in given.networks or NETWORKS:
        for row in rows(name, given.weights):
            lost = 100 * (row["float"]["test"] - row["quantised"]["test"])
            how = f"{row['weight_bits']}/8, a scale a {row['weight_scales']}"
            print(f"{name}, {how}: {row['quantised']['test']:.4f}, {lost:.2f} points below float", flush=True)
            if given.output is not None:
                made = made_by(command(given.output))
                append_row(given.output, row | made, ("network", "weight_bits", "weight_scales"))


if __name__ == "__main__":
    sys.exit(run_command("bench.outside", main, whole=True))
