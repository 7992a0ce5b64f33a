"""The verbs from a model to a bitstream as functions on files or objects: for the command line and for notebooks.

Each returns a typed result, which is what the command line prints with --json.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qtt_hw.data import Splits
from qtt_hw.evaluation import samples_of
from qtt_hw.graph import Graph
from qtt_hw.graph.file import load
from qtt_hw.graph.preprocess import preprocess
from qtt_hw.progress import Progress, silent

if TYPE_CHECKING:
    from boards.build import BuildResult
    from boards.place import Placer
    from boards.program import ProgramResult
    from rtl_gen.manifest import Manifest
    from rtl_gen.plan.plan import Plan
    from sim.cosim import CosimResult

__all__ = ["WAVE_SAMPLES", "build", "cosim", "emit", "program"]

#: Samples of a trace, unless it is said how many.
WAVE_SAMPLES = 2


def emit(
    model: Graph | str | Path,
    build: str | Path,
    plan: Plan | str | Path | None = None,
    *,
    taps: bool = False,
    wrapper: Literal["axi-stream"] | None = None,
    exchangeable: bool = False,
    like: str | Path | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Write the BUILD folder of a model: Verilog whose outputs are its integers, the model, the plan and a manifest.

    Parameters
    ----------
    model : Graph or path of a model.qtt
    build : path
        Created; an existing BUILD folder is replaced, anything else is refused.
    plan : Plan or path, optional
        Without one, the fastest for the default device.
    taps : bool
        Bring out every stage's output for comparison.
    wrapper : "axi-stream", optional
        Also write a module around the design, with AXI4-Stream for data and AXI4-Lite for control, and its registers
        as a C header, a Python class and a page.
    exchangeable : bool
        Make a design that takes other weights: with room for their sums and scales, all ROMs in block RAM.
    like : path, optional
        A BUILD that was made so: this one becomes the same but for the contents of ROMs, under its plan.
    progress : callable, optional
        Called with one line of text now and then.

    Returns
    -------
    Manifest
        What the folder holds: files, ports, taps, and the predicted cycle in which every inference ends.

    Raises
    ------
    ValueError
        When the folder holds something else, the plan is of another model, or the model does not fit into the other
        BUILD's design; nothing is written then.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from torch import nn
    >>> import qtt_hw
    >>> raw = np.random.default_rng(0).random((40, 4, 4, 4)) < 0.5
    >>> x = torch.from_numpy(raw).float()[:, None]
    >>> prepared = qtt_hw.prepare(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), x[:1])
    >>> prepared.calibrate([x])
    >>> graph = qtt_hw.freeze(prepared.eval(), qtt_hw.input_spec((4, 4, 4, 1)), name="own")
    >>> manifest = qtt_hw.emit(graph, "own-build", qtt_hw.plan(graph, "ecp5-25f"))
    >>> manifest.top, manifest.sources.simulation
    ('qtt_top', ('design.v', 'primitives_sim.v'))
    >>> manifest.input.words, manifest.output.words  # a voxel a word; two logits, then the class
    (64, 3)

    A folder with anything else in it is left as it is:

    >>> from pathlib import Path
    >>> Path("notes").mkdir()
    >>> _ = Path("notes", "own.txt").write_text("mine")
    >>> qtt_hw.emit(graph, "notes")
    Traceback (most recent call last):
        ...
    ValueError: notes: exists and is not a BUILD folder; choose another name
    """
    from rtl_gen.emit import emit as write

    return write(
        model,
        build,
        plan,
        taps=taps,
        wrapper=wrapper,
        exchangeable=exchangeable,
        like=like,
        progress=progress,
    )


