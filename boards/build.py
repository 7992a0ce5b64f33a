"""Synthesis runs: a block measured out of context, and a BUILD made into a board's bitstream."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from boards.devices import device as find_device
from boards.place import place
from boards.step import Progress
from boards.synthesis import synthesise

__all__ = ["measure"]


def measure(
    verilog_files: Sequence[Path | str],
    top: str,
    *,
    device: str = "ecp5-85f",
    frequency_mhz: float = 200,
    seed: int = 1,
    speed: int = 6,
    synth_arguments: str = "",
    work: Path | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """fmax and cells of one module placed alone, without pads: paths from its inputs and to its outputs do not count.

    Parameters
    ----------
    verilog_files : sequence of Path or str
    top : str
        Module name.
    device : str
        An ECP5 of `boards.devices`.
    frequency_mhz : float
        What the placer aims at.
    seed : int
        Of the placer.
    speed : int
        Speed grade.
    synth_arguments : str
        More options of `synth_ecp5`.
    work : Path or str, optional
        Folder that keeps scripts, logs, netlist and report; by default nothing is kept.
    progress : callable, optional

    Returns
    -------
    dict
        fmax_mhz (of the slowest clock, None without a path between registers), clock, luts, ffs, dsps, brams,
        lut_rams, cells (by type, before packing), critical_path (total_ns, logic_ns, routing_ns, start, end,
        steps) or None, device, frequency_mhz, seed, seconds.
    """
    started = time.monotonic()
    chosen = find_device(device)
    with tempfile.TemporaryDirectory(prefix="measure-") as temporary:
        folder = Path(temporary) if work is None else Path(work)
        folder.mkdir(parents=True, exist_ok=True)
        files = [Path(name) for name in verilog_files]
        cells = synthesise(files, top, folder, arguments=synth_arguments, progress=progress)
        placed = place(folder, chosen, speed=speed, frequency_mhz=frequency_mhz, seed=seed, progress=progress)
    clock = min(placed.fmax, key=lambda net: placed.fmax[net]) if placed.fmax else None
    path = placed.paths.get(clock) if clock is not None else None
    return {
        "fmax_mhz": placed.fmax[clock] if clock is not None else None,
        "clock": clock,
        **counts(placed.used),
        "lut_rams": placed.used.get("TRELLIS_RAMW", 0),
        "cells": cells,
        "critical_path": asdict(path) if path is not None else None,
        "device": device,
        "frequency_mhz": frequency_mhz,
        "seed": seed,
        "seconds": round(time.monotonic() - started, 1),
    }


def counts(used: dict[str, int]) -> dict[str, int]:
    """luts, ffs, dsps and brams of nextpnr's cell counts."""
    return {
        "luts": used.get("TRELLIS_COMB", 0),
        "ffs": used.get("TRELLIS_FF", 0),
        "dsps": used.get("MULT18X18D", 0),
        "brams": used.get("DP16KD", 0),
    }
