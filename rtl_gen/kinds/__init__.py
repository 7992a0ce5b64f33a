"""The kinds of stage that have hardware, each in a module of its own; nothing else knows them by name."""

from __future__ import annotations

from collections.abc import Sequence

from qtt_hw.graph import (
    Add,
    Concatenation,
    Contraction,
    Edge,
    Multiplication,
    Node,
    Permutation,
    Pool,
    Slice,
    Table,
)
from rtl_gen.families import Family
from rtl_gen.kinds.add import ADD
from rtl_gen.kinds.concatenation import CONCATENATION
from rtl_gen.kinds.contraction_choices import CONTRACTION
from rtl_gen.kinds.multiplication import MULTIPLICATION
from rtl_gen.kinds.permutation import PERMUTATION
from rtl_gen.kinds.pool import POOL
from rtl_gen.kinds.slice import SLICE
from rtl_gen.kinds.spec import Folding, Kind, Spec, Store
from rtl_gen.kinds.table import TABLE

__all__ = ["KINDS", "Folding", "Kind", "Spec", "Store", "kind_of", "spec_of"]

#: By the class of the graph's node.
KINDS: dict[type[Node], Kind] = {
    Add: ADD,
    Concatenation: CONCATENATION,
    Contraction: CONTRACTION,
    Multiplication: MULTIPLICATION,
    Permutation: PERMUTATION,
    Pool: POOL,
    Slice: SLICE,
    Table: TABLE,
}


def kind_of(node: Node) -> Kind:
    """The kind of a node; raises ValueError naming a stage that has no hardware."""
    if type(node) not in KINDS:
        raise ValueError(f"stage {node.name}: {type(node).__name__} is not a hardware stage")
    return KINDS[type(node)]


def spec_of(node: Node, inputs: Sequence[Edge], folding: Folding, family: Family) -> Spec:
    """A node as hardware; raises ValueError naming the stage and the choice that does not fit."""
    return kind_of(node).spec(node, inputs, folding, family)
