"""The loops of a windowed stage: their shape, and the counters and address parts that each of them keeps in hardware.

Each loop has a register for the steps left, one that says whether this is its last, and a value for each address that
grows by a constant with every step; nothing is multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.utils import bits_for

from rtl_gen.walker import WalkerShape

__all__ = ["GroupLevel", "Groups", "Level", "LoopShape", "Start", "summed"]


@dataclass(frozen=True)
class GroupLevel:
    """A loop over results of a position: how many, and what each step adds to the ring's and the ROM's address."""

    count: int
    stride: int
    rom_stride: int


@dataclass(frozen=True)
class LoopShape:
    """The loop nest of a stage.

    Parameters
    ----------
    walk : WalkerShape
    inner_stride : int
        Ring words from one inner step to the next: of the run along W when the walk is merged, of the loop over input
        words otherwise.
    groups : tuple of GroupLevel
        The loops over results, fastest first; those of one step are left out.
    order : tuple of int, [results per position]
        Ring words added for each result in place of the levels' strides; empty when those say it all.
    rom_depth : int
        ROM words; 0 when there is no ROM.
    result_words : int
        Output words per result, which is the credit it needs.
    credits : int
        Output words that may be on their way.
    pace : int
        Cycles from one step to the next, at the least: 1, or 2 where the ring has one port.
    """

    walk: WalkerShape
    inner_stride: int
    groups: tuple[GroupLevel, ...]
    order: tuple[int, ...]
    rom_depth: int
    result_words: int
    credits: int
    pace: int = 1

    def __post_init__(self) -> None:
        if self.order and len(self.order) != self.results:
            raise ValueError(f"{len(self.order)} group offsets for {self.results} groups")
        if self.credits < self.result_words:
            raise ValueError(f"{self.credits} credits cannot hold one result of {self.result_words} words")

    @property
    def results(self) -> int:
        """Results per position."""
        return math.prod(level.count for level in self.groups)


@dataclass(frozen=True)
class Start:
    """Where a loop starts: steps less one, whether there is one step only, and the first values."""

    rest: Value
    once: Value
    values: tuple[Value | int, ...]


class Level:
    """One loop: steps left, whether this is the last, and a value that grows by a constant each step."""

    def __init__(self, m: Module, name: str, rest_shape: int, strides: Sequence[int], limits: Sequence[int]):
        self.m = m
        self.rest = Signal(rest_shape, name=f"{name}_rest")
        self.last = Signal(name=f"{name}_last")
        self.strides = strides
        self.values = [Signal(bits_for(limit), name=f"{name}_value{i}") for i, limit in enumerate(limits)]

    def load(self, start: Start) -> None:
        self.m.d.sync += [self.rest.eq(start.rest), self.last.eq(start.once)]
        self.m.d.sync += [value.eq(first) for value, first in zip(self.values, start.values, strict=True)]

    def step(self) -> None:
        self.m.d.sync += [self.rest.eq(self.rest - 1), self.last.eq(self.rest == 1)]
        self.m.d.sync += [v.eq(v + s) for v, s in zip(self.values, self.strides, strict=True)]


class Groups:
    """The loops over a position's results, and their parts of the ring's and the ROM's address."""

    def __init__(self, m: Module, shape: LoopShape):
        self.m, self.shape, self.levels = m, shape, shape.groups
        self.flat = Signal(range(max(shape.results, 2)), name="group")
        self.last = Signal(init=shape.results == 1, name="group_last")
        below = self.levels[:-1]
        self.index = [Signal(range(level.count), name=f"group_{i}") for i, level in enumerate(below)]
        self.at_last = [Signal(name=f"group_{i}_last") for i in range(len(below))]
        self.offsets = self._values("group_offset", [level.stride for level in self.levels])
        self.rom = self._values("group_rom", [level.rom_stride for level in self.levels])

    def _values(self, name: str, strides: Sequence[int]) -> list[Signal | None]:
        """A value for each level that adds something."""
        return [
            Signal(bits_for(stride * level.count), name=f"{name}_{i}") if stride else None
            for i, (level, stride) in enumerate(zip(self.levels, strides, strict=True))
        ]

    def _step(self, i: int) -> None:
        level = self.levels[i]
        for value, stride in ((self.offsets[i], level.stride), (self.rom[i], level.rom_stride)):
            if value is not None:
                self.m.d.sync += value.eq(value + stride)
        if i < len(self.index):
            index = self.index[i]
            self.m.d.sync += [index.eq(index + 1), self.at_last[i].eq(index == level.count - 2)]

    def _load(self, i: int) -> None:
        self.m.d.sync += [value.eq(0) for value in (self.offsets[i], self.rom[i]) if value is not None]
        if i < len(self.index):
            self.m.d.sync += [self.index[i].eq(0), self.at_last[i].eq(0)]

    @property
    def last_but_one(self) -> Value:
        return self.flat == self.shape.results - 2

    def load(self) -> None:
        self.m.d.sync += [self.flat.eq(0), self.last.eq(self.shape.results == 1)]
        for i in range(len(self.levels)):
            self._load(i)

    def step(self) -> None:
        self.m.d.sync += [self.flat.eq(self.flat + 1), self.last.eq(self.last_but_one)]
        if self.levels:
            self._carry(0)

    def _carry(self, i: int) -> None:
        """Level i steps, and where it is at its last, those above it."""
        if i == len(self.index):
            self._step(i)
            return
        with self.m.If(self.at_last[i]):
            self._load(i)
            self._carry(i + 1)
        with self.m.Else():
            self._step(i)

    def offset(self) -> Value:
        """Ring words to the group's first word."""
        order = self.shape.order
        if not order:
            return summed([value for value in self.offsets if value is not None])
        found = Signal(bits_for(max(order)))
        with self.m.Switch(self.flat):
            for index, entry in enumerate(order):
                with self.m.Case(index):
                    self.m.d.comb += found.eq(entry)
        return found


def summed(values: Sequence[Value]) -> Value:
    """The sum of some values; 0 if there are none."""
    return sum(values[1:], values[0]) if values else Const(0, 1)
