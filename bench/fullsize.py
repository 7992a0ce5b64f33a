"""The whole way of an untrained network at full size: plan with paths, freeze, emit, and prove on a few samples.

    python -m bench.fullsize models/qttnet-modelnet40-untrained.toml --data modelnet10 -o results/qttnet-fullsize.json
    python -m bench.fullsize ... --set model.args.ranks=16 --device none --fps 5
    python -m bench.fullsize ... --set 'model.mode_order="free"' --place

Each call adds a row in place of the one of the same settings; before placing, which takes longest, it stands without.
A network that does not fit its device gets a row that says by how much.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import boards
from bench.report import command, figures
from bench.rows import append_row, commit, made_by
from boards.build import build
from boards.place import Placer
from qtt_hw.flow import cosim, emit
from qtt_hw.freezing import freeze_run
from qtt_hw.graph.file import load
from qtt_hw.planning import plan
from qtt_hw.process import run_command
from qtt_hw.training import load_config, train
from qtt_hw.training.config import Config
from rtl_gen.plan.plan import rate_of
from rtl_gen.plan.search import DoesNotFit
from rtl_gen.prediction import number_of

#: What is placed is placed for this board, at a clock that its PLL makes: alone, with no pads, nextpnr would route the
#: clock to tens of thousands of flip-flops through the fabric.
BOARD, PLACED_MHZ = "ulx3s-85f", 100.0
#: Of its line: what a faster host sends while a frame of millions of cycles is computed would not fit its queue.
BAUD = 250_000


def changes_of(settings: list[str]) -> dict[str, Any]:
    """Of "model.args.ranks=16" and so on: the nested values of a configuration."""
    merged: dict[str, Any] = {}
    for text in settings:
        inner, found = merged, tomllib.loads(text)
        while True:
            ((key, value),) = found.items()
            if not isinstance(value, dict):
                inner[key] = value
                break
            inner, found = inner.setdefault(key, {}), value
    return merged


def proven(
    config: Config, data: str, device: str, fps: float | None, engines: bool, samples: int, placer: Placer | None
) -> Iterator[dict[str, Any]]:
    """What the row says; with a placer a second time, when it is placed and routed on the board, with the link."""
    seconds: dict[str, float] = {}

    def timed(what: str, function: Any) -> Any:
        started = time.perf_counter()
        result = function()
        seconds[what] = round(time.perf_counter() - started, 1)
        return result

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        splits = config.data.load(data)
        try:
            before = timed("plan", lambda: plan(config, device, fps=fps, engines=engines, data=splits))
        except DoesNotFit as error:
            yield {"refused": str(error)}
            return
        if samples == 0:
            yield {"paths": before.chosen_paths, **figures(before), "rom_bits": before.rom_bits, "seconds": seconds}
            return
        along = config.with_paths(before.chosen_paths)
        timed("calibrate", lambda: train(along, splits, folder / "run"))
        freeze_run(folder / "run", folder / "model.qtt")
        graph = load(folder / "model.qtt")
        after = timed("fold", lambda: plan(graph, device, fps=fps, engines=engines))
        timed("emit", lambda: emit(graph, folder / "build", after, taps=True))
        found = timed("cosim", lambda: cosim(folder / "build", splits, samples=samples))
        row = {
            "paths": before.chosen_paths,
            **figures(after),
            "multiplications": graph.macs(),
            "weight_bytes": graph.weight_bytes,
            "equal": found.equal,
            "samples": found.samples,
            "simulated": {
                "cycles": None if found.cycles is None else number_of(found.cycles),
                "intervals": list(found.intervals),
                "latency": found.latency,
                "as_predicted": found.cycles_equal,
            },
            "seconds": seconds,
        }
        yield row
        if placer is not None:
            emit(graph, folder / "plain", after)
            board = replace(boards.load(BOARD), baud=BAUD)
            placed = timed("place", lambda: build(folder / "plain", board, frequency_mhz=PLACED_MHZ, placer=placer))
            found = placed.model_dump(mode="json")
            names = ("board", "placer", "seed", "critical_path", "fmax_mhz", "luts", "ffs", "dsps", "brams")
            rate = round(rate_of(placed.fmax_mhz, after.cycles), 2)
            yield row | {
                "placed": {name: found[name] for name in names} | {"frames_per_second": rate, "commit": commit()}
            }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fullsize", description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--device", default="ecp5-85f")
    parser.add_argument("--fps", type=float, help="the least hardware for this rate at 100 MHz, not the fastest")
    parser.add_argument("--engines", action="store_true", help="runs of stages may share an array")
    parser.add_argument("--samples", type=int, default=2, help="to prove it on; 0 only plans")
    parser.add_argument("--place", action="store_true", help=f"build it for {BOARD} too, for fmax; takes an hour")
    parser.add_argument("--placer", choices=get_args(Placer), default="static", help="of --place")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="model.args.ranks=16 and the like")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    if given.place and given.device != boards.load(BOARD).device:
        raise ValueError(f"--device {given.device}: what is placed is placed on {BOARD}, a {boards.load(BOARD).device}")
    config = load_config(given.config)
    if given.settings:
        config = config.changed(config.name, changes_of(given.settings))
    settings_of_row: dict[str, Any] = {"config": config.name, "changes": given.settings, "device": given.device}
    settings_of_row |= {"fps": given.fps, "engines": given.engines or None}
    placer = given.placer if given.place else None
    for row in proven(config, given.data, given.device, given.fps, given.engines, given.samples, placer):
        made = made_by(command(given.output))
        row = {**settings_of_row, **row, **made}
        append_row(given.output, row, tuple(settings_of_row))
        print(row)


if __name__ == "__main__":
    sys.exit(run_command("bench.fullsize", main, whole=True))
