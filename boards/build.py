"""Synthesis runs: a BUILD made into a board's bitstream, and a block measured out of context."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from boards.board import Board
from boards.capacity import check_holds
from boards.clock import divisor_of
from boards.critical import StagePath, stage_paths
from boards.patterns import PATTERN_NETLIST, PATTERN_PLACED, Patterns
from boards.place import Placer, pack
from boards.seeds import Placements, SeedResults, check_seeds, place_seeds
from boards.synthesis import NETLIST, synthesise
from boards.top import TOP, BoardTop, board_verilog
from qtt_hw.files import scratch_folder
from qtt_hw.folders import BITSTREAM, folder_writer
from qtt_hw.progress import Progress, silent
from qtt_hw.reading import read_json
from rtl_gen.contents import refuse_difference
from rtl_gen.families import Family, family_of
from rtl_gen.families import device as find_device
from rtl_gen.identifiers import file_name
from rtl_gen.manifest import Manifest
from rtl_gen.plan.derive import design_brams
from rtl_gen.plan.plan import load_plan
from rtl_gen.prediction import Prediction

__all__ = ["BuildResult", "Counts", "build", "measure"]


#: How often a design is built again for the clock that was reached: another clock places differently.
CONFIRMATIONS = 4
#: By what part less is asked for each time that a clock was not confirmed; and what part more is worth another try.
SPREAD, GAIN = 0.02, 0.05


class Counts(BaseModel):
    """Multipliers, block RAMs and LUTs, as the family's placer counts them: of an ECP5 TRELLIS_COMB."""

    model_config = ConfigDict(frozen=True)

    dsps: int
    brams: int
    luts: int


class BuildResult(BaseModel):
    """A bitstream and how it was reached.

    Attributes
    ----------
    clock_mhz, fmax_mhz : float
        What the design is clocked at, and what its slowest path allows.
    luts, ffs, dsps, brams : int
        Cells used, the link's and the board's own included.
    predicted : Counts
        The plan's.
    schedule : Prediction
        The end of every inference in cycles, whatever the clock.
    critical_path : tuple of str
        The slowest path's steps, a line each.
    paths : tuple of StagePath
        The slowest path within each clock, and between clocks and pins, by stage; none of a result from before.
    bitstream : str
        Path.
    meets_timing : bool
        fmax is at least the clock.
    seed : int
        The one that was kept; all else here is its.
    seeds : SeedResults
        The fmax of every seed that was tried.
    structure : str, optional
        Of a design that takes other weights: a digest of all that was placed but for them.
    placed_as : str, optional
        The BUILD whose placed design was taken.
    """

    model_config = ConfigDict(frozen=True)

    board: str
    device: str
    clock_mhz: float
    fmax_mhz: float
    meets_timing: bool
    luts: int
    ffs: int
    dsps: int
    brams: int
    predicted: Counts
    schedule: Prediction
    bitstream: str
    critical_path: tuple[str, ...]
    paths: tuple[StagePath, ...] = ()
    seed: int
    seeds: SeedResults
    placer: Placer
    seconds: float
    structure: str | None = None
    placed_as: str | None = None


