"""What an engine takes, unit by unit, and its memories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtl_gen.costs.arithmetic import mac_array
from rtl_gen.costs.cells import ram, rom
from rtl_gen.costs.control import ring_writer
from rtl_gen.costs.engine import issuer, program_reader, result_writer, shared_requantizer
from rtl_gen.costs.streams import output_queue, serializer
from rtl_gen.engine.code import Fields
from rtl_gen.engine.issuer import ADDRESS_LATENCY
from rtl_gen.families import Resources
from rtl_gen.kinds.spec import Store

if TYPE_CHECKING:
    from rtl_gen.engine.spec import EngineSpec

__all__ = ["parts_of", "stores_of"]


def stores_of(spec: EngineSpec) -> tuple[Store, ...]:
    """An engine's memories but for its output queue."""
    first, layout = spec.edges[0].format, spec.layout
    rings = [Store("rings between stages", layout.depth, spec.folding.lanes * spec.inner_bits, spec.slices)]
    scales = spec.scaling.factor_bits + spec.scaling.offset_bits
    return (
        Store("ring of inputs", spec.ring, spec.in_width * first.bits),
        *(rings if layout.depth else ()),
        Store("weights", layout.weights[-1], spec.weight_word_bits),
        Store("scales and offsets", len(spec.requantizer_rows), scales, spec.folding.lanes),
        Store("program of the array", len(spec.program.jobs), spec.issue_code.fields.varying_bits),
        Store("program of the results", len(spec.program.jobs), spec.write_code.fields.varying_bits),
    )


def parts_of(spec: EngineSpec, issue: Fields, write: Fields) -> dict[str, Resources]:
    """What each unit of an engine takes, by its submodule's path, with programs of such fields."""
    folding, family, latency = spec.folding, spec.family, spec.read_latency
    width, depth, rows = spec.in_width * spec.edges[0].format.bits, spec.layout.depth, len(spec.requantizer_rows)
    late = ADDRESS_LATENCY + latency
    sizes = {"weights": spec.layout.weights[-1], "ring": spec.ring, "queue": folding.queue}
    array = mac_array(
        *(spec.x_format, spec.weight_format, folding.simd, folding.pe, 1),
        *(spec.accumulator_bits, folding.multiplier, family),
    )
    slices = {
        f"rings_{number}": ram(depth, folding.lanes * spec.inner_bits, family, latency, early=True)
        for number in range(spec.slices if depth else 0)
    }
    choice = spec.in_width * (spec.inner_bits + 1) if depth else 0
    return {
        "": Resources(luts=choice, ffs=2 * spec.array_latency + 2 * spec.result_words + spec.requant_latency * 4),
        "ring": ring_writer(width, spec.in_width, spec.ring, spec.pointer_bits),
        "stream_ring": ram(spec.ring, width, family, latency, early=True),
        **slices,
        "issuer": issuer(issue, **sizes, pointer=spec.pointer_bits, most=spec.most_under_way, late=late),
        "issuer.program": program_reader(issue, family),
        "weights": rom(spec.layout.weights[-1], spec.weight_word_bits, family, latency),
        "array": array,
        "serializer": serializer(spec.accumulator_bits, folding.pe, folding.lanes),
        "requantizer": shared_requantizer(
            spec.scaling, rows=rows, lanes=folding.lanes, accumulator=spec.accumulator_bits, family=family
        ),
        "writer": result_writer(
            write, rows=rows, slices=spec.slices, depth=depth, late=spec.requant_latency
        ),
        "writer.program": program_reader(write, family),
        "queue": output_queue(folding.lanes * spec.out.format.bits, folding.queue, family),
    }
