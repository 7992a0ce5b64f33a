"""What an engine takes, unit by unit, and its memories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtl_gen.costs.arithmetic import mac_array
from rtl_gen.costs.cells import chosen, ram, rom
from rtl_gen.costs.control import ring_writer
from rtl_gen.costs.engine import issuer, program_reader, result_writer, shared_requantizer, shared_sum
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
    rings = [Store("rings between stages", layout.depth, spec.folding.lanes * spec.numbers.inner_bits, spec.slices)]
    scales = spec.numbers.scaling.factor_bits + spec.numbers.scaling.offset_bits
    summands = []
    if layout.summed:
        summands.append(Store("summands", spec.summand_words, spec.folding.lanes * spec.numbers.inner_bits))
    if spec.segment.adds_outside:
        summands.append(Store("summands of the stream", spec.ring, spec.in_width * first.bits))
    return (
        Store("ring of inputs", spec.ring, spec.in_width * first.bits),
        *(rings if layout.depth else ()),
        *summands,
        Store("weights", layout.weights[-1], spec.weight_word_bits),
        Store("scales and offsets", len(spec.requantizer_rows), scales, spec.folding.lanes),
        Store("program of the array", len(spec.program.jobs), spec.issue_code.fields.varying_bits),
        Store("program of the results", len(spec.program.jobs), spec.write_code.fields.varying_bits),
    )


def parts_of(spec: EngineSpec, issue: Fields, write: Fields) -> dict[str, Resources]:
    """What each unit of an engine takes, by its submodule's path, with programs of such fields."""
    folding, family, latency, numbers = spec.folding, spec.family, spec.read_latency, spec.numbers
    width, depth, rows = spec.in_width * spec.edges[0].format.bits, spec.layout.depth, len(spec.requantizer_rows)
    late = ADDRESS_LATENCY + latency
    sizes = {"weights": spec.layout.weights[-1], "ring": spec.ring, "queue": folding.queue}
    array = mac_array(
        *(numbers.x_format, numbers.weight_format, folding.simd, folding.pe, 1),
        *(numbers.accumulator_bits, folding.multiplier, family),
    )
    slices = {
        f"rings_{number}": ram(depth, folding.lanes * numbers.inner_bits, family, latency, early=True)
        for number in range(spec.slices if depth else 0)
    }
    choice = spec.in_width * (numbers.inner_bits + 1) if depth else 0
    return {
        "": Resources(luts=choice, ffs=2 * spec.array_latency + 2 * spec.result_words + spec.requant_latency * 4),
        "ring": ring_writer(width, spec.in_width, spec.ring, spec.pointer_bits),
        "stream_ring": ram(spec.ring, width, family, latency, early=True),
        **slices,
        "issuer": issuer(issue, **sizes, most=spec.most_under_way, late=late),
        "issuer.program": program_reader(issue, family),
        "weights": rom(spec.layout.weights[-1], spec.weight_word_bits, family, latency),
        "array": array,
        "serializer": serializer(numbers.accumulator_bits, folding.pe, folding.lanes),
        "requantizer": shared_requantizer(
            numbers.scaling, rows=rows, lanes=folding.lanes, accumulator=numbers.accumulator_bits, family=family
        ),
        "writer": result_writer(
            write,
            *(rows, spec.slices, depth, spec.kept_latency, spec.pointer_bits),
            summands=max(spec.layout.summed, spec.ring if spec.segment.adds_outside else 0),
        ),
        "writer.program": program_reader(write, family),
        "queue": output_queue(folding.lanes * spec.out.format.bits, folding.queue, family),
        **_sum_parts(spec),
    }


def _sum_parts(spec: EngineSpec) -> dict[str, Resources]:
    """Of what adds, and the memories that it reads."""
    if spec.numbers.sums is None:
        return {}
    folding, family, found = spec.folding, spec.family, {}
    bits, late = folding.lanes * spec.numbers.inner_bits, spec.requant_latency
    if spec.layout.summed:
        found["summands"] = ram(spec.summand_words, bits, family, early=True)
        held = bits * (late - family.memory.read_latency(spec.summand_words, bits))
        found["summands"] += Resources(ffs=held)
    if spec.segment.adds_outside:
        word, outside = spec.in_width * spec.edges[0].format.bits, folding.lanes * spec.edges[0].format.bits
        held = outside * (late - family.memory.read_latency(spec.ring, word))
        choice = outside * (1 if spec.layout.summed else 0)
        found["stream_summands"] = ram(spec.ring, word, family, early=True)
        found["stream_summands"] += Resources(luts=outside * chosen(1, spec.slices) + choice, ffs=held)
    found["sum"] = shared_sum(spec.numbers.sums, spec.numbers.scaling.shape, folding.lanes, late)
    return found