def cosim(
    build: str | Path,
    data: Splits | str | Path,
    samples: int | None = None,
    *,
    split: str = "test",
    engine: Literal["verilator", "icarus", "cocotb", "pyverilator", "axi"] = "verilator",
    stalls: bool = False,
    seed: int = 0,
    waves: str | Path | None = None,
    around_difference: int | None = None,
    inside: bool = False,
    progress: Progress = silent,
) -> CosimResult:
    """Simulate a BUILD on the first samples of a split and compare every integer that comes out with the golden model.

    With taps, every stage's output is compared, else the logits and the class. Samples go back to back in runs of 128,
    each from a reset of its own; the cycle in which each inference ends is compared with the predicted one.

    Parameters
    ----------
    build : path
        Folder that `emit` wrote.
    data : Splits or a source that `qtt_hw.data.load` knows
    samples : int, optional
        The whole split unless given, or with `waves` alone the first two.
    split : str
        train, validation or test.
    engine : "verilator", "icarus", "cocotb", "pyverilator" or "axi"
        Verilator compiles the design first, which takes seconds to minutes, and is then the fastest. The last sends
        the samples over the buses of the AXI wrapper, and compares its registers with what was seen.
    stalls : bool
        Random stalls of source and sink.
    seed : int
        Of the stalls.
    waves : path, optional
        A trace to write, .vcd or .fst: every stage's streams under its name. Views of it for GTKWave and Surfer are
        saved beside it, NAME.gtkw and NAME.sucl. Of one run, which are 128 samples at most.
    around_difference : int, optional
        The trace has only so many cycles before the first difference and a quarter as many behind it; where there is
        none, nothing is written.
    inside : bool
        The trace has every signal inside the stages, too.
    progress : callable, optional
        Called with the number of samples that have come out.

    Returns
    -------
    CosimResult
        With `equal`, the `first_difference` by stage, index and cycle, `cycles`, `latency`, and what was predicted;
        `waves` says which files were written.

    Raises
    ------
    ValueError
        One line that names the folder, the data set, the option or the simulator that is not what is needed; not when
        integers differ.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from torch import nn
    >>> import qtt_hw
    >>> raw = np.random.default_rng(0).random((40, 4, 4, 4)) < 0.5
    >>> x = torch.from_numpy(raw).float()[:, None]
    >>> prepared = qtt_hw.prepare(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), x[:1])
    >>> prepared.calibrate([x])
    >>> graph = qtt_hw.freeze(prepared.eval(), qtt_hw.input_spec((4, 4, 4, 1)), name="own")
    >>> _ = qtt_hw.emit(graph, "own-build", taps=True)
    >>> np.savez("own.npz", x=raw, y=np.arange(40) % 2, x_test=raw, y_test=np.arange(40) % 2)
    >>> result = qtt_hw.cosim("own-build", "own.npz", samples=4)
    >>> result.equal, result.samples, result.first_difference
    (True, 4, None)
    >>> result.cycles == result.predicted_cycles and result.latency == result.predicted_latency
    True
    >>> qtt_hw.cosim("own-build", "own.npz", samples=50)
    Traceback (most recent call last):
        ...
    ValueError: samples must be 1 to 40, the size of the test split, got 50
    """
    from rtl_gen.manifest import Manifest
    from sim.cosim import cosim as simulate

    build = Path(build)
    graph = load(build / Manifest.load(build).model)
    raw = samples_of(graph, data, split)[split].x
    if samples is None and waves is not None and around_difference is None:
        samples = min(WAVE_SAMPLES, len(raw))
    if samples is not None:
        if not 0 < samples <= len(raw):
            raise ValueError(f"samples must be 1 to {len(raw)}, the size of the {split} split, got {samples}")
        raw = raw[:samples]
    x = preprocess(graph.input, raw)
    return simulate(
        build,
        x,
        engine=engine,
        stalls=stalls,
        seed=seed,
        waves=waves,
        around_difference=around_difference,
        inside=inside,
        progress=progress,
    )


