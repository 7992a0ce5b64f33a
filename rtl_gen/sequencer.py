"""Issues the steps of a windowed stage, one a cycle or every second one, and turns them into buffer and ROM addresses.

Three parts. The gate holds the next position until its inputs have arrived. The loop nest (group, tap along D, tap
along H, run along W, and input word where the run cannot take it in) makes a step in every cycle in which a position is
at hand. A step that completes a result then waits, as the pending one, until the output has credit for the result.
Behind this point nothing waits: the addresses are sums in a pipeline that runs free.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from rtl_gen.delay import delay
from rtl_gen.gate import Gate
from rtl_gen.loop_nest import Groups, Level, LoopShape, Start, summed

__all__ = ["ADDRESS_LATENCY", "Sequencer"]

#: Cycles from a step in the loop nest to its addresses, when it need not wait for credit; it is issued in the next one.
ADDRESS_LATENCY = 3


class Sequencer(wiring.Component):
    """Steps of all positions, in order, for ever.

    Parameters
    ----------
    shape : LoopShape
    read_latency : int
        Cycles from the addresses to the words.

    Members
    -------
    written : In
        Words in the ring since reset.
    limit : Out
        Words since reset up to which the ring has room.
    freed : In
        High in each cycle in which one output word leaves the output's memory.
    address, rom_address : Out
        `ADDRESS_LATENCY` cycles after the step.
    reads : Out
        At two cycles a step: `address` is a step's.
    valid, first, last : Out
        A step's words are at hand in this cycle, `ADDRESS_LATENCY + read_latency` after it; it is its result's first,
        last.
    row : Out
        The average's row, valid with `last`.
    """

    def __init__(self, shape: LoopShape, read_latency: int):
        self.shape, self.read_latency = shape, read_latency
        walk = shape.walk
        super().__init__(
            {
                "written": In(unsigned(walk.pointer_bits)),
                "limit": Out(unsigned(walk.pointer_bits), init=walk.ring),
                "freed": In(1),
                "address": Out(unsigned(bits_for(walk.ring - 1))),
                "rom_address": Out(unsigned(bits_for(max(shape.rom_depth - 1, 1)))),
                **({"reads": Out(1)} if shape.pace == 2 else {}),
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "row": Out(unsigned(bits_for(len(walk.row_counts)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, walk = self.shape, self.shape.walk
        m.submodules.gate = gate = Gate(walk)
        m.d.comb += gate.written.eq(self.written)
        # The step that waits for its credit, with the first sums of its addresses; `stalls` if it needs credit at all.
        pending, pending_first, stalls, stalls_last = Signal(), Signal(), Signal(), Signal()
        due: Value = stalls
        due_last: Value = stalls_last
        if shape.pace == 2:
            rests = Signal()  # a step was issued in the cycle before
            due, due_last = stalls & ~rests, stalls_last & ~rests
        credit, credit_next = self._credit(m, due)

        # The loop nest moves on whenever `pending` does: `passes` is ~stalls | credit, and `move` also where no step is
        # at hand. Both enable everything, and so are registers. So is whether this step is its result's last, and its
        # position's; `opens` is whether another position can take its place.
        active, completes, finishes, first = Signal(), Signal(), Signal(), Signal()
        passes, move, opens = Signal(init=1), Signal(init=1), Signal(init=1)
        active_next, passes_next, completes_next, finishes_next = Signal(), Signal(), Signal(), Signal()
        swap = Signal()
        current = Signal(walk.descriptor())
        levels, groups = self._levels(m, gate.o), Groups(m, shape)
        ends = self._ends(levels, current)
        free_next: Value = (passes & ~(active & completes)) | credit_next
        if shape.pace == 2:  # `passes` is that and that it does not rest: a step that has rested may need no credit
            m.d.sync += rests.eq(passes & pending)
            free_next = (free_next | ~(passes | stalls)) & ~(passes & pending)
        m.d.comb += [
            swap.eq(gate.ready & opens),
            gate.take.eq(swap & move),
            active_next.eq(Mux(move, swap | (active & ~finishes), active)),
            passes_next.eq(free_next),
            completes_next.eq(Mux(completes, current.once, ends)),
            finishes_next.eq(Mux(completes, current.once & groups.last_but_one, ends & groups.last)),
        ]
        m.d.sync += [active.eq(active_next), passes.eq(passes_next), move.eq(passes_next | ~active_next)]
        with m.If(move):
            m.d.sync += first.eq(swap | completes)
            with m.If(swap):
                alone = gate.o.once if shape.results == 1 else Const(0, 1)
                m.d.sync += [current.eq(gate.o), completes.eq(gate.o.once), finishes.eq(alone), opens.eq(alone)]
                groups.load()
                self._load(levels, gate.o)
            with m.Else():
                m.d.sync += [
                    completes.eq(completes_next),
                    finishes.eq(finishes_next),
                    opens.eq(opens | finishes_next),
                ]
                with m.If(completes):
                    groups.step()
                self._step(m, levels, current)
        kept, row = Signal.like(self.limit), Signal.like(self.row)
        with m.If(passes):
            m.d.sync += [
                pending.eq(active),
                pending_first.eq(first),
                stalls.eq(active & completes),
                stalls_last.eq(active & finishes),
                kept.eq(current.limit),
                row.eq(current.row),
            ]
        self._addresses(m, passes, current, levels, groups)

        # A position's words are released with its last step; the address pipeline and the ring delay what follows.
        with m.If(due_last & credit):
            m.d.sync += self.limit.eq(kept)
        issue, late = pending & passes, ADDRESS_LATENCY + self.read_latency - 1
        flags = delay(m, Cat(issue, issue & pending_first, due & credit), late, "flags")
        if shape.pace == 2:
            m.d.comb += self.reads.eq(delay(m, issue, ADDRESS_LATENCY - 1, "reads"))
        m.d.comb += Cat(self.valid, self.first, self.last).eq(flags)
        m.d.comb += self.row.eq(delay(m, row, late, "row"))
        return m

    def _credit(self, m: Module, due: Value) -> tuple[Value, Value]:
        """Whether the output has room for one more result, and whether it will in the next cycle.

        `due & credit` spends it; a word counts as freed from the second cycle after `freed` on. What is counted are
        the words beyond one result, so that the sign says it. The next answer is compared for both cases beside the
        sum, not behind it.
        """
        words, most = self.shape.result_words, self.shape.credits
        bits = ceil_log2(max(most - words, words) + 1) + 1
        spare, freed, spends = Signal(signed(bits), init=most - words), Signal(), Signal()
        kept, left, credit_next = Signal(), Signal(), Signal()
        credit, size = ~spare[-1], spare[:-1]
        m.d.comb += [
            spends.eq(due & credit),
            kept.eq(credit | (spare.all() & freed)),
            left.eq(credit & Mux(freed, _at_least(size, words - 1), _at_least(size, words))),
            credit_next.eq(Mux(spends, left, kept)),
        ]
        more = Mux(spends, Mux(freed, 1 - words, -words), freed)
        m.d.sync += [freed.eq(self.freed), spare.eq((spare + more)[:bits].as_signed())]
        return credit, credit_next

    def _levels(self, m: Module, position: data.View) -> list[Level]:
        """The loops over one result's steps, innermost first; D is last."""
        shape, walk = self.shape, self.shape.walk
        plane_words, line_words, words = walk.geometry.tap_strides
        tap_d, tap_h, tap_w = walk.tap_strides
        limits = (walk.ring, tap_d * walk.geometry.axes[0].kernel if shape.rom_depth else 1)
        run = (shape.inner_stride, 1) if walk.merged else (words, tap_w)
        levels = [
            Level(m, "inner", len(position.rest_i), run, limits),
            Level(m, "tap_h", len(position.rest_h), (line_words, tap_h), limits),
            Level(m, "tap_d", len(position.rest_d), (plane_words, tap_d), limits),
        ]
        if walk.merged:
            return levels
        return [Level(m, "channel", bits_for(walk.inner - 1), (shape.inner_stride, 1), limits), *levels]

    def _starts(self, position: data.View) -> list[Start]:
        """Of each level."""
        walk = self.shape.walk
        starts = [
            Start(position.rest_i, position.once_i, (0, position.tap_w)),
            Start(position.rest_h, position.once_h, (0, position.tap_h)),
            Start(position.rest_d, position.once_d, (0, position.tap_d)),
        ]
        return starts if walk.merged else [Start(Const(walk.inner - 1), Const(0), (0, 0)), *starts]

    def _load(self, levels: Sequence[Level], position: data.View) -> None:
        for level, start in zip(levels, self._starts(position), strict=True):
            level.load(start)

    def _step(self, m: Module, levels: Sequence[Level], position: data.View, at: int = 0) -> None:
        """Level `at` steps; where it is at its last it starts again and those above step: all, at a result's last."""
        if at == len(levels):
            return
        level = levels[at]
        with m.If(~level.last):
            level.step()
        with m.Else():
            level.load(self._starts(position)[at])
            self._step(m, levels, position, at + 1)

    def _ends(self, levels: Sequence[Level], position: data.View) -> Value:
        """Whether the step after this one is its result's last, where this one is not."""
        found: list[Value] = []
        steps: Value = Const(1, 1)
        for level, start in zip(levels, self._starts(position), strict=True):
            found.append(Mux(steps, Mux(level.last, start.once, level.rest == 1), level.last))
            steps = steps & level.last
        return Cat(found).all()

    def _addresses(self, m: Module, passes: Value, current: data.View, levels: Sequence[Level], groups: Groups) -> None:
        """ring: (base + offsets) modulo the ring; rom: sum of the levels' ROM values. Three stages each.

        The first stage belongs to the pending step, and waits with it.
        """
        ring = self.shape.walk.ring
        *inner, high, deep = levels
        bits = bits_for(2 * ring)
        near, far, total = Signal(bits), Signal(bits), Signal(bits)
        low, top, rom = (Signal.like(self.rom_address) for _ in range(3))
        with m.If(passes):
            m.d.sync += [
                near.eq(summed([current.base, *(level.values[0] for level in inner)])),
                far.eq(high.values[0] + deep.values[0] + groups.offset()),
                low.eq(summed([*(level.values[1] for level in inner), high.values[1]])),
                top.eq(summed([deep.values[1], *(value for value in groups.rom if value is not None)])),
            ]
        m.d.sync += total.eq(near + far)
        reduced = Signal(bits + 1)
        m.d.comb += reduced.eq(total - ring)
        m.d.sync += self.address.eq(Mux(reduced[-1], total, reduced))

        m.d.sync += [rom.eq(low + top), self.rom_address.eq(rom)]


def _at_least(value: Value, least: int) -> Value:
    """Whether an unsigned value is at least a constant that it can hold, as a function of its bits without a carry."""
    found: Value = Const(1, 1)
    for index in range(len(value)):
        found = value[index] & found if least >> index & 1 else value[index] | found
    return found
