"""The whole network as one stream component: stages, width conversions and the argmax, in the order of the graph."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.argmax import Argmax, output_layout
from rtl_gen.folding import StageSpec
from rtl_gen.row_pool import RowPool
from rtl_gen.stage import Stage
from rtl_gen.stream import Splitter

__all__ = ["Top", "port_name", "stage_unit"]


def stage_unit(spec: StageSpec, in_lanes: int) -> Stage | RowPool:
    """The hardware of a stage that reads words of `in_lanes` values."""
    return RowPool(spec, in_lanes) if spec.accumulates else Stage(spec, in_lanes)


def port_name(stage: str) -> str:
    """A stage's name as a Verilog identifier."""
    return "".join(c if c.isalnum() else "_" for c in stage)


class Top(wiring.Component):
    """Voxels or pixels in, logits and class index out; inferences back to back, without a reset between them.

    Parameters
    ----------
    specs : sequence of StageSpec
    in_lanes : int
        Values in a word of the input stream.
    taps : bool
        Bring out every stage's output: `tap_STAGE__payload` is transferred in each cycle with `tap_STAGE__strobe`.
    """

    def __init__(self, specs: Sequence[StageSpec], in_lanes: int, *, taps: bool = False):
        self.specs, self.in_lanes, self.taps = list(specs), in_lanes, taps
        last = self.specs[-1].out
        self.classes = last.positions * last.channels
        names = [port_name(spec.node.name) for spec in self.specs]
        if len(set(names)) != len(names):
            raise ValueError(f"two stages share the port name {next(n for n in names if names.count(n) > 1)!r}")
        members = {
            "i": In(stream.Signature(unsigned(in_lanes * self.specs[0].x.format.bits))),
            "o": Out(stream.Signature(output_layout(last.format, self.classes))),
        }
        if taps:
            for name, spec in zip(names, self.specs, strict=True):
                width = spec.folding.lanes * spec.out.format.bits
                members[f"tap_{name}"] = Out(wiring.Signature({"strobe": Out(1), "payload": Out(unsigned(width))}))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flow, lanes = wiring.flipped(self.i), self.in_lanes

        def add(name: str, unit: wiring.Component) -> None:
            """A submodule whose streams carry its name, so that the Verilog can be read."""
            m.submodules[name] = unit
            for port in ("i", "o"):
                for member in ("payload", "valid", "ready"):
                    Value.cast(getattr(getattr(unit, port), member)).name = f"{name}__{port}__{member}"

        def narrowed(name: str, to: int, width: int) -> None:
            nonlocal flow, lanes
            if lanes > to:
                splitter = Splitter(to * width, lanes // to)
                add(f"{name}__split", splitter)
                wiring.connect(m, flow, splitter.i)
                flow, lanes = splitter.o, to

        for spec in self.specs:
            name = port_name(spec.node.name)
            narrowed(name, spec.in_width, spec.x.format.bits)
            stage = stage_unit(spec, lanes)
            add(name, stage)
            wiring.connect(m, flow, stage.i)
            flow, lanes = stage.o, spec.folding.lanes
            if self.taps:
                tap = getattr(self, f"tap_{name}")
                m.d.comb += [tap.strobe.eq(stage.o.valid & stage.o.ready), tap.payload.eq(stage.o.payload)]
        last = self.specs[-1].out
        narrowed("argmax", 1, last.format.bits)
        argmax = Argmax(last.format, self.classes)
        add("argmax", argmax)
        m.d.comb += [
            argmax.i.payload.eq(flow.payload),
            argmax.i.valid.eq(flow.valid),
            flow.ready.eq(argmax.i.ready),
        ]
        wiring.connect(m, argmax.o, wiring.flipped(self.o))
        return m
