"""The cell that makes a board's clock of its oscillator's: which clocks it can make, and its instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amaranth.hdl import Instance, Value

__all__ = ["Pins", "Pll", "PllSetting"]


@dataclass(frozen=True)
class PllSetting:
    """Dividers of the oscillator, of the feedback and of the output, and the clock that they make."""

    reference: int
    feedback: int
    output: int
    clock_mhz: float


#: Parameters and ports of the cell, as `amaranth.hdl.Instance` takes them: of the setting, the oscillator's MHz, what
#: the packer calls the device, and signals for the cell's input, its output, and whether it is locked.
Pins = Callable[[PllSetting, float, str, "Value", "Value", "Value"], dict[str, Any]]


@dataclass(frozen=True)
class Pll:
    """A PLL with one output.

    Parameters
    ----------
    cell : str
    reference, feedback, output : sequence of int
        What its dividers can be.
    vco_mhz, reference_mhz, output_mhz : (float, float)
        Least and most of what its oscillator runs at, of what it compares, and of what it makes.
    fed_back : bool
        The output is fed back, and so is oscillator * feedback / reference MHz; otherwise the PLL's oscillator is, and
        the output is divided from it.
    pins : callable
    """

    cell: str
    reference: Sequence[int]
    feedback: Sequence[int]
    output: Sequence[int]
    vco_mhz: tuple[float, float]
    reference_mhz: tuple[float, float]
    output_mhz: tuple[float, float]
    fed_back: bool
    pins: Pins

    def settings(self, oscillator_mhz: float) -> Iterator[PllSetting]:
        """All that can be made of an oscillator's clock."""
        least, most = self.vco_mhz
        for reference in self.reference:
            if not self.reference_mhz[0] <= oscillator_mhz / reference <= self.reference_mhz[1]:
                continue
            for feedback in self.feedback:
                made = oscillator_mhz * feedback / reference
                for output in self.output:
                    vco, clock = (made * output, made) if self.fed_back else (made, made / output)
                    if least <= vco <= most and self.output_mhz[0] <= clock <= self.output_mhz[1]:
                        yield PllSetting(reference, feedback, output, clock)

    def setting(self, oscillator_mhz: float, clock_mhz: float) -> PllSetting:
        """The dividers for a clock; raises ValueError with the nearest clock when there are none."""
        found = list(self.settings(oscillator_mhz))
        if not found:
            raise ValueError(f"no PLL setting makes any clock of {oscillator_mhz:g} MHz")
        middle = sum(self.vco_mhz) / 2

        def worse(setting: PllSetting) -> tuple[float, int, float]:
            vco = setting.clock_mhz * setting.output
            return abs(setting.clock_mhz - clock_mhz), setting.reference, abs(vco - middle)

        best = min(found, key=worse)
        if not abs(best.clock_mhz - clock_mhz) <= 1e-6:  # NaN too
            near = f"{best.clock_mhz:g} MHz is the nearest"
            raise ValueError(f"no PLL setting makes {clock_mhz:g} MHz of {oscillator_mhz:g} MHz; {near}")
        return best

    def clocks_below(self, oscillator_mhz: float, most_mhz: float) -> list[float]:
        """The clocks of at most so many MHz that can be made, the fastest first."""
        return sorted({s.clock_mhz for s in self.settings(oscillator_mhz) if s.clock_mhz <= most_mhz}, reverse=True)

    def instance(
        self, setting: PllSetting, oscillator_mhz: float, part: str, *, oscillator: Value, clock: Value, locked: Value
    ) -> Instance:
        """The cell, between signals for its input, its output, and whether it is locked."""
        from amaranth.hdl import Instance  # which takes long, where only names of devices are asked for

        return Instance(self.cell, **self.pins(setting, oscillator_mhz, part, oscillator, clock, locked))
