"""The Verilog that stands around a design in every simulator: module `harness`, ports of short, fixed names."""

from __future__ import annotations

from rtl_gen.manifest import Manifest
from sim.rules import SOURCE as RULES
from sim.tracing import SETTLE, Tracing

__all__ = ["TOP", "declared", "ports", "rules_ports", "verilog"]

TOP = "harness"

#: What the rules of the streams are told and tell; see `rules.v`.
_TOLD = ("words_in", "words_out", "drain", "watchdog")
_COUNTS = ("cycle", "last", "taken", "given")


def ports(manifest: Manifest) -> list[tuple[str, int, str, str | None]]:
    """Ports of module `harness`: "input" or "output", bits, name, and the port of the design that it is joined to."""
    found: list[tuple[str, int, str, str | None]] = [
        ("input", 1, "clk", "clk"),
        ("input", 1, "rst", "rst"),
        ("input", manifest.input.bits, "i_payload", "i__payload"),
        ("input", 1, "i_valid", "i__valid"),
        ("output", 1, "i_ready", "i__ready"),
        ("output", manifest.output.bits, "o_payload", "o__payload"),
        ("output", 1, "o_valid", "o__valid"),
        ("input", 1, "o_ready", "o__ready"),
    ]
    for index, tap in enumerate(manifest.taps):
        found.append(("output", 1, f"t{index}_strobe", tap.strobe))
        found.append(("output", tap.bits, f"t{index}_payload", tap.payload))
    if manifest.taps:  # all strobes at once: where each read costs, a cycle without any takes one
        found.append(("output", len(manifest.taps), "strobes", None))
    return [*found, *rules_ports()]


def rules_ports() -> list[tuple[str, int, str, None]]:
    """Ports of module `harness` that are the rules', as of `ports`."""
    told: list[tuple[str, int, str, None]] = [("input", 64, name, None) for name in _TOLD]
    return [*told, ("output", 3, "status", None), *(("output", 64, name, None) for name in _COUNTS)]


def declared(way: str, bits: int, name: str) -> str:
    """A port or signal in Verilog."""
    return f"{way} wire {f'[{bits - 1}:0] ' if bits > 1 else ''}{name}"


def verilog(manifest: Manifest, tracing: Tracing | None = None) -> str:
    """Module `harness`, the design between its ports, and the rules of its streams beside it; to trace, also its waves.

    Its widths are the manifest's, so that a design of other widths is refused by the simulator's lint. Names without
    double underscores are the same in Verilog, in Verilator's C++ class and in Python.

    Reset goes through a register: were the design's reset an input, Verilator would compute
    every next state anew whenever any input could have changed.
    """
    listed = ",\n".join(f"    {declared(way, bits, name)}" for way, bits, name, _ in ports(manifest))
    # escaped identifiers, because a tap's port carries the name of its stage
    inside = [(f"\\{port} ", "reset" if name == "rst" else name) for _, _, name, port in ports(manifest) if port]
    taps = [(f"t{index}_strobe", f"t{index}_payload", tap.bits) for index, tap in enumerate(manifest.taps)]
    watched = ["clk", "rst", "i_valid", "i_ready", "o_payload", "o_valid", "o_ready", *_TOLD, "status", *_COUNTS]
    strobes = ", ".join(strobe for strobe, _, _ in reversed(taps))
    any_strobe = "|strobes" if taps else "1'b0"
    unknown = " || ".join(
        f"^{{{strobe}, {strobe} ? {payload} : {{{bits}{{1'b0}}}}}} === 1'bx" for strobe, payload, bits in taps
    )
    design, rules = (
        ",\n".join(f"        .{port}({signal})" for port, signal in joined)
        for joined in (
            inside,
            [*((name, name) for name in watched), ("strobe", any_strobe), ("unknown", unknown or "1'b0")],
        )
    )
    text = (
        f"module {TOP} (\n{listed}\n);\n    reg reset;\n    always @(posedge clk) reset <= rst;\n"
        f"    {manifest.top} dut (\n{design}\n    );\n{f'    assign strobes = {{{strobes}}};{chr(10)}' if taps else ''}"
        f"    stream_rules #(.SETTLE({SETTLE}), .BITS({manifest.output.bits})) rules (\n{rules}\n    );\nendmodule\n\n"
        f"{RULES.read_text(encoding='utf-8')}"
    )
    if tracing is None:
        return text
    waves, end = "    waves waves ();\n", "endmodule\n\n"
    if tracing.inside:
        return text.replace(end, f"{waves}{end}", 1) + tracing.verilog
    # Verilator alone reads these comments: it traces what stands between on and off
    on, off = "/*verilator tracing_on*/\n", "/*verilator tracing_off*/\n"
    return off + text.replace(end, f"{on}{waves}{off}{end}", 1) + on + tracing.verilog
