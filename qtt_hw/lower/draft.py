"""Drafts of stages: what lowering collects layer by layer, before a contraction knows what follows it.

The output format of a contraction or a sum depends on a later ReLU and on whether it is the network's last one, so
modules are only built once the whole network is known.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.execute import formats
from qtt_hw.lower.scaling import Scaling
from qtt_hw.lower.stage import Place, Stage
from qtt_hw.quant import ActivationQuantizer, QuantConfig
from qtt_hw.window import Shape

__all__ = ["Draft", "Gauge", "NetworkDraft", "NormDraft", "ScaledDraft", "Setting"]


@dataclass(frozen=True)
class Setting:
    """What a draft is told of the whole network when it is built as a stage.

    Parameters
    ----------
    config : QuantConfig
        What holds for the draft's layer.
    layers : int
        How many layers of the whole network have weights.
    last : bool
        Whether the network's output format is that of this stage.
    """

    config: QuantConfig = QuantConfig()
    layers: int = 1
    last: bool = False

    def output(self, signed: bool, intermediate: bool = False) -> ActivationQuantizer:
        """The quantiser of a stage's output; `intermediate` within a tensor train."""
        config = self.config
        if self.last:  # behind a ReLU without the bit that would be the sign
            return ActivationQuantizer(config.logit_bits - (not signed), signed)
        bits = config.intermediate_bits if intermediate else config.activation_bits
        return ActivationQuantizer(bits, signed, fixed=config.scales == "fixed")


@dataclass
class Draft(ABC):
    """A stage before it is built: what is known of it once its layer has been read."""

    place: Place

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.place.inputs

    @property
    def source(self) -> str:
        return self.place.source

    @property
    def in_shape(self) -> Shape:
        return self.place.shape

    @property
    @abstractmethod
    def out_shape(self) -> Shape:
        """(D, H, W, C) of the output; raises ValueError where the input does not fit."""

    @abstractmethod
    def build(self, setting: Setting) -> Stage:
        """The stage."""

    def floats(self, *inputs: Tensor) -> Tensor:
        """What it computes on floats [N, C, D, H, W], in their dtype: the model's own function, nothing quantised."""
        return self.build(Setting()).to(inputs[0].device).floats(*inputs)


@dataclass
class ScaledDraft(Draft):
    """A draft whose output has a scale of its own and a clamp; a ReLU behind it joins the clamp and fills in `relu`.

    Where it is `shared` with calls that do not read its value by name, no ReLU may.
    """

    relu: bool = field(default=False, kw_only=True)
    shared: bool = field(default=False, kw_only=True)

    @property
    def unfit_for_logits(self) -> str | None:
        """Why its output cannot be the network's; None where it can."""
        return None


@dataclass
class NormDraft(ScaledDraft):
    """A draft whose requantiser a batch norm behind it joins, or a scaling by channel: one of them."""

    batch_norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | None = field(default=None, kw_only=True)
    scaling: Scaling | None = field(default=None, kw_only=True)

    @abstractmethod
    def scale(self, scaling: Scaling) -> None:
        """Take in a scaling behind all that it has."""

    @abstractmethod
    def normalise(self, batch_norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> bool:
        """Take in a batch norm behind all that it has, if it can."""


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
    def last(self) -> ScaledDraft | None:
        """The draft whose output format is the network's: only pools and rearrangements follow, which keep it."""
        scaled = [draft for draft in self.drafts if isinstance(draft, ScaledDraft)]
        return scaled[-1] if scaled else None

    def build(self, config: QuantConfig, input_format: Format) -> Sequence[Stage]:
        """The stages; raises ValueError naming the layer for a pool that cannot be exact, or bits that no stage has."""
        stages = [
            draft.build(Setting(config.for_layer(draft.source), self.layers, draft is self.last))
            for draft in self.drafts
        ]
        self._check_layers(config, stages)
        by_name = formats(stages, input_format)
        for stage in stages:
            with named(stage.source):
                stage.check(*(by_name[name] for name in stage.inputs))
        return stages

    def _check_layers(self, config: QuantConfig, stages: Sequence[Stage]) -> None:
        """Raise ValueError where bits are given to a layer that there is not, or that has nothing of such bits."""
        for layer, bits in config.layers.items():
            own = [(draft, stage) for draft, stage in zip(self.drafts, stages, strict=True) if draft.source == layer]
            outputs = [draft for draft, stage in own if hasattr(stage, "output_quantizer")]
            inner = [draft for draft in outputs if getattr(draft, "intermediate", False)]
            if not own:
                near = difflib.get_close_matches(layer, {draft.source for draft in self.drafts}, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"quantisation: layers: the network has no layer {layer!r} that is quantised{hint}")
            lacks = {
                "weight_bits": "" if any(hasattr(stage, "weight_quantizer") for _, stage in own) else "has no weights",
                "intermediate_bits": "" if inner else "is no tensor train, or one of a single stage",
                "activation_bits": "" if len(outputs) > len(inner) else "has no scale of its own",
            }
            if self.last in outputs:
                lacks["activation_bits"] = "puts out the logits, whose bits are logit_bits"
            for option in bits.given:
                if lacks[option]:
                    raise ValueError(f"quantisation: layers: {layer}: {option}: the layer {lacks[option]}")
