"""Reads a program from its ROM, word by word, for ever."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl_gen.engine.code import Code
from rtl_gen.families import Family

__all__ = ["ProgramReader"]


class ProgramReader(wiring.Component):
    """The words of a program in turn, a new one in the cycle after each `take`.

    Members
    -------
    o : Out
        The word at hand, while `valid`.
    take : In
        The next one, please; only while `valid`.
    """

    def __init__(self, code: Code, family: Family):
        self.code, self.family = code, family
        super().__init__({"o": Out(code.layout), "valid": Out(1), "take": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = self.code.integers()
        block = self.family.memory.uses_block(len(words))
        m.submodules.words = memory = Memory(
            shape=self.code.layout.size and self.code.layout.as_shape(),
            depth=len(words),
            init=words,
            attrs={"rom_style": "block" if block else "logic"},
        )
        port = memory.read_port()
        # Behind the memory's own register stands another one, the head; both move up when there is room.
        read, moves = Signal(), Signal()
        m.d.comb += [moves.eq(~self.valid | self.take), port.en.eq(~read | moves)]
        with m.If(port.en):
            m.d.sync += [read.eq(1), port.addr.eq(Mux(port.addr == len(words) - 1, 0, port.addr + 1))]
        with m.If(moves):
            m.d.sync += [self.o.eq(port.data), self.valid.eq(read)]
        return m
