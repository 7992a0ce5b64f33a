"""Records: the JSON of what nodes are made of, validated, and the integers that stand beside it as tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Final

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, IntArray, as_integers
from qtt_hw.window import MOST_CHANNELS, MOST_VALUES, Window

__all__ = [
    "MOST_BYTES",
    "CodebookRecord",
    "FormatRecord",
    "Name",
    "Quad",
    "Record",
    "Size",
    "Small",
    "Strict",
    "Tensors",
    "WindowRecord",
    "take",
]

#: Bytes of a model file: more weights than any FPGA holds.
MOST_BYTES: Final = 1 << 28
#: Integers by name, as they are stored.
Tensors = dict[str, NDArray]

#: Of a network or a stage: any text that a user calls it.
Name = Annotated[str, Field(min_length=1, max_length=4096)]
Size = Annotated[int, Field(ge=1, le=MOST_VALUES)]
Padding = Annotated[int, Field(ge=0, le=MOST_VALUES)]
Quad = tuple[Size, Size, Size, Size]
Triple = tuple[Size, Size, Size]
Paddings = tuple[Padding, Padding]
#: Of a number that only small ones make sense of; what it means bounds it further.
Small = Annotated[int, Field(ge=-1024, le=1024)]


class Strict(BaseModel):
    """A record that refuses fields which it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FormatRecord(Strict):
    """A number format."""

    bits: Small
    signed: bool
    frac: Small
    narrow: bool = False

    @staticmethod
    def of(fmt: Format) -> FormatRecord:
        return FormatRecord(bits=fmt.bits, signed=fmt.signed, frac=fmt.frac, narrow=fmt.narrow)

    def build(self) -> Format:
        return Format(self.bits, self.signed, self.frac, self.narrow)


class CodebookRecord(Strict):
    """A codebook of powers of two."""

    bits: Small
    magnitudes: Small
    zero: bool
    frac: Small

    @staticmethod
    def of(fmt: Codebook) -> CodebookRecord:
        return CodebookRecord(bits=fmt.bits, magnitudes=fmt.magnitudes, zero=fmt.zero, frac=fmt.frac)

    def build(self) -> Codebook:
        return Codebook(self.bits, self.magnitudes, self.zero, self.frac)


class WindowRecord(Strict):
    """Kernel, stride, padding and dilation of D, H, W; the latter is absent where it is 1."""

    kernel: Triple
    stride: Triple
    padding: tuple[Paddings, Paddings, Paddings]
    dilation: Triple | None = None

    @staticmethod
    def of(window: Window) -> WindowRecord:
        dilation = window.dilation if window.dilation != (1, 1, 1) else None
        return WindowRecord(kernel=window.kernel, stride=window.stride, padding=window.padding, dilation=dilation)

    def build(self) -> Window:
        return Window(self.kernel, self.stride, self.padding, self.dilation or (1, 1, 1))


class Record(Strict, ABC):
    """A node's JSON; a kind's own has its `kind` and what else it is made of."""

    name: Name
    inputs: tuple[Name, ...]
    source: Annotated[str, Field(max_length=4096)]

    @abstractmethod
    def build(self, tensors: Tensors) -> Any:
        """The node; takes its integers out of `tensors`, ValueError when one is missing or of another type."""


def take(tensors: Tensors, name: str, types: tuple[str, ...], axes: int = 1, most: int = MOST_CHANNELS) -> IntArray:
    """Remove and return a tensor of one of these types, with so many axes and at most so many integers."""
    if name not in tensors:
        raise ValueError(f"tensor {name} is missing")
    tensor = tensors.pop(name)
    if tensor.dtype.name not in types:
        raise ValueError(f"tensor {name} holds {tensor.dtype.name}, expected {' or '.join(types)}")
    if tensor.ndim != axes or tensor.size > most:
        expected = f"{axes} axes and at most {most} values"
        raise ValueError(f"tensor {name} has shape {list(tensor.shape)}, expected {expected}")
    return as_integers(tensor)
