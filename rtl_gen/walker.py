"""Walks the output positions of a window in raster order, for ever, one descriptor a cycle.

A descriptor says where in the ring the position's first valid tap lies, how many taps are valid on each axis, how
many words must have arrived before it can start, and how many are free once it is done. All constants come from
`Geometry`; the hardware only looks them up per axis and adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from rtl_gen.geometry import Geometry

__all__ = ["Walker", "WalkerShape"]


@lru_cache(maxsize=1024)
def _overrun(geometry: Geometry) -> int:
    """Words by which a position's release can exceed what it needs: inputs that no window reads."""
    return int((np.asarray(geometry.releases) - np.asarray(geometry.needs)).max(initial=0))


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
        return ceil_log2(2 * (self.ring + _overrun(self.geometry)) + 2)

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
                "keep": unsigned(self.pointer_bits),
            }
        )


class Walker(wiring.Component):
    """Descriptors in raster order; `rest_*` are step counts less one, `once_*` say that there is one step, and `once`
    that a result takes one step in all. Holds its output until `advance`.

    `o.keep` is the oldest word that this and later positions read, so it is what the position before it releases.
    """

    def __init__(self, shape: WalkerShape):
        self.shape = shape
        super().__init__({"o": Out(shape.descriptor()), "valid": Out(1), "advance": In(1)})

    def _lookup(self, m: Module, position: Value, values: Sequence[int], advance: Value, name: str) -> Value:
        """A registered constant table indexed by position."""
        if len(set(values)) == 1:
            return Signal(bits_for(values[0]), init=values[0], name=name)  # never driven: a constant
        found = Signal(bits_for(max(values)), name=name)
        value = Signal.like(found, name=f"{name}_next")
        with m.Switch(position):
            for index, entry in enumerate(values):
                with m.Case(index):
                    m.d.comb += value.eq(entry)
        with m.If(advance):
            m.d.sync += found.eq(value)
        return found

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, geometry = self.shape, self.shape.geometry
        ring, modulus = shape.ring, 1 << shape.pointer_bits
        axes, strides = geometry.axes, geometry.strides
        step = Signal()
        valid = Signal(2)  # of the table stage and of the output
        m.d.comb += [step.eq(self.advance | ~valid[1]), self.valid.eq(valid[1])]
        with m.If(step):
            m.d.sync += valid.eq((valid << 1) | 1)

        # Positions: nested counters, W fastest.
        positions = [Signal(range(max(a.out_size, 2)), name=f"position_{n}") for a, n in zip(axes, "dhw", strict=True)]
        at_last = [p == a.out_size - 1 for p, a in zip(positions, axes, strict=True)]
        carry_h = at_last[2]
        carry_d = carry_h & at_last[1]
        for position, last, carry in ((positions[2], at_last[2], 1), (positions[1], at_last[1], carry_h)):
            with m.If(step & carry):
                m.d.sync += position.eq(Mux(last, 0, position + 1))
        with m.If(step & carry_d):
            m.d.sync += positions[0].eq(Mux(at_last[0], 0, positions[0] + 1))

        # Tables, one registered lookup per axis and field.
        def table(axis: int, field: str, values: Sequence[int]) -> Value:
            return self._lookup(m, positions[axis], values, step, f"{field}_{'dhw'[axis]}")

        per_axis = [range(a.out_size) for a in axes]
        need = [table(i, "need", [axes[i].last(o) * strides[i] for o in per_axis[i]]) for i in range(3)]
        keep = [table(i, "keep", [axes[i].first(o) * strides[i] for o in per_axis[i]]) for i in range(3)]
        hold = [table(i, "hold", [int(geometry.holds(i, o)) for o in per_axis[i]]) for i in range(2)]
        tap = [table(i, "tap", [axes[i].first_tap(o) * shape.tap_strides[i] for o in per_axis[i]]) for i in range(3)]
        counts = [[axes[i].count(o) for o in per_axis[i]] for i in range(3)]
        rest = [table(i, "rest", [n * (shape.run if i == 2 else 1) - 1 for n in counts[i]]) for i in range(3)]
        once = [table(i, "once", [n * (shape.run if i == 2 else 1) == 1 for n in counts[i]]) for i in range(3)]
        classes = [shape.row_classes(i) for i in range(3)]
        weights = [len(classes[1]) * len(classes[2]), len(classes[2]), 1]
        row = [table(i, "row", [classes[i].index(n) * weights[i] for n in counts[i]]) for i in range(3)]

        # How far the window's first word moves on: to the next position of the row, row, plane or volume.
        moves = []
        for i in range(3):
            first = [axes[i].first(o) * strides[i] for o in per_axis[i]]
            moves.append([(after - before) % ring for before, after in zip(first, first[1:], strict=False)])
        whole = (geometry.volume_words - axes[0].first(axes[0].out_size - 1) * strides[0]) % ring
        move_d = table(0, "move", [*moves[0], whole])
        move_h = table(1, "move", [*moves[1], 0])
        move_w = table(2, "move", [*moves[2], 0])
        ends_row, ends_plane, ends_volume = Signal(), Signal(), Signal()
        with m.If(step):
            m.d.sync += [ends_row.eq(carry_h), ends_plane.eq(carry_d), ends_volume.eq(carry_d & at_last[0])]

        # Ring addresses of the current plane's, row's and position's first word; sums modulo the ring.
        plane, line, here = (Signal(range(max(ring, 2)), name=n) for n in ("plane", "line", "here"))
        origin = Mux(ends_plane, plane, Mux(ends_row, line, here))
        move = Mux(ends_plane, move_d, Mux(ends_row, move_h, move_w))
        moved, wrapped, following = Signal(range(2 * ring)), Signal(bits_for(2 * ring) + 1), Signal.like(here)
        m.d.comb += [
            moved.eq(origin + move),
            wrapped.eq(origin + move - ring),
            following.eq(Mux(wrapped[-1], moved, wrapped)),
        ]
        volume = Signal(shape.pointer_bits)
        with m.If(step & valid[0]):
            m.d.sync += here.eq(following)
            with m.If(ends_row):
                m.d.sync += line.eq(following)
            with m.If(ends_plane):
                m.d.sync += plane.eq(following)
            with m.If(ends_volume):
                m.d.sync += volume.eq(volume + geometry.volume_words % modulus)

        kept = keep[0] + Mux(hold[0], 0, keep[1] + Mux(hold[1], 0, keep[2]))
        with m.If(step):
            m.d.sync += [
                self.o.base.eq(here),
                self.o.rest_d.eq(rest[0]),
                self.o.rest_h.eq(rest[1]),
                self.o.rest_i.eq(rest[2]),
                self.o.once_d.eq(once[0]),
                self.o.once_h.eq(once[1]),
                self.o.once_i.eq(once[2]),
                self.o.once.eq(once[0] & once[1] & once[2] if shape.merged else 0),
                self.o.tap_d.eq(tap[0]),
                self.o.tap_h.eq(tap[1]),
                self.o.tap_w.eq(tap[2]),
                self.o.row.eq(row[0] + row[1] + row[2]),
                self.o.need.eq(volume + (need[0] + need[1] + need[2] + geometry.words)),
                self.o.keep.eq(volume + kept),
            ]
        return m
