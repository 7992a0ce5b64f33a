"""A pool of windows that do not overlap: each word adds to its window's accumulator, and no input is kept.

A word belongs to one window or to none. The accumulators of the windows that have begun and not ended stand in a
memory: a row of them, or a plane where windows span planes. A window's last word sends its accumulator on. A word that
completes a result is accepted against a credit of the output queue; what follows runs free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from rtl_gen.accumulation import Accumulation, accumulate_latency
from rtl_gen.delay import delay
from rtl_gen.gathering import GatheringUnit
from rtl_gen.memory import Ram
from rtl_gen.output import StageOutput
from rtl_gen.reduce import shape_of

if TYPE_CHECKING:
    from rtl_gen.kinds.pool import RowPoolSpec

__all__ = ["PlaceWalker", "RowPool"]


class PlaceWalker(wiring.Component):
    """Where each word lies in its window, one word a step, inference after inference.

    Counters, then a table per axis, then sums; every register starts with what it holds for the first words, so that
    the first word's place is at hand after reset.

    Members
    -------
    step : In
        Go on to the next word.
    place : Out
        Of the word at hand: whether it is inside a window, its window's first, its window's last; the row of an
        average.
    address : Out
        Of its accumulator.
    next_last : Out
        `place.last` of the word after it.
    """

    def __init__(self, accumulation: Accumulation):
        self.accumulation = accumulation
        place = data.StructLayout(
            {"inside": 1, "first": 1, "last": 1, "row": unsigned(bits_for(len(accumulation.row_counts) - 1))}
        )
        address = unsigned(bits_for(max(accumulation.depth - 1, 0)))
        super().__init__({"step": In(1), "place": Out(place), "address": Out(address), "next_last": Out(1)})

    def _indices(self, word: int) -> tuple[int, int, int, int]:
        """D, H, W and channel word of a word, counted from the volume's start and around its end."""
        geometry = self.accumulation.geometry
        position, channel = divmod(word % geometry.volume_words, geometry.words)
        _, h, w = (a.size for a in geometry.axes)
        return position // (h * w), position // w % h, position % w, channel

    def _place(self, word: int) -> dict[str, int]:
        places = [self.accumulation.places[axis][i] for axis, i in enumerate(self._indices(word)[:3])]
        flags = {name: int(all(getattr(p, name) for p in places)) for name in ("inside", "first", "last")}
        return {**flags, "row": sum(p.row for p in places)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # After reset: word 0 at the output, 1 in the sums behind it, 2 in the tables behind these, 3 in the counters.
        *positions, channel_next = self._counters(m)
        channel = Signal.like(channel_next, name="channel", init=self._indices(2)[3])
        inside, first, last, row, offset = (
            [self._lookup(m, positions[axis], axis, field) for axis in range(3)]
            for field in ("inside", "first", "last", "row", "offset")
        )
        following = Signal(self.place.shape(), init=self._place(1))
        here = Signal(self.place.shape(), init=self._place(0))
        _, h, w, c = self._indices(1)
        places = self.accumulation.places
        near = Signal.like(self.address, name="near", init=places[2][w].offset + c)
        far = Signal.like(self.address, name="far", init=places[1][h].offset)
        address = Signal.like(self.address, name="address_here")
        with m.If(self.step):
            m.d.sync += [
                channel.eq(channel_next),
                following.inside.eq(Cat(inside).all()),
                following.first.eq(Cat(first).all()),
                following.last.eq(Cat(last).all()),
                following.row.eq(row[0] + row[1] + row[2]),
                near.eq(offset[2] + channel),
                far.eq(offset[1]),
                here.eq(following),
                address.eq(near + far),
            ]
        m.d.comb += [self.place.eq(here), self.address.eq(address), self.next_last.eq(following.last)]
        return m

    def _counters(self, m: Module) -> list[Value]:
        """D, H, W and channel word, the last fastest; a constant where there is one place."""
        geometry = self.accumulation.geometry
        sizes = [*(a.size for a in geometry.axes), geometry.words]
        names = ("d", "h", "w", "channel_next")
        counters: list[Value] = [
            Signal(range(size), name=name, init=index) if size > 1 else Const(0)
            for size, name, index in zip(sizes, names, self._indices(3), strict=True)
        ]
        carry: Value = self.step
        for counter, size in zip(reversed(counters), reversed(sizes), strict=True):
            if size == 1:
                continue
            at_last = counter == size - 1
            with m.If(carry):
                m.d.sync += counter.eq(Mux(at_last, 0, counter + 1))
            carry = carry & at_last
        return counters

    def _lookup(self, m: Module, position: Value, axis: int, field: str) -> Value:
        """A registered table over the positions of an axis."""
        values = [int(getattr(place, field)) for place in self.accumulation.places[axis]]
        if len(set(values)) == 1:
            return Const(values[0], bits_for(values[0]))
        name = f"{field}_{'dhw'[axis]}"
        found = Signal(bits_for(max(values)), name=name, init=values[self._indices(2)[axis]])
        value = Signal.like(found, name=f"{name}_next")
        with m.Switch(position):
            for index, entry in enumerate(values):
                with m.Case(index):
                    m.d.comb += value.eq(entry)
        with m.If(self.step):
            m.d.sync += found.eq(value)
        return found


class RowPool(GatheringUnit):
    """A pool without a ring as a stream component.

    Timing: a word that completes a result is accepted two cycles after the credit that it needs is freed, or later,
    and no sooner after the word that completed the result before than a result has output words. Other words are always
    accepted. The first output word is pushed `spec.latency` cycles after the word that completes its result.
    """

    spec: RowPoolSpec

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, read = self.spec, self.spec.read_latency
        m.submodules.walker = walker = PlaceWalker(spec.accumulation)
        m.submodules.output = output = StageOutput(spec)
        wiring.connect(m, output.o, wiring.flipped(self.o))
        word, whole, completed = self._front(m, walker, output.freed)

        # `read` cycles after its acceptance a word meets its accumulator; in the next the sum or maximum is there.
        taken, x_shape, shape = Signal(), shape_of(spec.x.format), self._shape()
        m.d.comb += taken.eq(whole & walker.place.inside)
        totals = [Signal(shape, name=f"total_{lane}") for lane in range(spec.out_width)]
        olds = self._memory(m, walker.address, taken, Cat(totals))
        x = delay(m, word, read - 1, "x")
        first = delay(m, walker.place.first, read, "first")
        for lane, total in enumerate(totals):
            value, old = Signal(x_shape, name=f"x_{lane}"), Signal(shape, name=f"old_{lane}")
            m.d.comb += [
                value.eq(x.word_select(lane, x_shape.width)),
                old.eq(olds.word_select(lane, shape.width)),
                output.i[lane].eq(total),
            ]
            if spec.requant is None:
                m.d.sync += total.eq(Mux(first | (value > old), value, old))
            else:
                m.d.sync += total.eq(Mux(first, 0, old) + value)
        m.d.comb += [
            output.i_valid.eq(delay(m, completed, accumulate_latency(read), "completed")),
            output.row.eq(delay(m, walker.place.row, accumulate_latency(read), "row")),
        ]
        return m

    def _shape(self) -> Shape:
        """Of an accumulator."""
        fmt = self.spec.x.format
        return signed(self.spec.open_bits) if fmt.signed else unsigned(self.spec.open_bits)

    def _front(self, m: Module, walker: PlaceWalker, freed: Value) -> tuple[Value, Value, Value]:
        """Accepts words and gathers narrow ones: (word in the next cycle, whether it will be whole, and completes).

        `ready` is a register: whether the word at the input in the next cycle may be accepted, for this one accepted or
        not. Both are compared beforehand, so that `valid` only chooses.
        """
        width = self.in_lanes * self.spec.x.format.bits
        collect = self.spec.in_width // self.in_lanes
        accepted, completes = Signal(), Signal()
        m.d.comb += accepted.eq(self.i0.valid & self.i0.ready)
        word = Signal(width * collect)
        if collect == 1:
            whole, following = accepted, walker.next_last
            m.d.comb += completes.eq(walker.place.last)
            m.d.sync += word.eq(self.i0.payload)
        else:
            part, at_last, whole, following = Signal(range(collect)), Signal(), Signal(), Signal()
            m.d.comb += [
                at_last.eq(part == collect - 1),
                whole.eq(accepted & at_last),
                completes.eq(at_last & walker.place.last),
                following.eq((part == collect - 2) & walker.place.last),
            ]
            with m.If(accepted):
                m.d.sync += [part.eq(Mux(at_last, 0, part + 1)), word.eq(Cat(word[width:], self.i0.payload))]
        completed = Signal()
        m.d.comb += [completed.eq(accepted & completes), walker.step.eq(whole)]
        credit, credit_after = self._credit(m, completed, freed)
        m.d.sync += self.i0.ready.eq(
            Mux(accepted, ~following | Mux(completes, credit_after, credit), ~completes | credit)
        )
        return word, whole, completed

    def _credit(self, m: Module, spent: Value, freed: Value) -> tuple[Value, Value]:
        """Whether a result may be completed in the next cycle: if none is in this one, and if one is.

        One may when the queue has room for its words, and the serialiser is through with the result before.
        """
        words, queue = self.spec.result_words, self.spec.folding.queue
        credits, free, returned = Signal(range(queue + 1), init=queue), Signal(range(queue + 2)), Signal()
        m.d.comb += free.eq(credits + returned)
        m.d.sync += [returned.eq(freed), credits.eq(free - Mux(spent, words, 0))]
        if words == 1:
            return free != 0, free >= 2
        if words == 2:  # no sooner than the words leave
            return free >= words, Const(0, 1)
        waits = Signal(range(words))  # cycles until the next result may be completed
        with m.If(spent):
            m.d.sync += waits.eq(words - 1)
        with m.Elif(waits != 0):
            m.d.sync += waits.eq(waits - 1)
        return (free >= words) & (waits <= 1), Const(0, 1)

    def _memory(self, m: Module, address: Value, taken: Value, totals: Value) -> Value:
        """Accumulators as before the word accepted `read_latency` ago; `totals` are those after it, a cycle late.

        Words that meet the same accumulator are a position's words apart. Where that is less than the way from reading
        an accumulator to writing it, the totals that are not yet read from the memory pass it by.
        """
        spec, latency = self.spec, accumulate_latency(self.spec.read_latency)
        if spec.open_depth == 0:
            return Const(0, len(totals))
        m.submodules.memory = memory = Ram(spec.open_depth, len(totals), spec.family)
        addresses, valids = [address], [taken]
        for age in range(1, latency + 2):
            addresses.append(delay(m, addresses[-1], 1, f"address_{age}"))
            valids.append(delay(m, valids[-1], 1, f"taken_{age}"))
        m.d.comb += [
            memory.address.eq(address),
            memory.write_enable.eq(valids[latency]),
            memory.write_address.eq(addresses[latency]),
            memory.write_data.eq(totals),
        ]
        olds: Value = memory.data
        for distance in reversed(range(spec.geometry.words, latency + 1)):
            same = Signal(name=f"same_{distance}")
            m.d.sync += same.eq(valids[1 + distance] & (addresses[1] == addresses[1 + distance]))
            same = delay(m, same, spec.read_latency - 2, f"same_{distance}")
            olds = Mux(same, delay(m, totals, distance - 1, f"totals_{distance}"), olds)
        return olds
