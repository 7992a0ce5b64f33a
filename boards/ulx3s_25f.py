"""ULX3S with an LFE5U-25F: the board of `boards.ulx3s_85f` with another FPGA."""

from __future__ import annotations

from dataclasses import replace

from boards import ulx3s_85f

__all__ = ["BOARD"]

BOARD = replace(ulx3s_85f.BOARD, name="ulx3s-25f", device="ecp5-25f")
