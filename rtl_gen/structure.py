"""What in a design follows from the weights besides the contents of its ROMs: widths of sums, m and b, and shifts.

Two models of one plan have the same design but for its ROMs where these are the same. A design that is to take other
weights later is therefore made with room: a bit more of sums, m and b wherever no multiplier block and no cycle is
added, and a shift more, which m and b of all models with that shift or less are multiplied up to. That is exact:
(acc * m + b + 2**(s-1)) >> s is (acc * (m << d) + (b << d) + 2**(s+d-1)) >> (s + d).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from qtt_hw.fixedpoint import MAX_ACCUMULATOR_BITS, MAX_RIGHT, Requantizer, bits_for_range
from qtt_hw.graph import Contraction, Graph
from qtt_hw.reading import read_json
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.enveloped import Enveloped, m_range
from rtl_gen.families import Family
from rtl_gen.kinds import Spec
from rtl_gen.kinds.contraction import ContractionSpec, accumulator_of
from rtl_gen.kinds.unfolded import UnfoldedSpec
from rtl_gen.multiplier import pieces
from rtl_gen.requantizer import scale_of

__all__ = ["NAME", "StageStructure", "Structure", "conformed", "widened", "with_room"]

#: The file's name in a BUILD.
NAME = "structure.json"
Range = tuple[int, int]


class StageStructure(BaseModel):
    """Of a stage with weights.

    Attributes
    ----------
    sums : (int, int)
        Least and greatest sum that is held.
    shift : int
        Of its requantiser.
    m, b : (int, int), optional
        Of an affine requantiser, the least and the greatest that are held.
    scale : int, optional
        k where all m are 2**k.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sums: Range
    shift: int
    m: Range | None = None
    b: Range | None = None
    scale: int | None = None


class Structure(BaseModel):
    """Of a design."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    stages: dict[str, StageStructure] = Field(max_length=100_000)

    @staticmethod
    def load(build: Path) -> Structure:
        """Of a BUILD that was emitted with room; raises ValueError of one line."""
        path = build / NAME
        if not build.is_dir():
            raise ValueError(f"{build}: there is no such BUILD")
        if not path.is_file():
            raise ValueError(f"{build}: was not made to take other weights; emit it with --exchangeable")
        return read_json(path, Structure)


@dataclass(frozen=True)
class _Bounds:
    """Of a stage's room: whether its shift is raised, and how many bits of m there are at the most."""

    raises: bool = True
    m_bits: int = MAX_ACCUMULATOR_BITS


def with_room(graph: Graph, family: Family, engines: Sequence[EngineSpec] = ()) -> Structure:
    """The structure of a model, with room for others; of engines what leaves them the shifts that they have."""
    bounds = {name: bound for engine in engines for name, bound in _of_engine(engine)}
    found = {node.name: _roomy(graph, node, family, bounds.get(node.name, _Bounds())) for node in _contractions(graph)}
    return Structure(stages=found)


def _of_engine(engine: EngineSpec) -> Iterator[tuple[str, _Bounds]]:
    """Of its stages: m is a multiplier's operand when it has been multiplied up to the engine's shift."""
    scaling, most = engine.numbers.scaling, engine.family.multiplier.bits
    left = {
        node.name: most - (scaling.shifts[number] - max(node.requant.shift, 0))
        for node, (number, _) in zip(engine.nodes, scaling.kinds, strict=True)
    }
    scaled = [node for node in engine.nodes if node.requant.affine and scale_of(node.requant) is None]
    raises = all(bits_for_range(*m_range(node.requant)) < left[node.name] for node in scaled)
    return ((name, _Bounds(raises, bits)) for name, bits in left.items())


def _contractions(graph: Graph) -> Iterator[Contraction]:
    return (node for node in graph.nodes if isinstance(node, Contraction))


