"""Where an ECP5's multipliers lie: in rows from one side to the other, four of them to a column.

Project Trellis' database says the same of every tile (`tilegrid.json`; `tests/rtl_gen/test_ecp5_sites.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from rtl_gen.families.site import Site

__all__ = ["ecp5_sites"]


@dataclass(frozen=True)
class _Die:
    """Columns and rows of tiles: where groups of four begin, and the rows that they lie in."""

    columns: tuple[int, ...]
    rows: tuple[int, ...]


_SMALL = _Die((4, 13, 22, 33, 42, 51, 60), (13,))
_DIES = {
    "ecp5-12f": _SMALL,
    "ecp5-25f": _SMALL,
    "ecp5-45f": _Die((4, 13, 22, 31, 42, 51, 60, 69, 78), (22, 46)),
    "ecp5-85f": _Die((4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114), (10, 34, 58)),
}
#: Of each of a group: how far from its column it lies, and its number in the name that nextpnr has for it.
_GROUP = ((0, 0), (1, 1), (4, 4), (5, 5))


def ecp5_sites(device: str) -> dict[str, tuple[Site, ...]]:
    """The sites of a device's hard blocks by type of cell, row by row.

    Parameters
    ----------
    device : str
        An ECP5 of `rtl_gen.families`.
    """
    die = _DIES[device]
    sites = (
        Site(column + offset, row, f"X{column + offset}/Y{row}/MULT18_{number}")
        for row in die.rows
        for column in die.columns
        for offset, number in _GROUP
    )
    return {"MULT18X18D": tuple(sites)}
