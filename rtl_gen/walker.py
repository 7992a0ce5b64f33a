"""Walks the output positions of a window in raster order, for ever, one descriptor a cycle.

A descriptor says where in the ring the position's first valid tap lies, how many taps are valid on each axis, how
many words must have arrived before it can start, and up to which there is room for more. All constants come from
`Geometry`; the hardware only looks them up per axis and adds, at most three a cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from amaranth.hdl import Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from rtl_gen.geometry import Geometry

__all__ = ["Walker", "WalkerShape"]


@dataclass(frozen=True)
class WalkerShape:
    """The constants of a walk.

    Parameters
    ----------
    geometry : Geometry
    ring : int
        Ring capacity, at least `geometry.least_ring`.
    inner : int
        Steps per valid tap: input words that a contraction sums over, 1 for a pool.
    merged : bool
        A tap's steps belong to the run along W; otherwise they are a loop of their own below it.
    """

    geometry: Geometry
    ring: int
    inner: int
    merged: bool = True

    def __post_init__(self) -> None:
        if self.ring < self.geometry.least_ring:
            raise ValueError(f"a ring of {self.ring} words is given, {self.geometry.least_ring} are the least")

    @property
    def pointer_bits(self) -> int:
        """Width of the free-running word counters."""
        return ceil_log2(2 * (self.ring + self.geometry.overrun) + 2)

    @property
    def run(self) -> int:
        """Steps of the run along W per valid tap."""
        return self.inner if self.merged else 1

    @property
    def tap_strides(self) -> tuple[int, int, int]:
        """ROM words from one kernel index to the next along D, H, W."""
        _, h, w = (a.kernel for a in self.geometry.axes)
        return h * w * self.inner, w * self.inner, self.inner

    def row_classes(self, axis: int) -> list[int]:
        """Distinct tap counts on an axis, descending: an average's row is (D class, H class, W class)."""
        window = self.geometry.axes[axis]
        return sorted({window.count(o) for o in range(window.out_size)}, reverse=True)

    @property
    def row_counts(self) -> list[int]:
        """Valid taps of each row of an average, in the order of `Descriptor.row`."""
        d, h, w = (self.row_classes(axis) for axis in range(3))
        return [i * j * k for i in d for j in h for k in w]

    def descriptor(self) -> data.StructLayout:
        taps = [a.kernel for a in self.geometry.axes]
        return data.StructLayout(
            {
                "base": unsigned(bits_for(self.ring - 1)),
                "rest_d": unsigned(bits_for(taps[0])),
                "rest_h": unsigned(bits_for(taps[1])),
                "rest_i": unsigned(bits_for(taps[2] * self.run)),
                "once_d": unsigned(1),
                "once_h": unsigned(1),
                "once_i": unsigned(1),
                "once": unsigned(1),
                "tap_d": unsigned(bits_for(taps[0] * self.tap_strides[0])),
                "tap_h": unsigned(bits_for(taps[1] * self.tap_strides[1])),
                "tap_w": unsigned(bits_for(taps[2] * self.tap_strides[2])),
                "row": unsigned(bits_for(len(self.row_counts))),
                "need": unsigned(self.pointer_bits),
                "limit": unsigned(self.pointer_bits),
            }
        )


class _Ends(NamedTuple):
    """Whether a position is its row's, plane's, volume's last."""

    row: Signal
    plane: Signal
    volume: Signal


