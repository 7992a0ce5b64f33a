"""Multipliers: the one place where a product is formed, three cycles deep.

A `dsp` multiplier becomes an instance of the module `qtt_multiplier`, of which `primitives/` holds one Verilog model
per target: behavioural for simulators, the DSP block with its registers on for an FPGA family. A `logic` multiplier
adds shifted copies in LUTs, for operands so narrow that a DSP would be wasted.
"""

from __future__ import annotations

from typing import Literal

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["DSP_BITS", "MULTIPLY_LATENCY", "LaneKind", "Multiplier"]

#: Cycles from operands to product, for every kind.
MULTIPLY_LATENCY = 3
#: Signed operand width of the DSP block.
DSP_BITS = 18

LaneKind = Literal["dsp", "logic"]


class Multiplier(wiring.Component):
    """p = a * b, three cycles later, signed.

    Parameters
    ----------
    a, b : Shape
        Operand shapes; unsigned operands are extended. At most 18 signed bits each for a DSP.
    kind : "dsp" or "logic"
    """

    def __init__(self, a: Shape, b: Shape, kind: LaneKind = "dsp"):
        self.kind = kind
        for name, shape in (("a", a), ("b", b)):
            if kind == "dsp" and shape.width + (not shape.signed) > DSP_BITS:
                raise ValueError(f"operand {name} of {shape!r} does not fit a signed {DSP_BITS}-bit multiplier")
        super().__init__({"a": In(a), "b": In(b), "p": Out(signed(a.width + b.width + 1))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.kind == "logic":
            self._shift_and_add(m)
            return m
        a, b = Signal(signed(DSP_BITS)), Signal(signed(DSP_BITS))
        m.d.comb += [a.eq(self.a), b.eq(self.b)]
        if platform is None:
            a1, b1 = Signal.like(a), Signal.like(b)
            p1 = Signal(signed(2 * DSP_BITS))
            m.d.sync += [a1.eq(a), b1.eq(b), p1.eq(a1 * b1), self.p.eq(p1)]
            return m
        product = Signal(signed(2 * DSP_BITS))
        m.submodules.block = Instance(
            "qtt_multiplier",
            ("i", "clk", ClockSignal("sync")),
            ("i", "a", a),
            ("i", "b", b),
            ("o", "p", product),
        )
        m.d.comb += self.p.eq(product)
        return m

    def _shift_and_add(self, m: Module) -> None:
        """One copy of the wide operand per bit of the narrow one: registered, then added in pairs, then together."""
        operands = sorted((self.a, self.b), key=len)
        narrow, wide = (Signal.like(each, name=name) for each, name in zip(operands, ("narrow", "wide"), strict=True))
        m.d.sync += [narrow.eq(operands[0]), wide.eq(operands[1])]
        top = len(narrow) - 1
        terms: list[Value] = []
        for i in range(len(narrow)):
            term = Mux(narrow[i], wide << i, 0)
            terms.append(-term if narrow.shape().signed and i == top else term)
        partial: list[Value] = []
        for i in range(0, len(terms), 2):
            total = terms[i] + terms[i + 1] if i + 1 < len(terms) else terms[i]
            held = Signal(Value.cast(total).shape(), name=f"partial_{i // 2}")
            m.d.sync += held.eq(total)
            partial.append(held)
        m.d.sync += self.p.eq(sum(partial[1:], partial[0]))
