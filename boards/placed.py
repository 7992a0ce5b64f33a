"""What place and route made of a board's bitstream, as Verilog of the placer's cells."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path
from typing import NamedTuple

from boards.board import Board
from boards.build import BuildResult
from boards.place import place
from boards.synthesis import NETLIST, netlist_verilog
from boards.top import TOP
from qtt_hw.files import scratch_folder
from qtt_hw.progress import Progress, silent
from qtt_hw.reading import read_json
from rtl_gen.families import device as find_device
from rtl_gen.identifiers import file_name

__all__ = ["PlacedDesign", "placed_design"]

_WRITTEN = "written.json"


class PlacedDesign(NamedTuple):
    """Verilog of a board's top level in the placer's cells, those cells' types, and its clock in MHz."""

    verilog: str
    cells: frozenset[str]
    clock_mhz: float


def placed_design(build: Path | str, board: Board, *, progress: Progress = silent) -> PlacedDesign:
    """The placed design of a BUILD's bitstream: it is placed again, as it was, and written as a netlist this time.

    Parameters
    ----------
    build : path
        Folder that `qtt emit` wrote, and `qtt build` a bitstream for the board into.
    board : Board
    progress : Progress

    Raises
    ------
    ValueError
        When there is no bitstream, or of the family's placed cells no models; when it is not placed as it was, by
        another version of nextpnr.
    """
    folder, placing = Path(build) / file_name(board.name), board.placing
    if placing.simulated is None:
        raise ValueError(
            f"{board.family.title}: of what its placer makes there are no models here; `qtt cosim` takes the design, "
            "and sim.netlist.netlist_build makes a BUILD of its netlist"
        )
    if not (folder / "result.json").is_file():
        raise ValueError(f"{folder}: there is no bitstream; make it with `qtt build {build} --board {board.name}`")
    result = read_json(folder / "result.json", BuildResult)
    with scratch_folder(folder) as work:
        place(
            *(work, find_device(board.device)),
            package=board.package,
            speed=board.speed,
            frequency_mhz=board.pll.setting(board.oscillator_mhz, result.clock_mhz).clock_mhz,
            seed=result.seed,
            placer=result.placer,
            netlist=folder / NETLIST,
            constraints=folder / f"board{placing.constraints.suffix}",
            written=_WRITTEN,
            progress=progress,
        )
        if not filecmp.cmp(work / placing.placed, folder / placing.placed, shallow=False):
            raise ValueError(f"{folder}: nextpnr places it otherwise today; build it again")
        netlist = json.loads((work / _WRITTEN).read_text(encoding="utf-8"))
        placing.simulated(netlist, TOP, "clk")
        (work / _WRITTEN).write_text(json.dumps(netlist), encoding="utf-8")
        cells = {cell["type"] for cell in netlist["modules"][TOP]["cells"].values()}
        text = netlist_verilog(work, TOP, netlist=_WRITTEN, progress=progress).read_text(encoding="utf-8")
    return PlacedDesign(text, frozenset(cell for cell in cells if not cell.startswith("$")), result.clock_mhz)
