"""The slowest paths that a placer reports, by the stages whose registers and memories they lead from and to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from boards.place import CriticalPath
from rtl_gen.identifiers import identifiers

__all__ = ["StagePath", "stage_paths"]

#: The design within the board's top level.
DESIGN = "accelerator."
#: What synthesis and the placer add to the name of what a cell holds.
_CELL = re.compile(
    r"(?:_(?:TRELLIS_|LUT[1-4]|CCU2C|PFUMX|L6MUX21|DP16KD|MULT18X18|SB_|DFF|ALU|MUX2_LUT|RAM16|SP_|DPB_|SDPB|SDPX9B)|\$).*"
)
#: Units that stand between stages, by the end of their names.
_BETWEEN = {
    "fork": "fork behind it",
    "fifo": "FIFO before it",
    "split": "split before it",
    "gather": "gather before it",
}


class StagePath(BaseModel):
    """A path from one register or memory to another, by the stages that they belong to.

    Attributes
    ----------
    start, end : str
        "STAGE: what in it"; of what is of no stage, the cell.
    through : tuple of str
        The stages that it leads through, those of its ends included, in order.
    total_ns, logic_ns, routing_ns : float
    """

    model_config = ConfigDict(frozen=True)

    start: str
    end: str
    through: tuple[str, ...]
    total_ns: float
    logic_ns: float
    routing_ns: float


def stage_paths(paths: Iterable[CriticalPath], stages: Sequence[str]) -> tuple[StagePath, ...]:
    """Paths by stage, the slowest first.

    Parameters
    ----------
    paths : iterable of CriticalPath
    stages : sequence of str
        Names of the design's stages, in order.
    """
    names = dict(zip(identifiers(stages), stages, strict=True)) | {"argmax": "argmax", "input": "input"}
    found = [
        StagePath(
            start=_named(path.start, names),
            end=_named(path.end, names),
            through=tuple(_passed(path.cells, names)),
            total_ns=path.total_ns,
            logic_ns=path.logic_ns,
            routing_ns=path.routing_ns,
        )
        for path in paths
    ]
    return tuple(sorted(found, key=lambda path: -path.total_ns))


def _stage(cell: str, names: Mapping[str, str]) -> tuple[str, str] | None:
    """The stage of a cell, and what of it; None of what is of no stage."""
    if not cell.startswith(DESIGN):
        return None
    unit, _, rest = cell.removeprefix(DESIGN).partition(".")
    known = [name for name in names if unit == name or unit.startswith(f"{name}__")]
    if not known:
        return None
    name = max(known, key=len)
    between = _BETWEEN.get(unit.removeprefix(name).rpartition("__")[2], "")
    return names[name], ", ".join(filter(None, (between, _CELL.sub("", rest))))


def _named(cell: str, names: Mapping[str, str]) -> str:
    found = _stage(cell, names)
    if found is None:
        return _CELL.sub("", cell)
    stage, what = found
    return f"{stage}: {what}" if what else stage


def _passed(cells: Iterable[str], names: Mapping[str, str]) -> Iterator[str]:
    """Each stage when the path comes into it."""
    last = None
    for cell in cells:
        found = _stage(cell, names)
        stage = None if found is None else found[0]
        if stage is not None and stage != last:
            yield stage
        last = stage
