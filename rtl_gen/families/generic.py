"""Plain Verilog from which any tool infers multipliers and memories, told where by attributes it knows.

The attributes are those of Vivado (and yosys), Quartus and GowinSynthesis. No package of pip places designs for
Xilinx or Intel devices: what is checked is that yosys' `synth_xilinx` and `synth_intel_alm` infer the blocks.
"""

from __future__ import annotations

from rtl_gen.families.blocks import MemoryPrimitive, MultiplierPrimitive
from rtl_gen.families.counts import Counting, Fit
from rtl_gen.families.family import Family
from rtl_gen.families.resources import Device, Resources
from rtl_gen.families.tools import CellModels, Synthesis

__all__ = ["GENERIC"]

GENERIC = Family(
    name="generic",
    title="generic",
    # Budgets in DSP48E1, RAMB18, LUT6 and flip-flops.
    devices=(
        Device("generic"),
        Device("xc7a35t", 90, 100, 20800, 41600),
        Device("xc7a100t", 240, 270, 63400, 126800),
    ),
    multiplier=MultiplierPrimitive("DSP48E1", 18, 3, "multiplier_generic.v", "multiplier_sim.v"),
    memory=MemoryPrimitive(
        cell="RAMB18E1",
        shapes=((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)),
        block_depth=65,
        lut_depth=32,
        block_rom={"rom_style": "block", "syn_romstyle": "block_rom"},
        logic_rom={"romstyle": "logic", "syn_romstyle": "distributed_rom"},
        block_ram={"ram_style": "block", "ramstyle": "no_rw_check", "syn_ramstyle": "block_ram", "no_rw_check": 1},
        shallow_ram={
            "ram_style": "distributed",
            "ramstyle": "MLAB, no_rw_check",
            "syn_ramstyle": "distributed_ram",
            "no_rw_check": 1,
        },
        queue_ram={"ram_style": "distributed", "ramstyle": "MLAB", "syn_ramstyle": "distributed_ram"},
    ),
    lut_share=0.70,
    overhead=Resources(dsps=0, brams=1, luts=1250, ffs=660),
    fit=Fit(luts=0.7),
    netlist=Counting(
        dsps={"DSP48E1": 1},
        brams={"RAMB18E1": 1, "RAMB36E1": 2},
        luts={**{f"LUT{n}": 1 for n in range(1, 7)}, "RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "SRL16E": 1},
        ffs={"FDRE": 1, "FDSE": 1, "FDCE": 1, "FDPE": 1},
    ),
    placed=Counting(),
    synthesis=Synthesis("synth_xilinx -flatten", after=("simplemap t:$buf", "opt_clean")),
    models=CellModels(files=("xilinx/cells_sim.v",), blocks="blocks_generic.v"),
    placing=None,
)
