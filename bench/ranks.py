"""Ranks chosen by the planner's cycles against ranks chosen by multiplications, of one trained dense network.

    python -m bench.ranks runs/voxtt-average-seed0 --data modelnet10 --device ecp5-25f --trials 40 -o results/ranks.json

Both searches have the same space, sampler, trials and training steps a trial; accuracies are of the validation
samples. A point of one front is compared with the other front's fastest that is at least as accurate.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from bench.report import command, show
from bench.rows import made_by
from qtt_hw.process import run_command
from qtt_hw.rank.study import open_storage
from qtt_hw.training import TrainResult, float_model
from qtt_hw.training.config import config_from
from qtt_hw.training.progress import progress_bar
from qtt_hw.training.rank_search import ParetoSet, Point, RankSearch
from qtt_hw.training.store import RunStore
from rtl_gen.families import device as find_device

#: Points of accuracy below the dense network's that the plot shows.
SHOWN_DROP = 12.0


def fastest(points: Sequence[Point], accuracy: float) -> Point | None:
    """The point of least cycles that is at least so accurate; None where there is none that fits the device."""
    fitting = [point for point in points if point.cycles is not None and point.accuracy >= accuracy]
    return min(fitting, key=lambda point: point.cycles or 0, default=None)


def compared(by_cycles: Sequence[Point], by_macs: Sequence[Point]) -> list[dict[str, Any]]:
    """For the accuracy of every point found by multiplications: cycles of the fastest of either search."""
    rows = []
    for accuracy in sorted({point.accuracy for point in by_macs}):
        ours, theirs = fastest(by_cycles, accuracy), fastest(by_macs, accuracy)
        rows.append(
            {
                "accuracy": accuracy,
                "cycles_by_macs": None if theirs is None else theirs.cycles,
                "cycles_by_cycles": None if ours is None else ours.cycles,
            }
        )
    return rows


def measure(run: Path, data: str, device: str, trials: int, steps: int, storage: str) -> dict[str, Any]:
    """Both fronts, and what separates them."""
    store = RunStore(run)
    config = config_from(store.description()["config"], str(run))
    splits = config.data.load(data)
    network = float_model(run)
    search = RankSearch(network, config, splits, find_device(device), steps=steps)
    costs: tuple[Literal["cycles", "macs"], ...] = ("cycles", "macs")
    found: dict[str, ParetoSet] = {}
    with progress_bar() as bar:
        for by in costs:

            def told(step: str, done: float = 0, total: float = 0, text: str = "", by: str = by) -> None:
                bar(f"{step} by {by}", done, total, text)

            found[by] = search.front(
                trials,
                by=by,
                storage=open_storage(storage),
                progress=told,
            )
    dense = search.cost(network)
    result = TrainResult.model_validate_json(store.result.read_text(encoding="utf-8"))
    return {
        "device": device,
        "trials": {by: found[by].trials for by in costs},
        "steps": steps,
        "dense": {"validation_accuracy": result.validation_accuracy, **asdict(dense)},
        "by_cycles": [asdict(point) for point in found["cycles"].points],
        "by_macs": [asdict(point) for point in found["macs"].points],
        "compared": compared(found["cycles"].points, found["macs"].points),
    }


def plot(row: dict[str, Any], path: Path) -> None:
    """Accuracy against cycles of both fronts, and with a line what is the best at no more cycles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    dense = 100 * row["dense"]["validation_accuracy"]
    for front, label, mark, color in (("by_cycles", "cycles", "o", "C0"), ("by_macs", "multiplications", "s", "C1")):
        shown = sorted((point["cycles"], 100 * point["accuracy"]) for point in row[front] if point["cycles"])
        x, y = [cycles for cycles, _ in shown], [accuracy for _, accuracy in shown]
        axes.plot(x, y, mark, color=color, fillstyle="none", label=f"ranks chosen by {label}")
        axes.step(x, list(accumulate(y, max)), where="post", color=color, linewidth=1)
    axes.axhline(dense, linestyle="--", color="grey", label="dense")
    axes.set(xscale="log", xlabel=f"cycles an inference on {row['device']}", ylabel="validation accuracy, %")
    axes.set_ylim(bottom=dense - SHOWN_DROP)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ranks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run of a dense network")
    parser.add_argument("--data", required=True)
    parser.add_argument("--device", default="ecp5-25f")
    parser.add_argument("--trials", type=int, default=40, help="of each search")
    parser.add_argument("--steps", type=int, default=50, help="of training within a trial")
    parser.add_argument("--storage", help="of both studies, a file or a URL; ranks.study in the run's folder if left")
    parser.add_argument("--plot", type=Path, help="PNG of both fronts")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    storage = given.storage or str(given.run / "ranks.study")
    row = measure(given.run, given.data, given.device, given.trials, given.steps, storage)
    row |= made_by(command(given.output))
    if given.plot is not None:
        plot(row, given.plot)
    show(row, given.output)


if __name__ == "__main__":
    sys.exit(run_command("bench.ranks", main, whole=True))