def build(
    build: Path | str,
    board: Board,
    *,
    frequency_mhz: float | None = None,
    fit_clock: bool = False,
    seed: int = 1,
    seeds: int = 1,
    placer: Placer = "heap",
    placed_as: Path | str | None = None,
    progress: Progress = silent,
) -> BuildResult:
    """Make the bitstream of a BUILD folder for a board; it and its logs stand in BUILD/BOARD when all went well.

    Parameters
    ----------
    build : path
        Folder that `qtt emit` wrote.
    board : Board
    frequency_mhz : float, optional
        Clock of the design; the board's own when left out.
    fit_clock : bool
        Then set the PLL to the fastest clock that was reached, and build again, which is to confirm it, four times at
        most; the clock asked for is where this begins.
    seed, seeds : int
        The first seed of the placer, and from how many it is tried: side by side, and the fastest is kept.
    placer : "heap", "heap-timing" or "static"
        The last for designs that fill the block RAM, at some cost in clock; see `boards.place.Placer`.
    placed_as : path, optional
        A BUILD with a bitstream for this board that differs in weights alone: its placed design is taken. Clock, seeds
        and placer are then its.
    progress : Progress

    Raises
    ------
    ValueError
        When the design does not fit, by how much; when a tool is missing or fails, nextpnr from every seed; when
        BUILD/BOARD holds anything else than an earlier bitstream.
    """
    check_seeds(seed, seeds)
    if placed_as is not None:
        if (frequency_mhz, fit_clock, seed, seeds, placer) != (None, False, 1, 1, "heap"):
            raise ValueError(f"placed as {placed_as}: its clock, seeds and placer are taken; leave others out")
        return exchanged(Path(build), board, Path(placed_as), progress)
    started = time.monotonic()
    folder = Path(build)
    manifest = Manifest.load(folder)
    plan = load_plan(folder / manifest.plan)
    clock = board.clock_mhz if frequency_mhz is None else frequency_mhz
    top = BoardTop(board, manifest, clock, brams=design_brams(plan))
    device = find_device(board.device)
    check_holds(folder, board, manifest, plan)
    final, bitstream = folder / file_name(board.name), file_name(manifest.name) + board.placing.bitstream
    pins = f"board{board.placing.constraints.suffix}"
    with folder_writer(final, BITSTREAM) as work:
        (work / pins).write_text(board.constraints, encoding="utf-8")
        family = board.family
        sources = [folder / name for name in manifest.sources.of(family)]

        def made(top: BoardTop) -> Made:
            text = board_verilog(top)
            (work / "board_top.v").write_text(text, encoding="utf-8")
            patterns = Patterns(folder, manifest, family, text) if manifest.exchangeable else None
            every = [*sources, work / "board_top.v"] if patterns is None else patterns.sources(work)
            cells = synthesise(every, TOP, work, family, progress=progress)
            found = place_seeds(
                *(work, device),
                first=seed,
                count=seeds,
                package=board.package,
                speed=board.speed,
                frequency_mhz=top.pll.clock_mhz,
                placer=placer,
                constraints=work / pins,
                progress=progress,
            )
            return cells, found, patterns

        cells, found, patterns = made(top)
        if fit_clock:
            with scratch_folder(folder) as saved:

                def again(mhz: float) -> tuple[float, Made]:
                    result = made(BoardTop(board, manifest, mhz, brams=design_brams(plan)))
                    return result[1].best.slowest_mhz or 0.0, result

                first = found.best.slowest_mhz or 0.0
                clock, (cells, found, patterns) = _fitted(board, first, again, work, saved)
        if patterns is not None:
            for source in patterns.sources(work):
                source.unlink()
            (work / NETLIST).replace(work / PATTERN_NETLIST)
            (work / board.placing.placed).replace(work / PATTERN_PLACED)
            patterns.fill(work, TOP, board.placing.placed)
        pack(work, work / bitstream, device, progress=progress)
        placed = found.best
        net = placed.slowest
        assert net is not None, "the board's top has registers"
        path = placed.paths.get(net)
        result = BuildResult(
            board=board.name,
            device=board.device,
            clock_mhz=clock,
            fmax_mhz=placed.fmax[net],
            meets_timing=placed.fmax[net] >= clock,
            **counts(placed.used, cells, family),  # type: ignore[arg-type]
            predicted=Counts(dsps=plan.dsps, brams=plan.brams, luts=plan.luts),
            schedule=manifest.predicted,
            bitstream=str(final / bitstream),
            critical_path=path.steps if path is not None else (),
            paths=stage_paths(placed.worst, list(plan.units)),
            seed=found.kept,
            seeds=found.results,
            placer=placer,
            seconds=round(time.monotonic() - started, 1),
            structure=None if patterns is None else patterns.digest,
        )
        (work / "result.json").write_text(json.dumps(result.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    return result


def exchanged(build: Path, board: Board, like: Path, progress: Progress) -> BuildResult:
    """A bitstream of the placed design of another BUILD with this one's weights; as `build` with `placed_as`."""
    started = time.monotonic()
    manifest, device, family = Manifest.load(build), find_device(board.device), board.family
    Patterns.check(build, manifest, family)
    if not like.is_dir():
        raise ValueError(f"{like}: there is no such BUILD")
    there = like / file_name(board.name)
    if not (there / "result.json").is_file():
        raise ValueError(f"{there}: there is no bitstream; make it with `qtt build {like} --board {board.name}`")
    placed = read_json(there / "result.json", BuildResult)
    pins = f"board{board.placing.constraints.suffix}"
    kept = (pins, "report.json", PATTERN_NETLIST, PATTERN_PLACED)
    for name in kept:
        if not (there / name).is_file():
            raise ValueError(f"{there}: has no {name}: it was not built of a BUILD that takes other weights")
    brams = design_brams(load_plan(build / manifest.plan))
    top = board_verilog(BoardTop(board, manifest, placed.clock_mhz, brams=brams))
    patterns = Patterns(build, manifest, family, top)
    if patterns.digest != placed.structure:
        design, other = (folder / Manifest.load(folder).sources.of(family)[0] for folder in (build, like))
        refuse_difference(other.read_text(encoding="utf-8"), design.read_text(encoding="utf-8"), build)
        raise ValueError(f"{build}: {there} was built of another board, link or clock; build it anew")
    bitstream = f"{file_name(manifest.name)}{board.placing.bitstream}"
    final = build / file_name(board.name)
    with folder_writer(final, BITSTREAM) as work:
        for name in kept:
            shutil.copyfile(there / name, work / name)
        (work / "board_top.v").write_text(top, encoding="utf-8")
        progress("weights", text="into the placed design")
        patterns.fill(work, TOP, board.placing.placed)
        pack(work, work / bitstream, device, progress=progress)
        result = placed.model_copy(
            update={
                "schedule": manifest.predicted,
                "bitstream": str(final / bitstream),
                "seconds": round(time.monotonic() - started, 1),
                "placed_as": str(like),
            }
        )
        (work / "result.json").write_text(json.dumps(result.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    return result


#: What place and route of one clock makes: cells by type, the placements, and patterns in place of weights.
Made = tuple[dict[str, int], Placements, Patterns | None]


def _fitted(
    board: Board, first: float, again: Callable[[float], tuple[float, Made]], work: Path, saved: Path
) -> tuple[float, Made]:
    """The fastest clock that a placement for it confirmed, and that placement, whose files are left in work.

    Another clock places differently: a clock that is not confirmed is asked for a little lower, and one that is
    confirmed by far is raised to what was reached. Where none is confirmed, it is the last one.

    Parameters
    ----------
    board : Board
    first : float
        MHz that were reached at another clock.
    again : callable
        Of a clock: the MHz that were reached, and what was made, in work.
    work, saved : Path
        Folders, the latter empty: what is kept while a faster clock is tried.
    """
    clock, least = _reached(board, first), first
    kept: tuple[float, Made] | None = None
    for number in range(1, CONFIRMATIONS + 1):
        reached, made = again(clock)
        if reached < clock:
            if kept is not None:
                shutil.copytree(saved, work, dirs_exist_ok=True)
                return kept
            least = min(least, reached)
            if number == CONFIRMATIONS:
                return clock, made
            clock = _reached(board, least * (1 - SPREAD * number))
            continue
        kept, faster = (clock, made), _reached(board, reached)
        if faster < (1 + GAIN) * clock or number == CONFIRMATIONS:
            return kept
        shutil.copytree(work, saved, dirs_exist_ok=True)
        clock = faster
    raise AssertionError("the last try returns")


def _reached(board: Board, most: float) -> float:
    """The fastest clock of the PLL's up to so many MHz that the line divides."""
    for clock in board.pll.clocks_below(board.oscillator_mhz, most):
        try:
            divisor_of(clock, board.baud)
        except ValueError:
            continue
        return clock
    raise ValueError(f"{board.name}: of {most:g} MHz, which was reached, the PLL and the line make no clock")


def measure(
    verilog_files: Sequence[Path | str],
    top: str,
    *,
    device: str = "ecp5-85f",
    frequency_mhz: float = 200,
    seed: int = 1,
    seeds: int = 1,
    placer: Placer = "heap",
    speed: int = 6,
    synth_arguments: str = "",
    work: Path | str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """fmax and cells of one module placed alone, without pads: paths from its inputs and to its outputs do not count.

    Parameters
    ----------
    verilog_files : sequence of Path or str
    top : str
        Module name.
    device : str
        An ECP5 of `rtl_gen.families`.
    frequency_mhz : float
        What the placer aims at.
    seed, seeds : int
        The first seed of the placer, and from how many it is tried; the fastest is what is measured.
    placer : "heap", "heap-timing" or "static"
    speed : int
        Speed grade.
    synth_arguments : str
        More options of the synthesis pass.
    work : Path or str, optional
        Folder that keeps scripts, logs, netlist and report; by default nothing is kept.
    progress : Progress

    Returns
    -------
    dict
        fmax_mhz (of the slowest clock, None without a path between registers), clock, luts, ffs, dsps, brams,
        lut_rams, cells (by type, before packing), critical_path (total_ns, logic_ns, routing_ns, start, end,
        steps) or None, device, frequency_mhz, seed (the one kept), seeds (as `SeedResults`), placer, seconds.
    """
    check_seeds(seed, seeds)
    started = time.monotonic()
    chosen = find_device(device)
    with tempfile.TemporaryDirectory(prefix="measure-") as temporary:
        folder = Path(temporary) if work is None else Path(work)
        folder.mkdir(parents=True, exist_ok=True)
        files = [Path(name) for name in verilog_files]
        cells = synthesise(files, top, folder, family_of(chosen), arguments=synth_arguments, progress=progress)
        found = place_seeds(
            folder,
            chosen,
            first=seed,
            count=seeds,
            speed=speed,
            frequency_mhz=frequency_mhz,
            placer=placer,
            progress=progress,
        )
    placed = found.best
    clock = placed.slowest
    path = placed.paths.get(clock) if clock is not None else None
    return {
        "fmax_mhz": placed.slowest_mhz,
        "clock": clock,
        **counts(placed.used, cells, family_of(chosen)),
        "lut_rams": placed.used.get("TRELLIS_RAMW", 0),
        "cells": cells,
        "critical_path": asdict(path) if path is not None else None,
        "device": device,
        "frequency_mhz": frequency_mhz,
        "seed": found.kept,
        "seeds": found.results.model_dump(mode="json"),
        "placer": placer,
        "seconds": round(time.monotonic() - started, 1),
    }


def counts(used: dict[str, int], cells: dict[str, int], family: Family) -> dict[str, int]:
    """luts, ffs, dsps and brams of nextpnr's cell counts; what it does not report is the netlist's."""
    placed, netlist = family.placed.of(used), family.counted(cells)
    return {
        kind: getattr(placed if getattr(family.placed, kind) else netlist, kind)
        for kind in ("luts", "ffs", "dsps", "brams")
    }
