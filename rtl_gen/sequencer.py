"""Issues the steps of a windowed stage, one a cycle, and turns them into buffer and ROM addresses.

Two parts. The gate holds the next position until its inputs have arrived. The loop nest (group, tap along D, tap
along H, run along W, and input word where the run cannot take it in) issues a step in every cycle in which a position
is at hand and the output has credit for the result that the step completes. Behind the issue point nothing waits: the
addresses are sums in a pipeline that runs free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.memory import READ_LATENCY
from rtl_gen.walker import Walker, WalkerShape, _bits

__all__ = ["ADDRESS_LATENCY", "DATA_LATENCY", "GroupLevel", "LoopShape", "Sequencer"]

#: Cycles from the issue of a step to its addresses.
ADDRESS_LATENCY = 3
#: Cycles from the issue of a step to the words that it reads.
DATA_LATENCY = ADDRESS_LATENCY + READ_LATENCY


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
    """

    walk: WalkerShape
    inner_stride: int
    groups: tuple[GroupLevel, ...]
    order: tuple[int, ...]
    rom_depth: int
    result_words: int
    credits: int

    def __post_init__(self) -> None:
        if self.order and len(self.order) != self.results:
            raise ValueError(f"{len(self.order)} group offsets for {self.results} groups")
        if self.credits < self.result_words:
            raise ValueError(f"{self.credits} credits cannot hold one result of {self.result_words} words")

    @property
    def results(self) -> int:
        """Results per position."""
        return math.prod(level.count for level in self.groups)


class _Level:
    """One loop: steps left, whether this is the last, and a value that grows by a constant each step."""

    def __init__(self, m: Module, name: str, rest_shape: int, strides: Sequence[int], limits: Sequence[int]):
        self.m = m
        self.rest = Signal(rest_shape, name=f"{name}_rest")
        self.last = Signal(name=f"{name}_last")
        self.strides = strides
        self.values = [Signal(_bits(limit), name=f"{name}_value{i}") for i, limit in enumerate(limits)]

    def load(self, rest: Value, starts: Sequence[Value | int]) -> None:
        self.m.d.sync += [self.rest.eq(rest), self.last.eq(rest == 0)]
        self.m.d.sync += [value.eq(start) for value, start in zip(self.values, starts, strict=True)]

    def step(self) -> None:
        self.m.d.sync += [self.rest.eq(self.rest - 1), self.last.eq(self.rest == 1)]
        self.m.d.sync += [v.eq(v + s) for v, s in zip(self.values, self.strides, strict=True)]


class _Groups:
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
            Signal(_bits(stride * level.count), name=f"{name}_{i}") if stride else None
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

    def load(self) -> None:
        self.m.d.sync += [self.flat.eq(0), self.last.eq(self.shape.results == 1)]
        for i in range(len(self.levels)):
            self._load(i)

    def step(self) -> None:
        self.m.d.sync += [self.flat.eq(self.flat + 1), self.last.eq(self.flat == self.shape.results - 2)]
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
            return _sum([value for value in self.offsets if value is not None])
        found = Signal(_bits(max(order)))
        with self.m.Switch(self.flat):
            for index, entry in enumerate(order):
                with self.m.Case(index):
                    self.m.d.comb += found.eq(entry)
        return found


def _sum(values: Sequence[Value]) -> Value:
    return sum(values[1:], values[0]) if values else Const(0, 1)


