"""The integer graph: stages of fixed-point arithmetic, their golden model, and the file that holds them; no torch."""

from __future__ import annotations

from qtt_hw.graph.graph import INPUT, Graph, InputSpec
from qtt_hw.graph.kinds import (
    Add,
    Concatenation,
    Contraction,
    Multiplication,
    Permutation,
    Pool,
    Reshape,
    Slice,
    Table,
)
from qtt_hw.graph.node import Edge, Node

__all__ = [
    "INPUT",
    "Add",
    "Concatenation",
    "Contraction",
    "Edge",
    "Graph",
    "InputSpec",
    "Multiplication",
    "Node",
    "Permutation",
    "Pool",
    "Reshape",
    "Slice",
    "Table",
]
