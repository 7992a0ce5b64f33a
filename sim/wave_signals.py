"""What a trace holds: module `waves`, which stands beside a design and shows its streams under the names of its stages.

Payloads are split into their lanes, integers as the golden model has them, and every stream says of which sample and
which position the word at hand is. Nothing in the design changes: its wires are read by their hierarchical names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sim.tracing import CLOCK, CYCLE, FIRST, INSTANCE
from sim.wave_units import Stream, Unit

__all__ = ["CLOCK", "CYCLE", "FIRST", "INSTANCE", "Group", "Scope", "Signal", "scopes_of", "verilog"]

#: Names that the references to the design begin with, and those of the module: no scope is called so.
_OWN = {"harness", INSTANCE, CYCLE, FIRST}
_AXES = "dhwc"


@dataclass(frozen=True)
class Signal:
    """A signal of the trace.

    Parameters
    ----------
    name : str
    bits : int
    signed : bool
    kind : "handshake", "place", "value" or "fill"
    """

    name: str
    bits: int
    signed: bool
    kind: str

    @property
    def declared(self) -> str:
        """Its type in Verilog."""
        return f"{'signed ' if self.signed else ''}{f'[{self.bits - 1}:0] ' if self.bits > 1 else ''}{self.name}"


@dataclass(frozen=True)
class Group:
    """The signals of a stream, in a scope of its name in the unit's scope; or without name those of the unit itself."""

    name: str
    title: str
    signals: tuple[Signal, ...]
    stream: Stream | None = None


@dataclass(frozen=True)
class Scope:
    """A unit's scope."""

    name: str
    unit: Unit
    groups: tuple[Group, ...]


def scopes_of(units: Sequence[Unit]) -> list[Scope]:
    """A scope for each unit, called as in the Verilog, and otherwise only where the module's own names need it."""
    taken, found = set(_OWN), list[Scope]()
    for unit in units:
        name = unit.name
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        groups = [_group(stream) for stream in unit.streams]
        if unit.depth is not None:
            fill = Signal("fill", unit.depth.bit_length(), False, "fill")
            groups.insert(0, Group("", f"words inside, at most {unit.depth}", (fill,)))
        found.append(Scope(name, unit, tuple(groups)))
    return found


def _group(stream: Stream) -> Group:
    form = stream.format
    sign = "signed" if form.signed else "unsigned"
    scale = "" if form.frac == 0 else f", value = integer x 2^{-form.frac}"
    title = f"words of {stream.lanes} x {form.bits} bits, {sign}{scale}; D, H, W, C = {list(stream.shape)}"
    values = [Signal(f"v{lane}", form.bits, form.signed, "value") for lane in range(stream.lanes)]
    if stream.last:
        values.append(Signal("last", 1, False, "value"))
    handshake = [Signal(name, 1, False, "handshake") for name in ("valid", "ready")]
    place = [Signal(name, 32, False, "place") for name in ("sample", *(axis for axis, _ in _places(stream)))]
    return Group(stream.name, title, (*handshake, *place, *values), stream)


def _places(stream: Stream) -> Iterator[tuple[str, str]]:
    """Axes on which a word's first value has a place, each with what makes it of the word's number."""
    below = 1
    terms = []
    for axis, size in reversed(list(zip(_AXES, stream.shape, strict=True))):
        if size > 1 and stream.lanes % (below * size):
            terms.append((axis, f"word * {stream.lanes} / {below} % {size}"))
        below *= size
    if stream.lanes % below:
        yield from reversed([(axis, text) for axis, text in terms])


def verilog(scopes: Sequence[Scope]) -> str:
    """Module `waves`."""
    lines = [
        f"module {INSTANCE};",
        f"    wire {CLOCK} = harness.clk;",
        f"    wire signed [31:0] {CYCLE} = harness.cycle[31:0];",
        f"    reg [31:0] {FIRST};",
        f'    initial if (!$value$plusargs("{FIRST}=%d", {FIRST})) {FIRST} = 0;',
    ]
    for scope in scopes:
        lines.append(f"    if (1) begin : {scope.name}")
        for group in scope.groups:
            if group.stream is not None:
                lines += [f"        if (1) begin : {group.name}", *_stream(group), "        end"]
            else:
                lines += _fill(group.signals[0])
        lines.append("    end")
    return "\n".join([*lines, "endmodule\n"])


def _stream(group: Group) -> Iterator[str]:
    stream = group.stream
    assert stream is not None
    space, bits = " " * 12, stream.format.bits
    places = dict(_places(stream))
    wire = f"harness.dut.\\{stream.wires}__"
    yield f"{space}reg [31:0] sample, word;"
    for signal in group.signals:
        if signal.kind == "handshake":
            made = f"{wire}{signal.name} "
        elif signal.name in places:
            made = places[signal.name]
        elif signal.name == "sample":
            continue
        elif stream.bits == 1:
            made = f"{wire}payload "
        elif signal.name == "last":
            made = f"{wire}payload [{stream.bits - 1}]"
        else:
            low = bits * int(signal.name[1:])
            made = f"{wire}payload [{low + bits - 1}:{low}]"
        yield f"{space}wire {signal.declared} = {made};"
    yield f"{space}always @(posedge {CLOCK})"
    yield f"{space}    if (harness.rst) begin sample <= {FIRST}; word <= 0; end"
    yield f"{space}    else if (valid && ready) begin"
    yield f"{space}        word <= word == {stream.words - 1} ? 0 : word + 1;"
    yield f"{space}        sample <= sample + (word == {stream.words - 1});"
    yield f"{space}    end"


def _fill(signal: Signal) -> Iterator[str]:
    yield f"        reg {signal.declared};"
    yield f"        always @(posedge {CLOCK})"
    yield f"            if (harness.rst) {signal.name} <= 0;"
    yield f"            else {signal.name} <= {signal.name} + (i.valid && i.ready) - (o.valid && o.ready);"
