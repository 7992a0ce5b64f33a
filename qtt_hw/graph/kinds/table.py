"""Tables: any function of one value of at most 8 bits, by its value for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qtt_hw.fixedpoint import Format
from qtt_hw.graph.node import Edge, Node
from qtt_hw.graph.record import FormatRecord, Record, Tensors, take

__all__ = ["MOST_BITS", "Table", "TableRecord"]

#: Of a value that is looked up.
MOST_BITS = 8


@dataclass(frozen=True)
class Table(Node):
    """y = entries[x's bit pattern], value by value.

    Parameters
    ----------
    entries : tuple of int
        2**bits of them, by the value's two's complement as an unsigned number.
    out : Format
    """

    rescales = True
    tags = ("table",)

    entries: tuple[int, ...]
    out: Format

    def output(self, *inputs: Edge) -> Edge:
        (x,) = inputs
        if x.format.bits > MOST_BITS:
            raise ValueError(f"looks up values of {x.format.bits} bits, {MOST_BITS} are the most")
        if len(self.entries) != 1 << x.format.bits:
            raise ValueError(f"has {len(self.entries)} entries for values of {x.format.bits} bits")
        if not self.out.contains(np.array(self.entries)):
            raise ValueError(f"an entry is outside {self.out.minimum} to {self.out.maximum}")
        return Edge(x.shape, self.out)

    @property
    def stored_bits(self) -> int:
        return len(self.entries) * self.out.bits

    def golden(self, *streams: tuple[NDArray, Edge]) -> NDArray:
        ((x, _),) = streams
        return np.array(self.entries, dtype=np.int32)[x & (len(self.entries) - 1)]

    def narrowed(self, *inputs: Edge, weights: int, outputs: int) -> Table:
        (x,) = inputs
        step = len(self.entries) >> x.format.bits  # of the values that are left
        lost = max(self.out.bits - outputs, 0)
        out = Format(self.out.bits - lost, self.out.signed, self.out.frac - lost)
        return Table(self.name, self.inputs, self.source, tuple(y >> lost for y in self.entries[::step]), out)

    def record(self, tensors: Tensors) -> TableRecord:
        tensors[f"{self.name}.entries"] = np.asarray(self.entries, np.int32)
        return TableRecord(name=self.name, inputs=self.inputs, source=self.source, out_format=FormatRecord.of(self.out))


class TableRecord(Record):
    """Its entries are the tensor <name>.entries."""

    kind: Literal["table"] = "table"
    out_format: FormatRecord

    def build(self, tensors: Tensors) -> Table:
        entries = tuple(take(tensors, f"{self.name}.entries", ("int32",)).tolist())
        return Table(self.name, self.inputs, self.source, entries, self.out_format.build())
