"""The engine that proves a design inside its AXI wrapper: bus models of cocotbext-axi around module `qtt_axi`."""

from __future__ import annotations

from rtl_gen.manifest import Manifest
from rtl_gen.wrapper.ports import wrapper_ports
from sim.cocotb_run import Bench, run_cocotb
from sim.job import Completed, Job, Outcome
from sim.rules import SOURCE as RULES
from sim.toolchain import package_folder
from sim.tracing import SETTLE, Tracing
from sim.wrapper import TOP, declared, rules_ports

__all__ = ["AXI", "run_axi"]


def run_axi(job: Job, completed: Completed) -> Outcome:
    """Every sample of a job over the buses, and what the registers say of it.

    The stalls of a job are those of AXI4-Stream; with them the channels of AXI4-Lite stall, too.

    Raises
    ------
    ValueError
        When the BUILD has no wrapper, or as of `sim.cocotb_run.run_cocotb`.
    """
    if job.manifest.wrapper is None:
        raise ValueError(f"{job.build}: has no AXI wrapper; emit it with --wrapper axi-stream")
    package_folder("cocotbext.axi", "cocotbext-axi")
    return run_cocotb(job, completed, bench=AXI)


def _verilog(manifest: Manifest, tracing: Tracing | None) -> str:
    """Module `harness`: the wrapper's ports brought out, and the rules of the streams beside it."""
    assert manifest.wrapper is not None
    ports = wrapper_ports(manifest)
    listed: list[tuple[str, int, str]] = [(port.way, port.bits, port.name) for port in ports]
    listed += [(way, bits, name) for way, bits, name, _ in rules_ports()]
    text = ",\n".join(f"    {declared(*port)}" for port in listed)
    joined = ",\n".join(f"        .{port.name}({port.name})" for port in ports)
    watched = {
        **{"clk": "aclk", "rst": "!aresetn", "i_valid": "s_axis_tvalid", "i_ready": "s_axis_tready"},
        "o_payload": "{m_axis_tuser, m_axis_tlast, m_axis_tkeep, m_axis_tdata}",
        **{"o_valid": "m_axis_tvalid", "o_ready": "m_axis_tready", "strobe": "1'b0", "unknown": "1'b0"},
        **{name: name for _, _, name, _ in rules_ports()},
    }
    rules = ",\n".join(f"        .{port}({signal})" for port, signal in watched.items())
    out = {port.name: port.bits for port in ports}
    bits = out["m_axis_tdata"] + out["m_axis_tkeep"] + 2
    return (
        f"module {TOP} (\n{text}\n);\n    {manifest.wrapper.top} dut (\n{joined}\n    );\n"
        f"    stream_rules #(.SETTLE({SETTLE}), .BITS({bits})) rules (\n{rules}\n    );\nendmodule\n\n"
        f"{RULES.read_text(encoding='utf-8')}"
    )


def _more(manifest: Manifest) -> tuple[str, ...]:
    assert manifest.wrapper is not None
    return (manifest.wrapper.source,)


AXI = Bench("axi", "sim.axi_bench", _verilog, _more)
