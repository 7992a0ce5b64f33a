"""What a tracing simulator is made with and told, and what its times mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "CLOCK",
    "CYCLE",
    "FIRST",
    "INSTANCE",
    "PERIOD",
    "RESET",
    "SETTLE",
    "SETTLED",
    "Tracing",
    "Waves",
    "Window",
    "time_of",
]

#: The module of what a trace shows, its instance in module `harness`, and its own signals.
INSTANCE, CLOCK, CYCLE = "waves", "clk", "cycle"
#: The run-time option that says the number of the first sample: +first=N.
FIRST = "first"

#: Units of time (ns) of a cycle; the clock rises at its begin.
PERIOD = 10
#: Clock edges with rst = 1, and then edges without a word offered, in which units fill their own pipelines. Cycle 0 is
#: the first one after.
RESET, SETTLE = 3, 17
SETTLED = RESET + SETTLE


def time_of(cycle: int) -> int:
    """The time of a trace at which a cycle begins: all that changes in it is seen from then on."""
    return PERIOD * (cycle + SETTLED)


class Waves(BaseModel):
    """A trace that was written.

    Parameters
    ----------
    file : Path
    gtkwave, surfer : Path
        Views of it.
    first_cycle, last_cycle : int
        Which cycles it has, counted as `FirstDifference.cycle` is.
    signals : int
        That the views' scopes have.
    bytes : int
    """

    model_config = ConfigDict(frozen=True)

    file: Path
    gtkwave: Path
    surfer: Path
    first_cycle: int
    last_cycle: int
    signals: int
    bytes: int


@dataclass(frozen=True)
class Tracing:
    """How a simulator is compiled that can write a trace.

    Parameters
    ----------
    verilog : str
        Module `waves` of `sim.wave_signals`.
    form : "vcd" or "fst"
    inside : bool
        The trace has every signal of the design, too.
    """

    verilog: str
    form: Literal["vcd", "fst"]
    inside: bool = False


@dataclass(frozen=True)
class Window:
    """What a run writes of itself.

    Parameters
    ----------
    file : Path
        Absolute.
    first, last : int, optional
        Cycles; the run ends after the last one. The whole run, from its reset on, where they are not given.
    """

    file: Path
    first: int = -SETTLED
    last: int = (1 << 63) - 1