class Sequencer(wiring.Component):
    """Steps of all positions, in order, for ever.

    Members
    -------
    written : In
        Words in the ring since reset.
    released : Out
        Words that may be overwritten.
    freed : In
        High in each cycle in which one output word leaves the output's memory.
    address, rom_address : Out
        `ADDRESS_LATENCY` cycles after the issue.
    valid, first, last : Out
        A step's words are at hand in this cycle; it is the first, the last of its result. `DATA_LATENCY` after issue.
    row : Out
        The average's row, valid with `last`.
    """

    def __init__(self, shape: LoopShape):
        self.shape = shape
        walk = shape.walk
        super().__init__(
            {
                "written": In(unsigned(walk.pointer_bits)),
                "released": Out(unsigned(walk.pointer_bits)),
                "freed": In(1),
                "address": Out(unsigned(_bits(walk.ring - 1))),
                "rom_address": Out(unsigned(_bits(max(shape.rom_depth - 1, 1)))),
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "row": Out(unsigned(_bits(len(walk.row_counts)))),
            }
        )

    def _gate(self, m: Module, take: Value) -> tuple[data.View, Value]:
        """The next position, once all its inputs have arrived; the one behind it is held as well.

        With two places, whether the gate opens does not depend on `take` in the same cycle, and the loop nest's
        decisions do not reach the walker.
        """
        walk = self.shape.walk
        m.submodules.walker = walker = Walker(walk)
        layout = walk.descriptor()
        waiting, passed, head, behind = (Signal(layout, name=n) for n in ("waiting", "passed", "head", "behind"))
        waiting_valid, head_valid, behind_valid = Signal(), Signal(), Signal()
        margin = Signal(walk.pointer_bits)
        arrived, fire = Signal(), Signal()
        m.d.comb += [
            margin.eq(self.written - waiting.need),
            arrived.eq(~margin[-1]),
            fire.eq(waiting_valid & walker.valid & arrived & ~behind_valid),
            walker.advance.eq(fire | ~waiting_valid),
            # A finished position releases all that its successor does not keep.
            passed.eq(waiting),
            passed.keep.eq(walker.o.keep),
        ]
        with m.If(walker.valid & walker.advance):
            m.d.sync += [waiting.eq(walker.o), waiting_valid.eq(1)]
        with m.If(take | ~head_valid):
            m.d.sync += [head.eq(Mux(behind_valid, behind, passed)), head_valid.eq(behind_valid | fire)]
            m.d.sync += behind_valid.eq(0)
        with m.Elif(fire):
            m.d.sync += behind_valid.eq(1)
        with m.If(fire):
            m.d.sync += behind.eq(passed)
        return data.View(layout, head), head_valid

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, walk = self.shape, self.shape.walk
        active, issue, take = Signal(), Signal(), Signal()
        following, following_valid = self._gate(m, take)
        current = Signal(walk.descriptor())

        levels = self._levels(m, following)
        groups = _Groups(m, shape)

        credits = Signal(range(shape.credits + 1), init=shape.credits)
        credit = Signal(init=1)
        completes, finishes, first = Signal(), Signal(), Signal(init=1)
        m.d.comb += [
            completes.eq(Cat(level.last for level in levels).all()),
            finishes.eq(completes & groups.last),
            issue.eq(active & (~completes | credit)),
            take.eq(following_valid & (~active | (issue & finishes))),
        ]
        remaining = Signal.like(credits)
        m.d.comb += remaining.eq(credits - Mux(issue & completes, shape.result_words, 0) + self.freed)
        m.d.sync += [credits.eq(remaining), credit.eq(remaining >= shape.result_words)]

        with m.If(take):
            m.d.sync += [current.eq(following), active.eq(1), first.eq(1)]
            groups.load()
            self._load(levels, following)
        with m.Elif(issue):
            m.d.sync += [active.eq(~finishes), first.eq(completes)]
            with m.If(completes):
                groups.step()
                self._load(levels, current)
            with m.Else():
                self._step(m, levels, current)

        # A position's words are released once its last read is past; the address pipeline delays it.
        done = Signal()
        kept = Signal.like(self.released)
        m.d.sync += [done.eq(issue & finishes), kept.eq(current.keep)]
        with m.If(done):
            m.d.sync += self.released.eq(kept)

        self._addresses(m, current, levels, groups)
        flags = Signal(3)
        m.d.comb += flags.eq((issue & completes) << 2 | (issue & first) << 1 | issue)
        for _ in range(DATA_LATENCY):
            delayed = Signal.like(flags)
            m.d.sync += delayed.eq(flags)
            flags = delayed
        m.d.comb += [self.valid.eq(flags[0]), self.first.eq(flags[1]), self.last.eq(flags[2])]
        row = Signal.like(self.row)
        m.d.comb += row.eq(current.row)
        for _ in range(DATA_LATENCY):
            later = Signal.like(row)
            m.d.sync += later.eq(row)
            row = later
        m.d.comb += self.row.eq(row)
        return m

    def _levels(self, m: Module, position: data.View) -> list[_Level]:
        """The loops over one result's steps, innermost first; D is last."""
        shape, walk = self.shape, self.shape.walk
        plane_words, line_words, words = walk.geometry.strides
        tap_d, tap_h, tap_w = walk.tap_strides
        limits = (walk.ring, tap_d * walk.geometry.axes[0].kernel if shape.rom_depth else 1)
        run = (shape.inner_stride, 1) if walk.merged else (words, tap_w)
        levels = [
            _Level(m, "inner", len(position.rest_i), run, limits),
            _Level(m, "tap_h", len(position.rest_h), (line_words, tap_h), limits),
            _Level(m, "tap_d", len(position.rest_d), (plane_words, tap_d), limits),
        ]
        if walk.merged:
            return levels
        return [_Level(m, "channel", _bits(walk.inner - 1), (shape.inner_stride, 1), limits), *levels]

    def _starts(self, position: data.View) -> list[tuple[Value, tuple[Value | int, ...]]]:
        """Steps less one and first values of each level."""
        walk = self.shape.walk
        starts: list[tuple[Value, tuple[Value | int, ...]]] = [
            (position.rest_i, (0, position.tap_w)),
            (position.rest_h, (0, position.tap_h)),
            (position.rest_d, (0, position.tap_d)),
        ]
        return starts if walk.merged else [(Const(walk.inner - 1), (0, 0)), *starts]

    def _load(self, levels: Sequence[_Level], position: data.View) -> None:
        for level, (rest, values) in zip(levels, self._starts(position), strict=True):
            level.load(rest, values)

    def _step(self, m: Module, levels: Sequence[_Level], position: data.View, at: int = 0) -> None:
        """Level `at` steps; where it is at its last it starts again and those above step."""
        level = levels[at]
        if at == len(levels) - 1:
            level.step()
            return
        with m.If(~level.last):
            level.step()
        with m.Else():
            rest, values = self._starts(position)[at]
            level.load(rest, values)
            self._step(m, levels, position, at + 1)

    def _addresses(self, m: Module, current: data.View, levels: Sequence[_Level], groups: _Groups) -> None:
        """ring: (base + offsets) modulo the ring; rom: sum of the levels' ROM values. Three stages each."""
        ring = self.shape.walk.ring
        *inner, high, deep = levels
        bits = _bits(2 * ring)
        near, far, total = Signal(bits), Signal(bits), Signal(bits)
        m.d.sync += [
            near.eq(_sum([current.base, *(level.values[0] for level in inner)])),
            far.eq(high.values[0] + deep.values[0] + groups.offset()),
            total.eq(near + far),
        ]
        reduced = Signal(bits + 1)
        m.d.comb += reduced.eq(total - ring)
        m.d.sync += self.address.eq(Mux(reduced[-1], total, reduced))

        low, top, rom = (Signal.like(self.rom_address) for _ in range(3))
        m.d.sync += [
            low.eq(_sum([*(level.values[1] for level in inner), high.values[1]])),
            top.eq(_sum([deep.values[1], *(value for value in groups.rom if value is not None)])),
            rom.eq(low + top),
            self.rom_address.eq(rom),
        ]
