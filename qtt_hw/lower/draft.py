"""Drafts of stages: what lowering collects layer by layer, before a contraction knows what follows it.

The output format of a contraction or a sum depends on a later ReLU and on whether it is the network's last one, so
modules are only built once the whole network is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.contraction import ContractionStage
from qtt_hw.lower.execute import formats
from qtt_hw.lower.merged import MergedStage
from qtt_hw.lower.residual import AddStage, SubsampleStage
from qtt_hw.lower.stages import PermutationStage, PoolStage, ReshapeStage, Stage
from qtt_hw.quant import BatchNorm, QuantConfig, RoundedBatchNorm, weight_quantizer
from qtt_hw.window import Shape, Window

__all__ = [
    "AddDraft",
    "ContractionDraft",
    "Draft",
    "Gauge",
    "NetworkDraft",
    "PermutationDraft",
    "PoolDraft",
    "ReshapeDraft",
    "SubsampleDraft",
]


@dataclass
class ContractionDraft:
    """A contraction in the making; `batch_norm` and `relu` are filled in by the layers that follow."""

    name: str
    inputs: tuple[str, ...]
    source: str
    in_shape: Shape
    window: Window
    weight: Tensor
    layer: int
    bias: Tensor | None = None
    batch_norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | None = None
    relu: bool = False
    intermediate: bool = False
    lead: int = 1
    trail: int = 1
    #: Of a tensor train that is merged: the cores [r, c, s, r'] whose product `weight` is.
    cores: Sequence[Tensor] = ()

    @property
    def out_shape(self) -> Shape:
        channels = self.lead * int(self.weight.shape[0]) * self.trail
        return (*self.window.out_positions(self.in_shape), channels)

    def build(self, config: QuantConfig, layers: int, last: bool) -> ContractionStage:
        """The stage; `last` when its output is the network's."""
        norm: BatchNorm | None = None
        bias = self.bias
        if self.batch_norm is not None:
            source = self.batch_norm
            momentum = 0.1 if source.momentum is None else source.momentum
            channels = self.out_shape[3]
            if config.scales == "fixed":
                norm = RoundedBatchNorm(channels, config.activation_bits, source.eps, momentum)
            else:
                norm = BatchNorm(channels, source.eps, momentum)
            norm.load_state_dict({name: getattr(source, name).detach() for name in norm.state_dict()})
            if bias is not None:
                # The statistics are of the sums without the bias; the shift is batch norm's own. Where there are none
                # yet they stay so, to be estimated.
                if norm.has_statistics:
                    norm.running_mean.sub_(bias.detach())
                bias = None
        if last:
            out_bits = config.logit_bits
        else:
            out_bits = config.intermediate_bits if self.intermediate else config.activation_bits
        fixed = config.scales == "fixed"
        weight_bits = config.layer_weight_bits(self.layer == 0, self.layer == layers - 1)
        options: dict[str, Any] = {
            "out_bits": out_bits,
            "relu": self.relu,
            "bias": bias,
            "batch_norm": norm,
            "fixed_output": fixed and not last,
        }
        place = (self.name, self.inputs, self.source, self.window, self.in_shape)
        if self.cores:
            return MergedStage(*place, self.cores, weight_bits, fixed_weight=fixed, **options)
        quantizer = weight_quantizer(config, weight_bits, self.weight.shape)
        return ContractionStage(*place, self.weight, quantizer, lead=self.lead, trail=self.trail, **options)


@dataclass
class PoolDraft:
    name: str
    inputs: tuple[str, ...]
    source: str
    in_shape: Shape
    kind: Literal["max", "average"]
    window: Window

    @property
    def out_shape(self) -> Shape:
        return (*self.window.out_positions(self.in_shape), self.in_shape[3])

    def build(self) -> PoolStage:
        return PoolStage(self.name, self.inputs, self.source, self.kind, self.window, self.in_shape)


@dataclass
class PermutationDraft:
    name: str
    inputs: tuple[str, ...]
    source: str
    in_shape: Shape
    order: tuple[int, ...]

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def build(self) -> PermutationStage:
        return PermutationStage(self.name, self.inputs, self.source, self.order, self.in_shape)


@dataclass
class ReshapeDraft:
    name: str
    inputs: tuple[str, ...]
    source: str
    in_shape: Shape
    out_shape: Shape

    def build(self) -> ReshapeStage:
        return ReshapeStage(self.name, self.inputs, self.source, self.in_shape, self.out_shape)


@dataclass
class SubsampleDraft:
    name: str
    inputs: tuple[str, ...]
    source: str
    in_shape: Shape
    stride: tuple[int, int, int]
    channels: int
    before: int

    @property
    def out_shape(self) -> Shape:
        return (*Window(stride=self.stride).out_positions(self.in_shape), self.channels)

    def build(self) -> SubsampleStage:
        return SubsampleStage(
            self.name, self.inputs, self.source, self.stride, self.in_shape, self.channels, self.before
        )


@dataclass
class AddDraft:
    """A sum in the making; `relu` is filled in by a ReLU that follows."""

    name: str
    inputs: tuple[str, ...]
    source: str
    in_shape: Shape
    #: Whether both inputs are.
    nonnegative: bool
    relu: bool = False

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def build(self, config: QuantConfig, last: bool) -> AddStage:
        """The stage; `last` when its output is the network's."""
        bits = config.logit_bits if last else config.activation_bits
        signed = last or not (self.relu or self.nonnegative)
        fixed = config.scales == "fixed" and not last
        return AddStage(self.name, self.inputs, self.source, self.in_shape, bits, signed, fixed)


Draft = ContractionDraft | PoolDraft | PermutationDraft | ReshapeDraft | SubsampleDraft | AddDraft


@dataclass(frozen=True)
class Gauge:
    """A TT-rank between two contractions: scaling its slice j by d in one and by 1 / d in the other changes nothing.

    Parameters
    ----------
    before, after : int
        Stage indices.
    out_modes, in_modes : tuple of int
        How the first one's outputs and the second one's inputs split into modes.
    out_axis, in_axis : int
        Which of these modes the rank is.
    """

    before: int
    after: int
    out_modes: tuple[int, ...]
    out_axis: int
    in_modes: tuple[int, ...]
    in_axis: int


@dataclass
class NetworkDraft:
    """The drafts of a whole network, in topological order, and the gauges of its tensor trains."""

    drafts: list[Draft] = field(default_factory=list)
    gauges: list[Gauge] = field(default_factory=list)
    layers: int = 0

    @property
    def last(self) -> ContractionDraft | AddDraft | None:
        """What the network's output format is of: nothing but pools and rearrangements follows it."""
        found = [draft for draft in self.drafts if isinstance(draft, ContractionDraft | AddDraft)]
        return found[-1] if found else None

    def build(self, config: QuantConfig, input_format: Format) -> Sequence[Stage]:
        """The stages; raises ValueError naming the layer for a pool that cannot be exact."""
        stages: list[Stage] = []
        for draft in self.drafts:
            match draft:
                case ContractionDraft():
                    stages.append(draft.build(config, self.layers, draft is self.last))
                case AddDraft():
                    stages.append(draft.build(config, draft is self.last))
                case _:
                    stages.append(draft.build())
        found = formats(stages, input_format)
        for stage in stages:
            if isinstance(stage, PoolStage):
                with named(stage.source):
                    stage.check(found[stage.inputs[0]])
        return stages
