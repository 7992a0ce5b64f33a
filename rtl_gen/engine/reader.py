"""Reads a program from its ROM, word by word, for ever."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl_gen.engine.code import Code
from rtl_gen.families import Family

__all__ = ["LEAST_CYCLES", "ProgramReader"]

#: From one `take` to the next.
LEAST_CYCLES = 2


class ProgramReader(wiring.Component):
    """The words of a program in turn, a new one in the cycle after each `take`.

    Behind the memory stands a register without an enable, the block RAM's own, and behind it the head. What moves them
    is the address, which is one ahead in the cycle of a `take`; so the register has the next word in the second cycle
    after it.

    Members
    -------
    o : Out
        The word at hand, while `valid`.
    take : In
        The next one, please; only while `valid`, and at the earliest `LEAST_CYCLES` after the one before.
    """

    def __init__(self, code: Code, family: Family):
        self.code, self.family = code, family
        super().__init__({"o": Out(code.layout), "valid": Out(1), "take": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = self.code.integers()
        kind = self.family.memory
        if len(words) == 1 and kind.exchangeable:
            words = 2 * words  # which no synthesis takes for a constant
        layout = self.code.layout.as_shape()
        m.submodules.words = memory = Memory(
            shape=layout,
            depth=len(words),
            init=words,
            attrs=dict(kind.block_rom if kind.uses_block(len(words)) or kind.exchangeable else kind.logic_rom),
        )
        port = memory.read_port()
        read = Signal(layout, reset_less=True)
        # Some cycles after reset the first word is in the head, and the second in the register.
        age, moves = Signal(3), Signal()
        address, after = Signal.like(port.addr), Signal.like(port.addr, init=1 % len(words))
        with m.If(~self.valid):
            m.d.sync += [age.eq(age + 1), self.valid.eq(age == 3)]
        m.d.comb += [
            moves.eq(self.take | (age == 2)),
            port.en.eq(1),
            port.addr.eq(Mux(moves, after, address)),
        ]
        m.d.sync += read.eq(port.data)
        with m.If(moves):
            m.d.sync += [
                self.o.eq(read),
                address.eq(after),
                after.eq(Mux(after == len(words) - 1, 0, after + 1)),
            ]
        return m
