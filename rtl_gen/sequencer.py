"""Issues the steps of a windowed stage, one a cycle, and turns them into buffer and ROM addresses.

Three parts. The gate holds the next position until its inputs have arrived. The loop nest (group, tap along D, tap
along H, run along W, and input word where the run cannot take it in) makes a step in every cycle in which a position is
at hand. A step that completes a result then waits, as the pending one, until the output has credit for the result.
Behind this point nothing waits: the addresses are sums in a pipeline that runs free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.memory import READ_LATENCY
from rtl_gen.reduce import delay
from rtl_gen.walker import Walker, WalkerShape, _bits

__all__ = ["ADDRESS_LATENCY", "DATA_LATENCY", "GroupLevel", "LoopShape", "Sequencer"]

#: Cycles from a step in the loop nest to its addresses, when it need not wait for credit; it is issued in the next one.
ADDRESS_LATENCY = 3
#: Cycles from a step in the loop nest to the words that it reads.
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


@dataclass(frozen=True)
class _Start:
    """Where a loop starts: steps less one, whether there is one step only, and the first values."""

    rest: Value
    once: Value
    values: tuple[Value | int, ...]


class _Level:
    """One loop: steps left, whether this is the last, and a value that grows by a constant each step."""

    def __init__(self, m: Module, name: str, rest_shape: int, strides: Sequence[int], limits: Sequence[int]):
        self.m = m
        self.rest = Signal(rest_shape, name=f"{name}_rest")
        self.last = Signal(name=f"{name}_last")
        self.strides = strides
        self.values = [Signal(_bits(limit), name=f"{name}_value{i}") for i, limit in enumerate(limits)]

    def load(self, start: _Start) -> None:
        self.m.d.sync += [self.rest.eq(start.rest), self.last.eq(start.once)]
        self.m.d.sync += [value.eq(first) for value, first in zip(self.values, start.values, strict=True)]

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
        `ADDRESS_LATENCY` cycles after the step.
    valid, first, last : Out
        A step's words are at hand in this cycle; it is the first, the last of its result. `DATA_LATENCY` after it.
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
        """The next position, and whether all its inputs have arrived; up to two behind it are held as well.

        Positions move up whether or not their inputs are there, so that the comparison with what has been written ends
        in a register; and because of the place between, the loop nest's decisions do not reach the walker.
        """
        walk = self.shape.walk
        m.submodules.walker = walker = Walker(walk)
        layout = walk.descriptor()
        waiting, passed, behind, head = (Signal(layout, name=n) for n in ("waiting", "passed", "behind", "head"))
        waiting_valid, behind_valid, head_valid, head_ready = Signal(), Signal(), Signal(), Signal()
        fire = Signal()

        def arrived(position: data.View) -> Value:
            margin = Signal(walk.pointer_bits)
            m.d.comb += margin.eq(self.written - position.need)
            return ~margin[-1]

        m.d.comb += [
            fire.eq(waiting_valid & walker.valid & ~behind_valid),
            walker.advance.eq(fire | ~waiting_valid),
            # A finished position releases all that its successor does not keep.
            passed.eq(waiting),
            passed.keep.eq(walker.o.keep),
        ]
        with m.If(walker.valid & walker.advance):
            m.d.sync += [waiting.eq(walker.o), waiting_valid.eq(1)]
        m.d.sync += head_ready.eq(head_valid & arrived(head))
        with m.If(take | ~head_valid):
            m.d.sync += [
                head.eq(Mux(behind_valid, behind, passed)),
                head_valid.eq(behind_valid | fire),
                head_ready.eq(Mux(behind_valid, arrived(behind), fire & arrived(waiting))),
                behind_valid.eq(0),
            ]
        with m.Elif(fire):
            m.d.sync += behind_valid.eq(1)
        with m.If(fire):
            m.d.sync += behind.eq(passed)
        return data.View(layout, head), head_ready

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, walk = self.shape, self.shape.walk
        # The step that waits for its credit, with the first sums of its addresses; `stalls` if it needs credit at all.
        pending, pending_first, stalls, stalls_last = Signal(), Signal(), Signal(), Signal()
        credit = self._credit(m, stalls)
        passes, issue = Signal(), Signal()
        m.d.comb += [passes.eq(~stalls | credit), issue.eq(pending & passes)]

        # The loop nest moves on whenever `pending` does. Whether this step is its result's last, and its position's,
        # are registers: neither they nor the credit go through more than one function to the enables.
        active, completes, finishes, first = Signal(), Signal(), Signal(), Signal()
        take, swap, move = Signal(), Signal(), Signal()
        following, following_ready = self._gate(m, take)
        current = Signal(walk.descriptor())
        levels, groups = self._levels(m, following), _Groups(m, shape)
        m.d.comb += [
            swap.eq(following_ready & (~active | finishes)),
            move.eq(passes | ~active),
            take.eq(swap & move),
        ]
        with m.If(move):
            m.d.sync += [active.eq(swap | (active & ~finishes)), first.eq(swap | completes)]
            with m.If(swap):
                m.d.sync += [current.eq(following), completes.eq(following.once)]
                m.d.sync += finishes.eq(following.once if shape.results == 1 else 0)
                groups.load()
                self._load(levels, following)
            with m.Elif(completes):
                m.d.sync += [completes.eq(current.once), finishes.eq(current.once & groups.last_but_one)]
                groups.step()
                self._load(levels, current)
            with m.Else():
                ends = self._ends(levels, current)
                m.d.sync += [completes.eq(ends), finishes.eq(ends & groups.last)]
                self._step(m, levels, current)
        kept, row = Signal.like(self.released), Signal.like(self.row)
        with m.If(passes):
            m.d.sync += [
                pending.eq(active),
                pending_first.eq(first),
                stalls.eq(active & completes),
                stalls_last.eq(active & finishes),
                kept.eq(current.keep),
                row.eq(current.row),
            ]
        self._addresses(m, passes, current, levels, groups)

        # A position's words are released with its last step; the address pipeline and the ring delay what follows.
        with m.If(stalls_last & credit):
            m.d.sync += self.released.eq(kept)
        flags = delay(m, Cat(issue, issue & pending_first, stalls & credit), DATA_LATENCY - 1, "flags")
        m.d.comb += Cat(self.valid, self.first, self.last).eq(flags)
        m.d.comb += self.row.eq(delay(m, row, DATA_LATENCY - 1, "row"))
        return m

    def _credit(self, m: Module, stalls: Value) -> Value:
        """Whether the output has room for one more result; a register. `stalls & credit` spends it.

        A word counts as freed from the second cycle after `freed` on.
        """
        shape = self.shape
        credits = Signal(range(shape.credits + 1), init=shape.credits)
        credit = Signal(init=1)
        freed, remaining = Signal(), Signal.like(credits)
        m.d.comb += remaining.eq(credits - Mux(stalls & credit, shape.result_words, 0) + freed)
        m.d.sync += [freed.eq(self.freed), credits.eq(remaining), credit.eq(remaining >= shape.result_words)]
        return credit

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

    def _starts(self, position: data.View) -> list[_Start]:
        """Of each level."""
        walk = self.shape.walk
        starts = [
            _Start(position.rest_i, position.once_i, (0, position.tap_w)),
            _Start(position.rest_h, position.once_h, (0, position.tap_h)),
            _Start(position.rest_d, position.once_d, (0, position.tap_d)),
        ]
        return starts if walk.merged else [_Start(Const(walk.inner - 1), Const(0), (0, 0)), *starts]

    def _load(self, levels: Sequence[_Level], position: data.View) -> None:
        for level, start in zip(levels, self._starts(position), strict=True):
            level.load(start)

    def _step(self, m: Module, levels: Sequence[_Level], position: data.View, at: int = 0) -> None:
        """Level `at` steps; where it is at its last it starts again and those above step."""
        level = levels[at]
        if at == len(levels) - 1:
            level.step()
            return
        with m.If(~level.last):
            level.step()
        with m.Else():
            level.load(self._starts(position)[at])
            self._step(m, levels, position, at + 1)

    def _ends(self, levels: Sequence[_Level], position: data.View) -> Value:
        """Whether the step after this one is its result's last, where this one is not."""
        found: list[Value] = []
        steps: Value = Const(1, 1)
        for level, start in zip(levels, self._starts(position), strict=True):
            found.append(Mux(steps, Mux(level.last, start.once, level.rest == 1), level.last))
            steps = steps & level.last
        return Cat(found).all()

    def _addresses(
        self, m: Module, passes: Value, current: data.View, levels: Sequence[_Level], groups: _Groups
    ) -> None:
        """ring: (base + offsets) modulo the ring; rom: sum of the levels' ROM values. Three stages each.

        The first stage belongs to the pending step, and waits with it.
        """
        ring = self.shape.walk.ring
        *inner, high, deep = levels
        bits = _bits(2 * ring)
        near, far, total = Signal(bits), Signal(bits), Signal(bits)
        low, top, rom = (Signal.like(self.rom_address) for _ in range(3))
        with m.If(passes):
            m.d.sync += [
                near.eq(_sum([current.base, *(level.values[0] for level in inner)])),
                far.eq(high.values[0] + deep.values[0] + groups.offset()),
                low.eq(_sum([*(level.values[1] for level in inner), high.values[1]])),
                top.eq(_sum([deep.values[1], *(value for value in groups.rom if value is not None)])),
            ]
        m.d.sync += total.eq(near + far)
        reduced = Signal(bits + 1)
        m.d.comb += reduced.eq(total - ring)
        m.d.sync += self.address.eq(Mux(reduced[-1], total, reduced))

        m.d.sync += [rom.eq(low + top), self.rom_address.eq(rom)]