class Walker(wiring.Component):
    """Descriptors in raster order; `rest_*` are step counts less one, `once_*` say that there is one step, and `once`
    that a result takes one step in all. Holds its output until `advance`.

    `o.limit` is a ring beyond the oldest word that this and later positions read: what the position before it makes
    room for when it is done.
    """

    def __init__(self, shape: WalkerShape):
        self.shape = shape
        super().__init__({"o": Out(shape.descriptor()), "valid": Out(1), "advance": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        valid = Signal(3)  # of the first tables, the second tables, and the output
        m.d.comb += self.valid.eq(valid[2])
        with m.If(self.advance):
            m.d.sync += valid.eq((valid << 1) | 1)

        early, late, ends = self._positions(m)
        need, limit = self._words(m, early, valid[0] & ends.volume)
        here = self._base(m, late, ends, valid[1])
        tap, rest, once, row = self._tables(m, late)
        with m.If(self.advance):
            m.d.sync += [
                self.o.base.eq(here),
                self.o.need.eq(need[0] + need[1]),
                self.o.limit.eq(limit[0] + limit[1]),
                *(getattr(self.o, f"tap_{n}").eq(value) for n, value in zip("dhw", tap, strict=True)),
                *(getattr(self.o, f"rest_{n}").eq(value) for n, value in zip("dhi", rest, strict=True)),
                *(getattr(self.o, f"once_{n}").eq(value) for n, value in zip("dhi", once, strict=True)),
                self.o.once.eq(once[0] & once[1] & once[2] if shape.merged else 0),
                self.o.row.eq(row[0] + row[1] + row[2]),
            ]
        return m

    def _positions(self, m: Module) -> tuple[list[Signal], list[Signal], _Ends]:
        """Nested counters, W fastest: the position of the first tables, that of the second, and what ends with the
        position whose first tables are at hand.
        """
        axes = self.shape.geometry.axes
        early = [Signal(range(max(a.out_size, 2)), name=f"position_{n}") for a, n in zip(axes, "dhw", strict=True)]
        late = [Signal.like(position, name=f"{position.name}_late") for position in early]
        at_last = [Signal(init=a.out_size == 1, name=f"at_last_{n}") for a, n in zip(axes, "dhw", strict=True)]
        ends = _Ends(*(Signal(name=f"ends_{n}") for n in ("row", "plane", "volume")))
        carries = [at_last[2] & at_last[1], at_last[2], Const(1, 1)]
        with m.If(self.advance):
            m.d.sync += [
                *(after.eq(before) for after, before in zip(late, early, strict=True)),
                *(
                    end.eq(carry)
                    for end, carry in zip(ends, (carries[1], carries[0], carries[0] & at_last[0]), strict=True)
                ),
            ]
            for position, last, carry, axis in zip(early, at_last, carries, axes, strict=True):
                if axis.out_size > 1:
                    with m.If(carry):
                        m.d.sync += [
                            position.eq(Mux(last, 0, position + 1)),
                            last.eq((position == axis.out_size - 2) & ~last),
                        ]
        return early, late, ends

    def _words(self, m: Module, early: Sequence[Signal], ends_volume: Value) -> tuple[list[Signal], list[Signal]]:
        """The words that a position needs, and those up to which there is room while it is at work, each as two terms.

        Tables a cycle before the others; an inner axis does not count where the next position on an outer one starts at
        the same input.
        """
        geometry, bits = self.shape.geometry, self.shape.pointer_bits
        needs, keeps, holds = [], [], []
        for i, (axis, stride) in enumerate(zip(geometry.axes, geometry.strides, strict=True)):
            outputs, name = range(axis.out_size), "dhw"[i]
            words, ring = (geometry.words, self.shape.ring) if i == 0 else (0, 0)
            needs.append(self._table(m, early[i], [axis.last(o) * stride + words for o in outputs], f"need_{name}"))
            keeps.append(self._table(m, early[i], [axis.oldest(o) * stride + ring for o in outputs], f"keep_{name}"))
            holds.append(self._table(m, early[i], [int(geometry.holds(i, o)) for o in outputs], f"hold_{name}"))
        volume = Signal(bits)
        need, limit = ([Signal(bits, name=f"{name}_{part}") for part in range(2)] for name in ("need", "limit"))
        with m.If(self.advance):
            m.d.sync += [
                need[0].eq(needs[1] + needs[2]),
                need[1].eq(volume + needs[0]),
                limit[0].eq(Mux(holds[0], 0, keeps[1] + Mux(holds[1], 0, keeps[2]))),
                limit[1].eq(volume + keeps[0]),
            ]
            with m.If(ends_volume):
                m.d.sync += volume.eq(volume + geometry.volume_words % (1 << bits))
        return need, limit

    def _base(self, m: Module, late: Sequence[Signal], ends: _Ends, valid: Value) -> Signal:
        """Ring address of the first word of the position whose second tables are at hand.

        Those of the current plane's, row's and position's first words move on by constants, modulo the ring: with and
        without a ring's words less, side by side. Which of them moves next is chosen with the sum before, so that a
        cycle holds one sum and one choice.
        """
        shape, geometry = self.shape, self.shape.geometry
        ring, axes, strides = shape.ring, geometry.axes, geometry.strides
        bits = bits_for(2 * ring) + 1
        moves: list[list[int]] = []
        for i in range(3):
            first = [axes[i].first(o) * strides[i] for o in range(axes[i].out_size)]
            if i == 0:  # and on to the next volume
                first.append(geometry.volume_words + first[0])
            moves.append([(after - before) % ring for before, after in zip(first, first[1:], strict=False)])
        start = sum(axis.first(0) * stride for axis, stride in zip(axes, strides, strict=True)) % ring
        after_row, after_plane = Signal(), Signal()
        move, less = Signal(bits), Signal(bits)
        for signal, minus in ((move, 0), (less, ring)):
            d, h, w = (
                self._lookup(
                    m, late[i], [(n - minus) % (1 << bits) for n in [*moves[i], *([0] if i else [])]], f"{n}_{minus}"
                )
                for i, n in enumerate(("move_d", "move_h", "move_w"))
            )
            with m.If(self.advance):
                m.d.sync += signal.eq(Mux(ends.plane, d, Mux(ends.row, h, w)))
        names = ("plane", "line", "here", "origin")
        plane, line, here, origin = (Signal(range(max(ring, 2)), init=start, name=n) for n in names)
        from_plane, from_line = ends.plane & ~after_plane, ends.row & ~ends.plane & ~after_row
        moved, wrapped, following = Signal(bits), Signal(bits), Signal.like(here)
        m.d.comb += [
            moved.eq(origin + move),
            wrapped.eq(origin + less),
            following.eq(Mux(wrapped[-1], moved, wrapped)),
        ]
        with m.If(self.advance):
            m.d.sync += [after_row.eq(ends.row), after_plane.eq(ends.plane)]
            with m.If(valid):
                m.d.sync += [
                    here.eq(following),
                    origin.eq(Mux(from_plane | from_line, Mux(from_plane, plane, line), following)),
                ]
                with m.If(after_row):
                    m.d.sync += line.eq(following)
                with m.If(after_plane):
                    m.d.sync += plane.eq(following)
        return here

    def _tables(self, m: Module, late: Sequence[Signal]) -> tuple[list[Value], list[Value], list[Value], list[Value]]:
        """The ROM's part of the first tap, steps less one, whether there is one, and part of the row, on each axis."""
        shape, axes = self.shape, self.shape.geometry.axes
        classes = [shape.row_classes(i) for i in range(3)]
        weights = [len(classes[1]) * len(classes[2]), len(classes[2]), 1]
        found: tuple[list[Value], ...] = ([], [], [], [])
        for i, axis in enumerate(axes):
            counts = [axis.count(o) for o in range(axis.out_size)]
            steps = [n * (shape.run if i == 2 else 1) for n in counts]
            columns = {
                "tap": [axis.first_tap(o) * shape.tap_strides[i] for o in range(axis.out_size)],
                "rest": [n - 1 for n in steps],
                "once": [int(n == 1) for n in steps],
                "row": [classes[i].index(n) * weights[i] for n in counts],
            }
            for tables, (name, values) in zip(found, columns.items(), strict=True):
                tables.append(self._table(m, late[i], values, f"{name}_{'dhw'[i]}"))
        return found  # type: ignore[return-value]

    def _table(self, m: Module, position: Value, values: Sequence[int], name: str) -> Value:
        """A constant table, registered."""
        if len(set(values)) == 1:
            return Const(values[0], bits_for(values[0]))
        found = Signal(bits_for(max(values)), name=name)
        with m.If(self.advance):
            m.d.sync += found.eq(self._lookup(m, position, values, f"{name}_next"))
        return found

    def _lookup(self, m: Module, position: Value, values: Sequence[int], name: str) -> Value:
        """A constant table."""
        if len(set(values)) == 1:
            return Const(values[0], bits_for(values[0]))
        value = Signal(bits_for(max(values)), name=name)
        with m.Switch(position):
            for index, entry in enumerate(values):
                with m.Case(index):
                    m.d.comb += value.eq(entry)
        return value
