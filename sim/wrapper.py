"""The Verilog that stands around a design in every simulator: module `harness`, ports of short, fixed names."""

from __future__ import annotations

from pathlib import Path

from rtl_gen.manifest import Manifest

__all__ = ["RESET", "SETTLE", "TOP", "verilog", "write_sources"]

TOP = "harness"
#: Clock edges with rst = 1, and then edges without a word offered, in which units fill their own pipelines. Cycle 0 is
#: the first one after.
RESET, SETTLE = 3, 17


def verilog(manifest: Manifest) -> str:
    """Module `harness`: ports clk, rst, i_payload, i_valid, i_ready, o_payload, o_valid, o_ready, t0_strobe, ...

    Its widths are the manifest's, so that a design of other widths is refused by the simulator's lint. Names without
    double underscores are the same in Verilog, in Verilator's C++ class and in Python.

    Reset goes through a register: were the design's reset an input, Verilator would compute
    every next state anew whenever any input could have changed.
    """
    payload = "[{}:0] ".format
    ports = [
        ("input", "", "clk", "clk"),
        ("input", "", "rst", "rst"),
        ("input", payload(manifest.input.bits - 1), "i_payload", "i__payload"),
        ("input", "", "i_valid", "i__valid"),
        ("output", "", "i_ready", "i__ready"),
        ("output", payload(manifest.output.bits - 1), "o_payload", "o__payload"),
        ("output", "", "o_valid", "o__valid"),
        ("input", "", "o_ready", "o__ready"),
    ]
    for index, tap in enumerate(manifest.taps):
        ports.append(("output", "", f"t{index}_strobe", tap.strobe))
        ports.append(("output", payload(tap.bits - 1), f"t{index}_payload", tap.payload))
    declared = ",\n".join(f"    {way} wire {bits}{name}" for way, bits, name, _ in ports)
    # escaped identifiers, because a tap's port carries the name of its stage
    connected = ",\n".join(f"        .\\{port} ({'reset' if name == 'rst' else name})" for _, _, name, port in ports)
    return (
        f"module {TOP} (\n{declared}\n);\n    reg reset;\n    always @(posedge clk) reset <= rst;\n"
        f"    {manifest.top} dut (\n{connected}\n    );\nendmodule\n"
    )


def write_sources(build: Path, manifest: Manifest, work: Path) -> list[Path]:
    """Write the wrapper into `work` and return everything that Verilator takes, in order.

    Warnings are off in the design, whose generator trims and extends on purpose, and fatal in the wrapper: a port of
    another width than the manifest's is an error.
    """
    design = [(build / name).resolve() for name in manifest.sources.simulation]
    wrapper, lint = work / f"{TOP}.v", work / f"{TOP}.vlt"
    wrapper.write_text(verilog(manifest), encoding="utf-8")
    lines = ["`verilator_config", *(f'lint_off -file "{source}"' for source in design)]
    lint.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [lint, *design, wrapper]
