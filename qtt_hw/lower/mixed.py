"""Networks of which each layer runs in float or quantised: what the quantisation of one of them alone does.

A prepared model's stages, in copies: `in_float` with the weights as they are, `at_bits` with another number of bits. A
`Part` says with which of them a stage runs, and whether its output is rounded. What keeps the scale of its input (a
pool, a slice) rounds where that is rounded.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.sampling import statistics_of
from qtt_hw.lower.stage import Stage
from qtt_hw.progress import Progress, silent
from qtt_hw.quant import BatchNorm, QuantConfig, RoundedBatchNorm, UniformQuantizer, weight_quantizer
from qtt_hw.quant.incremental import IncrementalQuantizer

__all__ = ["Flow", "Layer", "Part", "at_bits", "in_float", "layers_of", "run", "settle", "with_version"]

Kept = TypeVar("Kept")
AnyStage = TypeVar("AnyStage", bound=Stage)


class _Unquantized(UniformQuantizer):
    """Stands for a weight's quantiser and hands the weight on."""

    def __init__(self) -> None:
        super().__init__(8)

    def calibrate(self, values: Tensor) -> None:
        pass

    def forward(self, weight: Tensor) -> Tensor:
        return weight


@dataclass(frozen=True, eq=False)
class Flow:
    """Values between stages, [N, C, D, H, W], the format that they have where they are `rounded`, and whether so."""

    values: Tensor
    format: Format
    rounded: bool = True


@dataclass(frozen=True, eq=False)
class Part:
    """A stage as it is run: with which weights, and whether its output is rounded."""

    stage: Stage
    rounded: bool

    def __call__(self, inputs: Sequence[Flow]) -> Flow:
        stage = self.stage
        fmt = stage.out_format(*(flow.format for flow in inputs))
        rounded = self.rounded if scaled(stage) else all(flow.rounded for flow in inputs)
        with named(stage.name):
            if rounded:
                return Flow(stage.values(*((flow.values, flow.format) for flow in inputs), exact=False), fmt)
            return Flow(stage.floats(*(flow.values for flow in inputs)), fmt, rounded=False)


@dataclass(frozen=True)
class Layer:
    """A layer of the user's network that is quantised: the stages that it became, by their indices."""

    name: str
    stages: range

    def weighted(self, stages: Sequence[Stage]) -> list[ContractionStage]:
        """Its stages with weights."""
        return [stage for stage in (stages[i] for i in self.stages) if isinstance(stage, ContractionStage)]


def scaled(stage: Stage) -> bool:
    """Whether a stage's output has a scale of its own."""
    return hasattr(stage, "output_quantizer")


def layers_of(stages: Sequence[Stage]) -> list[Layer]:
    """The layers that have weights or a scale, in their order; stages of one layer stand side by side."""
    found: list[Layer] = []
    start = 0
    for end in range(1, len(stages) + 1):
        if end < len(stages) and stages[end].source == stages[start].source:
            continue
        if any(scaled(stages[index]) for index in range(start, end)):
            found.append(Layer(stages[start].source, range(start, end)))
        start = end
    return found


def in_float(stage: Stage) -> Stage:
    """A copy with the weights, and batch norm's own quantities, as they are in float."""
    made = copy.deepcopy(stage)
    if isinstance(made, ContractionStage):
        made.replace_quantizers(lambda shape: _Unquantized())
        if isinstance(made.batch_norm, RoundedBatchNorm):
            plain = BatchNorm(len(made.batch_norm.weight), made.batch_norm.eps, made.batch_norm.momentum)
            plain.load_state_dict(made.batch_norm.state_dict())
            made.batch_norm = plain.eval()
    return made


def at_bits(stage: AnyStage, config: QuantConfig, bits: int) -> AnyStage:
    """A copy whose weights have so many bits, of the scale, or codebook, that is set for them."""
    made = copy.deepcopy(stage)
    if isinstance(made, ContractionStage):
        made.replace_quantizers(lambda shape: weight_quantizer(config, bits, shape))
        made.calibrate_weight()
        if isinstance(made.weight_quantizer, IncrementalQuantizer):
            made.weight_quantizer.take(made.weight, 1.0)
        made.eval()
    return made


def _let_go(kept: dict[str, Kept], parts: Sequence[Part], index: int) -> None:
    """Drop what no stage behind this one reads."""
    later = {name for part in parts[index + 1 :] for name in part.stage.inputs}
    for name in parts[index].stage.inputs:
        if name not in later:
            kept.pop(name, None)


@torch.no_grad()
def run(parts: Sequence[Part], kept: Mapping[str, Flow], start: int = 0, stop: int | None = None) -> dict[str, Flow]:
    """What stages `start` up to `stop` put out, by name, from what those before did, the input as `INPUT`."""
    known, made = dict(kept), {}
    for part in parts[start:stop]:
        made[part.stage.name] = known[part.stage.name] = part([known[name] for name in part.stage.inputs])
    return made


@torch.no_grad()
def settle(
    parts: Sequence[Part],
    layers: Sequence[Layer],
    versions: Mapping[str, Sequence[Sequence[Part]]],
    batches: Iterable[Flow],
    *,
    own: bool,
    progress: Progress = silent,
) -> None:
    """Set the statistics of batch norms from inputs: those of layers' versions, each behind the network's own parts.

    Parameters
    ----------
    parts : sequence of Part
        The network.
    layers : sequence of Layer
    versions : mapping of str to sequences of Part
        By a layer's name, the parts that take the place of its own in each version.
    batches : iterable of Flow
        Inputs.
    own : bool
        Set the statistics of the network's own parts too.
    progress : Progress
    """
    kept: dict[str, list[Flow]] = {INPUT: list(batches)}
    begins = {layer.stages.start: layer for layer in layers}
    for index, part in enumerate(parts):
        layer = begins.get(index)
        for version in versions.get(layer.name, ()) if layer is not None else ():
            local = dict(kept)
            for replaced in version:
                local[replaced.stage.name] = _settled(replaced, local, statistics=True)
        kept[part.stage.name] = _settled(part, kept, statistics=own)
        _let_go(kept, parts, index)
        progress("statistics", index + 1, len(parts))


def _settled(part: Part, kept: Mapping[str, list[Flow]], statistics: bool) -> list[Flow]:
    """A part's results on all batches, after its batch norm's statistics are set from them."""
    stage = part.stage
    given = [kept[name] for name in stage.inputs]
    if statistics and isinstance(stage, ContractionStage) and stage.batch_norm is not None:
        (flows,) = given
        factor = stage.weight_quantizer.factors()
        scale = 1.0 if factor is None else factor.repeat_interleave(stage.trail).repeat(stage.lead).to(torch.float64)
        sums = [stage.sums(flow.values) for flow in flows]
        stage.batch_norm.set_statistics(*statistics_of(sums, scale))
    return [part(flows) for flows in zip(*given, strict=True)]


def with_version(parts: Sequence[Part], layer: Layer, version: Sequence[Part]) -> list[Part]:
    """The network with a version of one layer in the place of its own."""
    return [*parts[: layer.stages.start], *version, *parts[layer.stages.stop :]]
