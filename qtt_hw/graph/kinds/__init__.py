"""The kinds of stage of the integer graph, each in a module of its own: node, rule, golden function, JSON."""

from __future__ import annotations

from qtt_hw.graph.kinds.add import Add, AddRecord
from qtt_hw.graph.kinds.concatenation import Concatenation, ConcatenationRecord
from qtt_hw.graph.kinds.contraction import Contraction, ContractionRecord
from qtt_hw.graph.kinds.multiplication import Multiplication, MultiplicationRecord
from qtt_hw.graph.kinds.permutation import Permutation, PermutationRecord
from qtt_hw.graph.kinds.pool import Pool, PoolRecord
from qtt_hw.graph.kinds.reshape import Reshape, ReshapeRecord
from qtt_hw.graph.kinds.slice import Slice, SliceRecord
from qtt_hw.graph.kinds.table import Table, TableRecord

__all__ = [
    "RECORDS",
    "Add",
    "Concatenation",
    "Contraction",
    "Multiplication",
    "Permutation",
    "Pool",
    "Reshape",
    "Slice",
    "Table",
]

#: The JSON of every kind; its `kind` says which one it is.
RECORDS = (
    AddRecord,
    ConcatenationRecord,
    ContractionRecord,
    MultiplicationRecord,
    PermutationRecord,
    PoolRecord,
    ReshapeRecord,
    SliceRecord,
    TableRecord,
)
