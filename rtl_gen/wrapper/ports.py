"""The ports of a design and of its wrapper, as tables: RTL, harness, lists and templates are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtl_gen.identifiers import file_name
from rtl_gen.manifest import Manifest
from rtl_gen.wrapper.registers import ADDRESS_BITS

__all__ = ["AXI_LITE", "Port", "bytes_of", "design_ports", "wrapper_ports"]


@dataclass(frozen=True)
class Port:
    """A port of a module."""

    way: Literal["input", "output"]
    bits: int
    name: str
    text: str


def bytes_of(bits: int) -> int:
    """Bytes of a word of the stream."""
    return -(-bits // 8)


def _lite() -> tuple[Port, ...]:
    ways: dict[str, Literal["input", "output"]] = {"i": "input", "o": "output"}
    table = (
        *(("awaddr", "i", ADDRESS_BITS), ("awprot", "i", 3), ("awvalid", "i", 1), ("awready", "o", 1)),
        *(("wdata", "i", 32), ("wstrb", "i", 4), ("wvalid", "i", 1), ("wready", "o", 1)),
        *(("bresp", "o", 2), ("bvalid", "o", 1), ("bready", "i", 1)),
        *(("araddr", "i", ADDRESS_BITS), ("arprot", "i", 3), ("arvalid", "i", 1), ("arready", "o", 1)),
        *(("rdata", "o", 32), ("rresp", "o", 2), ("rvalid", "o", 1), ("rready", "i", 1)),
    )
    return tuple(Port(ways[way], bits, f"s_axi_{name}", "AXI4-Lite") for name, way, bits in table)


#: The control bus.
AXI_LITE = _lite()


def wrapper_ports(manifest: Manifest) -> tuple[Port, ...]:
    """Ports of the wrapper, named as the tools of FPGA vendors name them."""
    given, out = manifest.input, manifest.output
    wide, narrow = bytes_of(given.bits), bytes_of(out.value_bits)
    padded = 8 * wide - given.bits
    data = f"{_lanes(manifest)}{f'; the upper {padded} are ignored' if padded else ''}"
    value = f"a value of {out.value_bits} bits, signed, extended to whole bytes"
    return (
        Port("input", 1, "aclk", "of all three buses"),
        Port("input", 1, "aresetn", "low for 16 cycles or more; synchronous"),
        Port("input", 8 * wide, "s_axis_tdata", data),
        Port("input", wide, "s_axis_tkeep", "all 1: a word has all its bytes"),
        Port("input", 1, "s_axis_tlast", f"the end of a sample: with word {given.words} of it"),
        Port("input", 1, "s_axis_tvalid", "AXI4-Stream"),
        Port("output", 1, "s_axis_tready", "AXI4-Stream"),
        Port("output", 8 * narrow, "m_axis_tdata", value),
        Port("output", narrow, "m_axis_tkeep", "all 1"),
        Port("output", 1, "m_axis_tlast", f"the end of an answer: {out.words - 1} logits, then the class with it"),
        Port("output", 1, "m_axis_tuser", "the sample's packet was faulty: see register ERRORS"),
        Port("output", 1, "m_axis_tvalid", "AXI4-Stream"),
        Port("input", 1, "m_axis_tready", "AXI4-Stream"),
        *AXI_LITE,
    )


def design_ports(manifest: Manifest) -> tuple[Port, ...]:
    """Ports of the design itself."""
    given, out = manifest.input, manifest.output
    reset = "high for 3 cycles or more; a word that comes 17 cycles behind or later makes the predicted cycles"
    value = f"bits {out.value_bits - 1} to 0 a value, signed; bit {out.value_bits} the end of an answer"
    both = "it is taken in a cycle in which both are 1"
    taps = []
    for tap in manifest.taps:
        taps.append(Port("output", 1, tap.strobe, f"a word of stage {file_name(tap.stage)} is in the tap"))
        taps.append(Port("output", tap.bits, tap.payload, f"{tap.lanes} x {tap.lane_bits} bits; {tap.words} a sample"))
    return (
        Port("input", 1, "clk", "all ports are of its rising edge"),
        Port("input", 1, "rst", reset),
        Port("input", given.bits, "i__payload", _lanes(manifest)),
        Port("input", 1, "i__valid", f"a word is offered, and stays; {given.words} words are a sample"),
        Port("output", 1, "i__ready", both),
        Port("output", out.bits, "o__payload", value),
        Port("output", 1, "o__valid", f"a word is offered, and stays; {out.words - 1} logits, then class and end"),
        Port("input", 1, "o__ready", both),
        *taps,
    )


def _lanes(manifest: Manifest) -> str:
    """What a word of the input is."""
    given = manifest.input
    kind = "signed" if given.signed else "unsigned"
    return f"{given.lanes} x {given.lane_bits} bits, {kind}, the first in the low bits"
