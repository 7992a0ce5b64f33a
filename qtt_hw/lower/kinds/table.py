"""Activations that are looked up: a function of one value, tabulated in float64 for each value of its input."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format, quantize
from qtt_hw.graph import Edge, Table
from qtt_hw.lower.draft import ScaledDraft, Setting
from qtt_hw.lower.lowering import Lowering, place
from qtt_hw.lower.refusals import LAST_CALL
from qtt_hw.lower.sampling import calibrate_output, sample
from qtt_hw.lower.stage import Place, Stage, Stream
from qtt_hw.lower.value import Value
from qtt_hw.nn.pointwise import Pointwise
from qtt_hw.quant import ActivationQuantizer
from qtt_hw.window import Shape

__all__ = ["Function", "TableDraft", "TableStage", "looked_up", "parts_of"]

#: Of a function's values, those by which it is seen whether any is below 0: of all magnitudes, of both signs.
_MAGNITUDES = 2.0 ** torch.linspace(-20, 20, 4001, dtype=torch.float64)
_SAMPLES = torch.cat([-_MAGNITUDES, torch.zeros(1, dtype=torch.float64), _MAGNITUDES])


class TableStage(Stage):
    """y = f(x), value by value: integers by a table of all values that x can have.

    Parameters
    ----------
    place : Place
    function : Pointwise
        f.
    output_quantizer : ActivationQuantizer
    """

    def __init__(self, place: Place, function: Pointwise, output_quantizer: ActivationQuantizer) -> None:
        super().__init__(place, place.shape)
        self.function, self.output_quantizer = function, output_quantizer

    def out_format(self, *formats: Format) -> Format:
        return self.output_quantizer.format

    def entries(self, fmt: Format) -> Tensor:
        """f of each value of a format, quantised: int64 [2**bits], by the value's bits as an unsigned number."""
        patterns = torch.arange(1 << fmt.bits)
        values = torch.where(patterns > fmt.maximum, patterns - (1 << fmt.bits), patterns)
        x = values.to(torch.float64) * 2.0**-fmt.frac
        with torch.no_grad():
            y = self.function(x)
        if not bool(y.isfinite().all()):
            raise ValueError(f"has no finite value at {float(x[~y.isfinite()][0]):g}")
        entries: Tensor = quantize(y, self.output_quantizer.format).to(torch.int64)
        return entries

    def integers(self, *streams: Stream) -> Tensor:
        ((x, fmt),) = streams
        entries = self.entries(fmt).to(x.device, torch.float32)
        return entries[x.to(torch.int64) & (len(entries) - 1)]

    def floats(self, *inputs: Tensor) -> Tensor:
        y = self.function(inputs[0])
        return y if self.output_quantizer.signed else y.relu()

    def values(self, *streams: Stream, exact: bool) -> Tensor:
        ((x, fmt),) = streams
        if not exact:
            return self.output_quantizer(self.function(x))
        with torch.no_grad():
            result = self.integers((x * 2.0**fmt.frac, fmt)).mul_(2.0**-self.output_quantizer.frac)
        return self.output_quantizer(self.function(x), result)

    def node(self, *formats: Format) -> Table:
        (fmt,) = formats
        entries = tuple(self.entries(fmt).tolist())
        return Table(self.name, self.inputs, self.source, entries, self.output_quantizer.format)

    def check(self, *formats: Format) -> None:
        with named(self.name):
            self.node(*formats).output(Edge(self.in_shape, *formats))

    def calibrate(self, batches: Sequence[Sequence[Stream]], *, scales: bool, statistics: bool) -> list[Tensor]:
        if scales:
            fmt = batches[0][0][1]
            y = self.function(sample([x for ((x, _),) in batches]) * 2.0**-fmt.frac)
            calibrate_output(self.name, self.output_quantizer, y)
            self.output_quantizer.observe(y, self.output_quantizer.format)
        return super().calibrate(batches, scales=scales, statistics=statistics)


@dataclass
class TableDraft(ScaledDraft):
    """A table in the making.

    Parameters
    ----------
    function : Pointwise
    nonnegative : bool
        Whether it puts out nothing below 0.
    activation : str
        The function's name.
    """

    function: Pointwise
    nonnegative: bool
    activation: str

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    @property
    def unfit_for_logits(self) -> str | None:
        with torch.no_grad():
            rises = bool((self.function(_SAMPLES.sort().values).diff() >= 0).all())
        instead = LAST_CALL if rises else "without it, it would be another network"
        return f"ends with a {self.activation}, which is not supported; {instead}"

    def build(self, setting: Setting) -> TableStage:
        return TableStage(self.place, copy.deepcopy(self.function), setting.output(not (self.relu or self.nonnegative)))

    def floats(self, *inputs: Tensor) -> Tensor:
        y = self.function(inputs[0])
        return y.relu() if self.relu else y


@dataclass(frozen=True, eq=False)
class Function:
    """A function of single values that has no table yet: another one behind it becomes part of the same.

    Parameters
    ----------
    name : str
        The call's, or the last one's of several.
    activation : str
        The function's.
    base : Value
        What is looked up, with nothing pending.
    function : Pointwise
    nonnegative : bool
        Whether it puts out nothing below 0.
    """

    name: str
    activation: str
    base: Value
    function: Pointwise
    nonnegative: bool

    def settled(self, lowering: Lowering) -> Value:
        """Its table."""
        x = self.base
        draft = TableDraft(place(self.name, self.name, x), self.function, self.nonnegative, self.activation)
        like = replace(x, norm_target=None, relu_target=draft, nonnegative=draft.nonnegative, forked=False)
        return lowering.append(draft, like)


def parts_of(x: Value) -> tuple[Value, Pointwise]:
    """What a value is a function of, and the function."""
    return (x.pending.base, x.pending.function) if isinstance(x.pending, Function) else (x, Pointwise())


def looked_up(name: str, activation: str, base: Value, function: Pointwise) -> Value:
    """A function of a value that has nothing pending; the value itself where it changes none that this can be."""
    with torch.no_grad():
        x = _SAMPLES if not base.nonnegative else _SAMPLES.abs()
        y = function(x)
    if torch.equal(x, y):
        return base
    nonnegative = bool((y >= 0).all())
    pending = Function(name, activation, base, function, nonnegative)
    return replace(base, norm_target=None, relu_target=None, nonnegative=nonnegative, forked=False, pending=pending)
