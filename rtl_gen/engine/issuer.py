"""Issues the steps of an engine's jobs, one a cycle, and turns them into addresses of inputs and weights.

A job waits as the program's head until the words of the stream that it reads have come, what it reads of the engine's
own making is written, and the output queue has room for what it makes. Once taken it runs without a pause: three loops
over a result's steps, two over results, and a pipeline of sums that makes the addresses.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from rtl_gen.delay import delay
from rtl_gen.engine.code import Code
from rtl_gen.engine.reader import ProgramReader
from rtl_gen.families import Family

__all__ = ["ADDRESS_LATENCY", "Issuer"]

#: Cycles from a step to its addresses.
ADDRESS_LATENCY = 3


class Issuer(wiring.Component):
    """Steps of all jobs, in order, for ever.

    Parameters
    ----------
    code : Code
        Of `issue_code`.
    ring : int
        Words of the stream's ring.
    unread : int
        Words of an inference behind the last that is read.
    weights : int
        Words of the ROM.
    queue : int
        Words of the output queue.
    most : int
        Jobs that can be in the pipeline.
    read_latency : int
        Cycles from the addresses to the words.
    family : Family

    Members
    -------
    came, freed, done : In
        High in each cycle in which a word of the stream enters the ring, one leaves the output queue, a job's last
        result is on its way to the memory.
    address, weights : Out
        `ADDRESS_LATENCY` cycles after the step.
    outside, signed, valid, first, last, position_ends, job_ends : Out
        Of the step whose words are at hand, `ADDRESS_LATENCY + read_latency` cycles after it: what its inputs are, and
        whether it is its result's first or last, and its position's or job's last.
    """

    def __init__(
        self,
        code: Code,
        *,
        ring: int,
        unread: int,
        weights: int,
        queue: int,
        most: int,
        read_latency: int,
        family: Family,
    ):
        self.code, self.ring, self.unread, self.queue, self.most = code, ring, unread, queue, most
        self.read_latency, self.family = read_latency, family
        self._address = unsigned(bits_for(max(code.most("end") - 1, 1)))
        self._weights = unsigned(bits_for(max(weights - 1, 1)))
        flags = ("outside", "signed", "valid", "first", "last", "position_ends", "job_ends")
        super().__init__(
            {
                **{name: In(1) for name in ("came", "freed", "done")},
                "address": Out(self._address),
                "weights": Out(self._weights),
                **{name: Out(1) for name in flags},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.program = program = ProgramReader(self.code, self.family)
        head, current = program.o, Signal(self.code.layout)
        take, ready, active = Signal(), Signal(), Signal()
        m.d.comb += program.take.eq(take)
        m.d.sync += ready.eq(program.valid & ~take & self._may_start(m, head, take))

        # Of the step at hand: whether it is its result's last, its position's, its job's.
        completes, ends, finishes = Signal(), Signal(), Signal()
        run, outer, deep = (_Loop(m, name, len(getattr(head, name))) for name in ("run", *_OUTER))
        groups, results = (_Loop(m, name, len(getattr(head, name))) for name in ("groups", "results"))
        m.d.comb += [
            take.eq(ready & (~active | finishes)),
            ends.eq(completes & groups.last),
        ]
        soon = _next_is_last((run, outer, deep), current)
        m.d.sync += active.eq(take | (active & ~finishes))
        first = Signal()
        m.d.sync += first.eq(take | completes)

        base, group = Signal(self._address), Signal(self._weights)
        along, lines, planes = (Signal(self._address, name=name) for name in ("along", "lines", "planes"))
        line_weights, plane_weights = (Signal(self._weights, name=name) for name in ("line_weights", "plane_weights"))
        with m.If(take):
            m.d.sync += [
                current.eq(head),
                completes.eq(head.result_once),
                finishes.eq(head.result_once & head.results_once),
                base.eq(head.address),
                group.eq(head.weights),
            ]
            for loop in (groups, results):
                loop.load(head)
        with m.Else():
            m.d.sync += [
                completes.eq(Mux(completes, current.result_once, soon)),
                finishes.eq(Mux(completes, current.result_once & results.last_but_one, soon & results.last)),
            ]
            with m.If(completes):
                results.step()
                with m.If(groups.last):
                    groups.load(current)
                    m.d.sync += [base.eq(base + current.position_stride), group.eq(current.weights)]
                with m.Else():
                    groups.step()
                    m.d.sync += group.eq(group + current.group_weights)
        with m.If(take | completes):
            m.d.sync += [value.eq(0) for value in (along, lines, planes, line_weights, plane_weights)]
            with m.If(take):
                for loop in (run, outer, deep):
                    loop.load(head)
            with m.Else():
                for loop in (run, outer, deep):
                    loop.load(current)
        with m.Elif(~run.last):
            run.step()
            m.d.sync += along.eq(along + 1)
        with m.Else():
            run.load(current)
            m.d.sync += along.eq(0)
            with m.If(~outer.last):
                outer.step()
                m.d.sync += [
                    lines.eq(lines + current.outer_stride),
                    line_weights.eq(line_weights + current.outer_weights),
                ]
            with m.Else():
                outer.load(current)
                deep.step()
                m.d.sync += [lines.eq(0), line_weights.eq(0)]
                m.d.sync += [
                    planes.eq(planes + current.deep_stride),
                    plane_weights.eq(plane_weights + current.deep_weights),
                ]

        self._addresses(m, current, [base, along, lines, planes], [group, along, line_weights, plane_weights])
        steps = {"valid": active, "first": first, "last": completes, "position_ends": ends, "job_ends": finishes}
        flags = {"outside": current.outside, "signed": current.signed}
        flags |= {name: active & flag for name, flag in steps.items()}
        for name, flag in flags.items():
            held = Signal(name=f"{name}_0")  # a field may have no bits
            m.d.comb += held.eq(flag)
            m.d.comb += getattr(self, name).eq(delay(m, held, ADDRESS_LATENCY + self.read_latency, name))
        return m

    def _may_start(self, m: Module, head: data.View, take: Value) -> Value:
        """Whether the head's inputs have come, are written, and its outputs have room; counted when it is taken."""
        # Words that nobody reads pass through the ring, and count until those behind them are taken.
        come = Signal(range(self.ring + self.unread + self.code.most("needs") + 1), init=self.unread)
        room = Signal(range(self.queue + 1), init=self.queue)
        under_way = Signal(range(self.most + 1))
        m.d.sync += [
            come.eq(come + self.came - Mux(take, head.needs, 0)),
            room.eq(room + self.freed - Mux(take, head.credit, 0)),
            under_way.eq(under_way + take - self.done),
        ]
        return (come >= head.needs) & (room >= head.credit) & (under_way <= head.depth)

    def _addresses(self, m: Module, current: data.View, inputs: Sequence[Value], weights: Sequence[Value]) -> None:
        """Sums of the loops' parts; that of the inputs wraps at its ring's end."""
        bits = len(self.address) + 1
        near, far, total = (Signal(bits, name=name) for name in ("near", "far", "total"))
        low, high, whole = (Signal(self._weights, name=name) for name in ("low", "high", "whole"))
        m.d.sync += [
            near.eq(inputs[0] + inputs[1]),
            far.eq(inputs[2] + inputs[3]),
            total.eq(near + far),
            low.eq(weights[0] + weights[1]),
            high.eq(weights[2] + weights[3]),
            whole.eq(low + high),
            self.weights.eq(whole),
        ]
        end, size = (delay(m, getattr(current, name), 2, name) for name in ("end", "size"))
        m.d.sync += self.address.eq(Mux(total >= end, total - size, total))


#: Loops over a result's steps outside the run.
_OUTER = ("outer", "deep")


class _Loop:
    """A loop: steps left, and whether this is the last."""

    def __init__(self, m: Module, name: str, bits: int):
        self.m, self.name = m, name
        self.left, self.last = Signal(bits, name=f"{name}_left"), Signal(name=f"{name}_last")

    def load(self, job: data.View) -> None:
        self.m.d.sync += [self.left.eq(getattr(job, self.name)), self.last.eq(getattr(job, f"{self.name}_once"))]

    def step(self) -> None:
        self.m.d.sync += [self.left.eq(self.left - 1), self.last.eq(self.last_but_one)]

    @property
    def last_but_one(self) -> Value:
        return self.left == 1


def _next_is_last(loops: Sequence[_Loop], job: data.View) -> Value:
    """Whether the step after this one is its result's last, where this one is not."""
    found: list[Value] = []
    steps: Value = Const(1, 1)
    for loop in loops:
        once = getattr(job, f"{loop.name}_once")
        found.append(Mux(steps, Mux(loop.last, once, loop.last_but_one), loop.last))
        steps = steps & loop.last
    return Cat(found).all()