def _full(bits: int) -> Range:
    """The range of so many signed bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _wider(bits: int, more: int, family: Family) -> int:
    """So many signed bits more, as long as they take no more multiplier blocks."""
    return max(wider for wider in range(bits, bits + more + 1) if pieces(wider, family) == pieces(bits, family))


def _roomy(graph: Graph, node: Contraction, family: Family, bounds: _Bounds) -> StageStructure:
    low, high = accumulator_of(node, graph.input_of(node))
    requant, sums = node.requant, _full(_wider(bits_for_range(low, high), 2, family))
    if requant.multiplier is None or requant.offset is None:
        return StageStructure(sums=sums, shift=requant.shift)
    m, b = (min(requant.multiplier), max(requant.multiplier)), (min(requant.offset), max(requant.offset))
    scale = scale_of(requant)
    for more in (1, 0):
        m_bits = max(min(_wider(bits_for_range(*m), 2, family), bounds.m_bits), bits_for_range(*m))
        raised = more if bounds.raises and scale is None and requant.shift + more <= MAX_RIGHT else 0
        if bits_for_range(m[0] << raised, m[1] << raised) > m_bits:
            raised = 0
        b_bits = bits_for_range(b[0] << raised, b[1] << raised) + 1
        roomy = StageStructure(
            sums=sums if more else (low, high),
            shift=requant.shift + raised,
            m=m if scale is not None else _full(m_bits),
            b=_full(b_bits),
            scale=scale,
        )
        if bits_for_range(*_enveloped(requant, roomy).product_range(*roomy.sums)) <= MAX_ACCUMULATOR_BITS:
            return roomy
    return StageStructure(sums=(low, high), shift=requant.shift, m=m, b=b, scale=scale)


def _enveloped(requant: Requantizer, structure: StageStructure) -> Enveloped:
    """A requantiser with a structure's shift and room; the caller has seen that they suffice."""
    assert requant.multiplier is not None and requant.offset is not None
    assert structure.m is not None and structure.b is not None
    raised = structure.shift - requant.shift
    # Without a shift nothing was rounded; what is added to be rounded off then is taken away beforehand.
    less = 1 << (structure.shift - 1) if requant.shift == 0 < structure.shift else 0
    return Enveloped(
        requant.out,
        structure.shift,
        tuple(m << raised for m in requant.multiplier),
        tuple((b << raised) - less for b in requant.offset),
        m=structure.m,
        b=structure.b,
        scale=structure.scale,
    )


def conformed(graph: Graph, structure: Structure) -> Graph:
    """A model whose hardware has a structure, and computes the same; for hardware alone, not to be saved.

    Raises
    ------
    ValueError
        Naming the stage that does not fit, and both numbers.
    """
    names = {node.name for node in _contractions(graph)}
    if names != set(structure.stages):
        strange = min(names ^ set(structure.stages))
        raise ValueError(f"stage {strange}: stands in one of the models alone")
    nodes = [
        replace(node, requant=_conformed(graph, node, structure.stages[node.name]))
        if isinstance(node, Contraction)
        else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def _conformed(graph: Graph, node: Contraction, wanted: StageStructure) -> Requantizer:
    requant = node.requant
    _within(node, "its sums", accumulator_of(node, graph.input_of(node)), wanted.sums)
    if requant.multiplier is None or wanted.m is None or wanted.b is None:
        if (requant.multiplier is None) != (wanted.m is None):
            raise ValueError(f"stage {node.name}: only one of the models scales its channels")
        if requant.shift != wanted.shift:
            raise ValueError(f"stage {node.name}: it shifts by {requant.shift}, the design by {wanted.shift}")
        return requant
    if requant.shift > wanted.shift:
        raise ValueError(
            f"stage {node.name}: its scales want a shift of {requant.shift}, the design's is {wanted.shift}"
        )
    found = _enveloped(requant, wanted)
    assert found.multiplier is not None and found.offset is not None
    _within(node, "its m", (min(found.multiplier), max(found.multiplier)), wanted.m)
    _within(node, "its b", (min(found.offset), max(found.offset)), wanted.b)
    return found


def _within(node: Contraction, what: str, found: Range, held: Range) -> None:
    if not (held[0] <= found[0] and found[1] <= held[1]):
        raise ValueError(
            f"stage {node.name}: {what} lie in {found[0]} to {found[1]}, the design holds {held[0]} to {held[1]}"
        )


def widened(specs: Sequence[Spec], structure: Structure) -> list[Spec]:
    """The stages with the width of the structure's sums."""
    stages: Mapping[str, StageStructure] = structure.stages
    found = list[Spec]()
    for spec in specs:
        inner = spec.inner if isinstance(spec, UnfoldedSpec) else spec
        if isinstance(inner, ContractionSpec):
            inner.accumulator = stages[spec.node.name].sums  # a cached property, whose value this is from now on
        if isinstance(spec, EngineSpec):
            room = {node.name: stages[node.name].sums for node in spec.nodes}
            spec = EngineSpec(spec.segment.widened(room), spec.folding, spec.family)
        found.append(spec)
    return found
