"""Issues the steps of a windowed stage, one a cycle, and turns them into buffer and ROM addresses.

Two parts. The gate holds the next position until its inputs have arrived. The loop nest (output group, tap along D,
tap along H, run along W) issues a step in every cycle in which a position is at hand and the output has credit for
the result that the step completes. Behind the issue point nothing waits: the addresses are sums in a pipeline that
runs free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.memory import READ_LATENCY
from rtl_gen.walker import Walker, WalkerShape, _bits

__all__ = ["ADDRESS_LATENCY", "DATA_LATENCY", "LoopShape", "Sequencer"]

#: Cycles from the issue of a step to its addresses.
ADDRESS_LATENCY = 3
#: Cycles from the issue of a step to the words that it reads.
DATA_LATENCY = ADDRESS_LATENCY + READ_LATENCY


@dataclass(frozen=True)
class LoopShape:
    """The loop nest of a stage.

    Parameters
    ----------
    walk : WalkerShape
    groups : int
        Results per position.
    inner_stride : int
        Ring words from one inner step to the next: 1 for a contraction, a position's words for a pool.
    group_offsets : tuple of int, [groups]
        Ring words added for each group: 0 for a contraction, the channel word for a pool or a permutation.
    rom_words : int
        ROM words per group; 0 when there is no ROM.
    result_words : int
        Output words per result, which is the credit it needs.
    credits : int
        Output words that may be on their way.
    """

    walk: WalkerShape
    groups: int
    inner_stride: int
    group_offsets: tuple[int, ...]
    rom_words: int
    result_words: int
    credits: int

    def __post_init__(self) -> None:
        if len(self.group_offsets) != self.groups:
            raise ValueError(f"{len(self.group_offsets)} group offsets for {self.groups} groups")
        if self.credits < self.result_words:
            raise ValueError(f"{self.credits} credits cannot hold one result of {self.result_words} words")


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
                "rom_address": Out(unsigned(_bits(max(shape.rom_words * shape.groups - 1, 1)))),
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
        ring = walk.ring
        plane_words, line_words, _ = walk.geometry.strides
        tap_d, tap_h, _ = walk.tap_strides

        active, issue, take = Signal(), Signal(), Signal()
        following, following_valid = self._gate(m, take)
        current = Signal(walk.descriptor())

        rom_limit = max(shape.rom_words, 1)
        widths = [len(following.rest_i), len(following.rest_h), len(following.rest_d)]
        inner = _Level(m, "inner", widths[0], (shape.inner_stride, 1), (ring, rom_limit))
        high = _Level(m, "tap_h", widths[1], (line_words, tap_h), (ring, rom_limit))
        deep = _Level(m, "tap_d", widths[2], (plane_words, tap_d), (ring, rom_limit))
        group = Signal(range(max(shape.groups, 2)))
        group_rom = Signal(_bits(rom_limit * shape.groups))
        group_last = Signal(init=shape.groups == 1)

        credits = Signal(range(shape.credits + 1), init=shape.credits)
        credit = Signal(init=1)
        completes, finishes, first = Signal(), Signal(), Signal(init=1)
        m.d.comb += [
            completes.eq(inner.last & high.last & deep.last),
            finishes.eq(completes & group_last),
            issue.eq(active & (~completes | credit)),
            take.eq(following_valid & (~active | (issue & finishes))),
        ]
        remaining = Signal.like(credits)
        m.d.comb += remaining.eq(credits - Mux(issue & completes, shape.result_words, 0) + self.freed)
        m.d.sync += [credits.eq(remaining), credit.eq(remaining >= shape.result_words)]

        with m.If(take):
            m.d.sync += [current.eq(following), active.eq(1), first.eq(1)]
            m.d.sync += [group.eq(0), group_rom.eq(0), group_last.eq(shape.groups == 1)]
            self._load((inner, high, deep), following)
        with m.Elif(issue):
            m.d.sync += [active.eq(~finishes), first.eq(completes)]
            with m.If(completes):
                m.d.sync += [
                    group.eq(group + 1),
                    group_rom.eq(group_rom + shape.rom_words),
                    group_last.eq(group == shape.groups - 2),
                ]
                self._load((inner, high, deep), current)
            with m.Else():
                with m.If(~inner.last):
                    inner.step()
                with m.Else():
                    inner.load(current.rest_i, (0, current.tap_w))
                    with m.If(~high.last):
                        high.step()
                    with m.Else():
                        high.load(current.rest_h, (0, current.tap_h))
                        deep.step()

        # A position's words are released once its last read is past; the address pipeline delays it.
        done = Signal()
        kept = Signal.like(self.released)
        m.d.sync += [done.eq(issue & finishes), kept.eq(current.keep)]
        with m.If(done):
            m.d.sync += self.released.eq(kept)

        self._addresses(m, current, group, (inner, high, deep), group_rom)
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

    @staticmethod
    def _load(levels: tuple[_Level, _Level, _Level], position: data.View) -> None:
        inner, high, deep = levels
        inner.load(position.rest_i, (0, position.tap_w))
        high.load(position.rest_h, (0, position.tap_h))
        deep.load(position.rest_d, (0, position.tap_d))

    def _addresses(
        self, m: Module, current: data.View, group: Value, levels: tuple[_Level, _Level, _Level], group_rom: Value
    ) -> None:
        """ring: (base + offsets) modulo the ring; rom: sum of the levels' ROM values. Three stages each."""
        ring = self.shape.walk.ring
        inner, high, deep = levels
        bits = _bits(2 * ring)
        near, far, total = Signal(bits), Signal(bits), Signal(bits)
        offset = self._group_offset(m, group)
        m.d.sync += [
            near.eq(current.base + inner.values[0]),
            far.eq(high.values[0] + deep.values[0] + offset),
            total.eq(near + far),
        ]
        reduced = Signal(bits + 1)
        m.d.comb += reduced.eq(total - ring)
        m.d.sync += self.address.eq(Mux(reduced[-1], total, reduced))

        low, top, rom = (Signal.like(self.rom_address) for _ in range(3))
        m.d.sync += [
            low.eq(inner.values[1] + high.values[1]),
            top.eq(deep.values[1] + group_rom),
            rom.eq(low + top),
            self.rom_address.eq(rom),
        ]

    def _group_offset(self, m: Module, group: Value) -> Value:
        offsets = self.shape.group_offsets
        if not any(offsets):
            return Signal(1)  # never driven: zero
        if list(offsets) == list(range(len(offsets))):
            return group
        found = Signal(_bits(max(offsets)))
        with m.Switch(group):
            for index, offset in enumerate(offsets):
                with m.Case(index):
                    m.d.comb += found.eq(offset)
        return found


