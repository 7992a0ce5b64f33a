"""Issues the steps of a windowed stage, one a cycle, and turns them into buffer and ROM addresses.

Three parts. The gate holds the next position until its inputs have arrived. The loop nest (group, tap along D, tap
along H, run along W, and input word where the run cannot take it in) makes a step in every cycle in which a position is
at hand. A step that completes a result then waits, as the pending one, until the output has credit for the result.
Behind this point nothing waits: the addresses are sums in a pipeline that runs free.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from rtl_gen.families import Family
from rtl_gen.loop_nest import Groups, Level, LoopShape, Start, summed
from rtl_gen.reduce import delay
from rtl_gen.walker import Walker

__all__ = ["ADDRESS_LATENCY", "Sequencer", "data_latency"]

#: Cycles from a step in the loop nest to its addresses, when it need not wait for credit; it is issued in the next one.
ADDRESS_LATENCY = 3


def data_latency(family: Family) -> int:
    """Cycles from a step in the loop nest to the words that it reads."""
    return ADDRESS_LATENCY + family.memory.read_latency


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
        A step's words are at hand in this cycle; it is the first, the last of its result. `data_latency` after it.
    row : Out
        The average's row, valid with `last`.
    """

    def __init__(self, shape: LoopShape, family: Family):
        self.shape, self.family = shape, family
        walk = shape.walk
        super().__init__(
            {
                "written": In(unsigned(walk.pointer_bits)),
                "released": Out(unsigned(walk.pointer_bits)),
                "freed": In(1),
                "address": Out(unsigned(bits_for(walk.ring - 1))),
                "rom_address": Out(unsigned(bits_for(max(shape.rom_depth - 1, 1)))),
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "row": Out(unsigned(bits_for(len(walk.row_counts)))),
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
        levels, groups = self._levels(m, following), Groups(m, shape)
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
        late = data_latency(self.family) - 1
        flags = delay(m, Cat(issue, issue & pending_first, stalls & credit), late, "flags")
        m.d.comb += Cat(self.valid, self.first, self.last).eq(flags)
        m.d.comb += self.row.eq(delay(m, row, late, "row"))
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

    def _levels(self, m: Module, position: data.View) -> list[Level]:
        """The loops over one result's steps, innermost first; D is last."""
        shape, walk = self.shape, self.shape.walk
        plane_words, line_words, words = walk.geometry.strides
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