def build(
    build: str | Path,
    board: str = "ulx3s-85f",
    *,
    frequency_mhz: float | None = None,
    fit_clock: bool = False,
    baud: int | None = None,
    seed: int = 1,
    seeds: int = 1,
    placer: Placer = "heap",
    placed_as: str | Path | None = None,
    progress: Progress = silent,
) -> BuildResult:
    """Synthesise, place and route a BUILD for a board and write its bitstream into the folder.

    Takes minutes; what it writes stands in BUILD/BOARD.

    Parameters
    ----------
    build : path
        Folder that `emit` wrote.
    board : str
        A board's name or `file.py:Board`.
    frequency_mhz : float, optional
        Clock of the design in MHz; the board's own unless given.
    fit_clock : bool
        Build, set the PLL to the fastest clock that was reached, and build again to confirm it.
    baud : int, optional
        Bits a second of the link, in place of the board's; `run_on_board` is to be told the same.
    seed, seeds : int
        The first seed of the placer, and from how many it is tried: side by side, a process for each processor, and
        the fastest is kept.
    placer : "heap", "heap-timing" or "static"
        The last one for designs that fill the block RAM.
    placed_as : path, optional
        A BUILD with a bitstream for this board, which this one was emitted `like`: its placed design is taken, and the
        weights exchanged, in seconds.
    progress : callable, optional
        Called with one line of text now and then.

    Returns
    -------
    BuildResult
        With `bitstream`, its path; `fmax_mhz`, `meets_timing`; `luts`, `ffs`, `dsps`, `brams` used and `predicted`;
        `seeds`, the fmax of each.

    Raises
    ------
    ValueError
        One line: no such board, no BUILD, a design that does not fit, or a tool that is missing or fails.

    Examples
    --------
    >>> import qtt_hw
    >>> result = qtt_hw.build("own-build", "ulx3s-85f")  # doctest: +SKIP
    >>> print(f"{result.fmax_mhz} MHz, {result.luts} LUT, {result.predicted.luts} predicted")  # doctest: +SKIP
    165.76 MHz, 12744 LUT, 13429 predicted

    The folder is one that `emit` wrote, the board one that is known, or your own as `file.py:Board`:

    >>> qtt_hw.build("own-build", "ulx3s-85f")
    Traceback (most recent call last):
        ...
    ValueError: own-build/manifest.json: there is no manifest; make the folder with `qtt emit`
    >>> qtt_hw.build("own-build", "no-board")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: board 'no-board' is not known; known are ulx3s-85f, ..., or FILE.py:NAME
    """
    import boards
    from boards.build import build as synthesise

    chosen = boards.load(board)
    if baud is not None:
        chosen = replace(chosen, baud=baud)
    return synthesise(
        Path(build),
        chosen,
        frequency_mhz=frequency_mhz,
        fit_clock=fit_clock,
        seed=seed,
        seeds=seeds,
        placer=placer,
        placed_as=placed_as,
        progress=progress,
    )


def program(
    build: str | Path,
    board: str = "ulx3s-85f",
    *,
    cable: str | None = None,
    flash: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> ProgramResult:
    """Send the bitstream that `build` made for a board to the board, by openFPGALoader.

    Parameters
    ----------
    build : path
        Folder that `emit` wrote, and `build` put a bitstream into.
    board : str
        A board's name or `file.py:Board`.
    cable : str, optional
        What openFPGALoader calls the cable: of a board that it does not know, or with another one.
    flash : bool
        Into the flash memory that the board starts from, rather than into the FPGA, which forgets.
    dry_run : bool
        Only say by which command.
    progress : callable, optional
        Called with one line of text now and then.

    Returns
    -------
    ProgramResult
        With `bitstream`, `command` and `done`.

    Raises
    ------
    ValueError
        One line: no such board, no bitstream, no loader, a library that it lacks, no board that answers.

    Examples
    --------
    >>> import qtt_hw
    >>> qtt_hw.program("own-build", "ulx3s-85f")
    Traceback (most recent call last):
        ...
    ValueError: own-build: there is no such BUILD
    """
    import boards
    from boards.program import program as send

    return send(build, boards.load(board), cable=cable, flash=flash, dry_run=dry_run, progress=progress)
