"""Bit widths of a quantised network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qtt_hw.codebook import MAX_CODE_BITS
from qtt_hw.errors import one_line
from qtt_hw.options import BITS, WeightScales

__all__ = ["Bits", "LayerBits", "LogitBits", "QuantConfig", "Switch"]

Bits = Annotated[int, Field(ge=BITS[0], le=BITS[1], strict=True)]
LogitBits = Annotated[int, Field(ge=BITS[0], le=16, strict=True)]
Switch = Annotated[bool, Field(strict=True)]


class LayerBits(BaseModel):
    """Bits of one layer; what is not given is the whole network's. `intermediate_bits` are within a tensor train."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight_bits: Bits | None = None
    activation_bits: Bits | None = None
    intermediate_bits: Bits | None = None

    @property
    def given(self) -> dict[str, int]:
        """The options that are given, with their bits."""
        return self.model_dump(exclude_none=True)


class QuantConfig(BaseModel):
    """How a network is quantised: bit widths from 2 to 8, of logits to 16, and how weights and scales are found.

    Weights are signed and narrow (-7 to 7 at 4 bits), activations signed, or unsigned after ReLU.

    Parameters
    ----------
    weight_bits : int
        Of every core and kernel.
    activation_bits : int
        Of every layer's output.
    intermediate_bits : int
        Between the stages of one tensor-train layer.
    first_weight_bits, last_weight_bits : int, optional
        Of the first and the last layer; `weight_bits` unless given.
    logit_bits : int
        Of the network's output.
    layers : mapping of str to mapping, optional
        By the name of a layer, as `check` gives it, other `weight_bits`, `activation_bits` or `intermediate_bits`;
        `prepare` refuses names that the network has not.
    tt_form : "streamed" or "merged"
        How a QTTConv3d is lowered: step by step along its path, every intermediate quantised, which is the hardware's
        own arithmetic; or its cores quantised and merged from the first on, each product quantised again, into the
        kernel of one dense convolution, as QTTNet was published.
    scales : "learned" or "fixed"
        Powers of two, one for each tensor, learned in training; or QTTNet's: k bits have k - 1 fractional bits
        everywhere, and batch norm's own quantities are rounded to that step too. The clip of activations and the bound
        on sigma that the published quantisers lack are added, since integers of k bits need them. Logits keep a
        learned scale.
    weight_scales : "tensor" or "channel"
        One power of two for a weight's tensor, or a factor for each of its output channels, set at calibration. Where
        batch norm or a bias multiplies by channel the latter costs nothing, in between a tensor train's cores a
        multiplication a result.
    codebook : "dqc", "sqc", "inq" or "kmeans", optional
        Weights as codes of `weight_bits` bits instead: powers of two below the layer's largest weight, found anew in
        every forward pass (dqc) or at calibration (sqc), or taken in portions (inq); or 2**weight_bits trained values
        (kmeans).
    zero : bool
        Of dqc and sqc: 0 takes the place of the least magnitude. inq always has one.
    gradient : "scaled" or "straight"
        Of dqc and sqc: times the quantised weight's size, as published, or straight through.
    activations : "quantized" or "float"
        Float leaves everything but the weights in float, batch norm included, as DQC was published: to be trained and
        evaluated, not frozen.

    Raises
    ------
    ValueError
        One line, for a width out of range, an option that there is not, or options that exclude each other.

    References
    ----------
    QTTNet: Lee, Wang, Wang, Yang, Liu, Li, Xu, Wen, "QTTNet: Quantized tensor train neural networks for 3D object and
    video recognition", Neural Networks 141 (2021).
    dqc, sqc: Rao et al., Acta Automatica Sinica 45 (2019), doi 10.16383/j.aas.c180554.
    inq: Zhou et al., "Incremental network quantization: towards lossless CNNs with low-precision weights", ICLR 2017,
    arXiv:1702.03044.
    kmeans: Han et al., "Deep compression: compressing deep neural networks with pruning, trained quantization and
    Huffman coding", ICLR 2016, arXiv:1510.00149.

    Examples
    --------
    >>> import qtt_hw
    >>> config = qtt_hw.QuantConfig(weight_bits=4, activation_bits=8, last_weight_bits=8)
    >>> config.weight_bits, config.layer_weight_bits(first=False, last=True), config.logit_bits
    (4, 8, 16)
    >>> config = qtt_hw.QuantConfig(weight_bits=4, layers={"head.2": {"weight_bits": 8}})
    >>> config.for_layer("head.2").weight_bits, config.for_layer("features.0").weight_bits
    (8, 4)
    >>> qtt_hw.QuantConfig(weight_bits=9)
    Traceback (most recent call last):
        ...
    ValueError: quantisation: weight_bits: Input should be less than or equal to 8, got 9
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight_bits: Bits = 4
    activation_bits: Bits = 8
    intermediate_bits: Bits = 8
    first_weight_bits: Bits | None = None
    last_weight_bits: Bits | None = None
    logit_bits: LogitBits = 16
    layers: dict[str, LayerBits] = Field(default_factory=dict)
    tt_form: Literal["streamed", "merged"] = "streamed"
    scales: Literal["learned", "fixed"] = "learned"
    weight_scales: WeightScales = "tensor"
    codebook: Literal["dqc", "sqc", "inq", "kmeans"] | None = None
    zero: Switch = False
    gradient: Literal["scaled", "straight"] = "scaled"
    activations: Literal["quantized", "float"] = "quantized"

    @model_validator(mode="after")
    def _one_scheme(self) -> QuantConfig:
        powers = self.codebook in ("dqc", "sqc")
        for name in ("zero", "gradient"):
            if getattr(self, name) != type(self).model_fields[name].default and not powers:
                raise ValueError(f'{name} is only read with codebook = "dqc" or "sqc"')
        if self.activations == "float" and self.scales == "fixed":
            raise ValueError('scales = "fixed" rounds batch norm, which activations = "float" leaves in float')
        if self.weight_scales == "channel":
            for name, value in (("scales", "fixed"), ("tt_form", "merged")):
                if getattr(self, name) == value:
                    raise ValueError(f'{name} = "{value}" has a scale for a tensor; use weight_scales = "tensor"')
            if self.codebook is not None:
                raise ValueError('codebook sets its own scales; use weight_scales = "tensor"')
        if self.codebook is None:
            return self
        if self.tt_form == "merged":
            raise ValueError('tt_form = "merged" has no codebook, since its kernel is a product; use "streamed"')
        if self.scales == "fixed":
            raise ValueError('scales = "fixed" has no codebook, which sets its own; use "learned"')
        if self.codebook == "kmeans":
            return self
        for name in ("weight_bits", "first_weight_bits", "last_weight_bits"):
            if (getattr(self, name) or 0) > MAX_CODE_BITS:
                raise ValueError(f'{name} must be 2 to {MAX_CODE_BITS} with codebook = "{self.codebook}"')
        for name, bits in self.layers.items():
            if (bits.weight_bits or 0) > MAX_CODE_BITS:
                what = f"layers: {name}: weight_bits must be 2 to {MAX_CODE_BITS}"
                raise ValueError(f'{what} with codebook = "{self.codebook}"')
        return self

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise one_line(error, "quantisation", type(self)) from None

    def layer_weight_bits(self, first: bool, last: bool) -> int:
        """Weight bits of a layer by its place; a network's only layer counts as the last one."""
        if last and self.last_weight_bits is not None:
            return self.last_weight_bits
        if first and self.first_weight_bits is not None:
            return self.first_weight_bits
        return self.weight_bits

    def for_layer(self, name: str) -> QuantConfig:
        """What holds for one layer: its own bits in place of the network's, and of those of the first or last layer."""
        own = self.layers.get(name)
        if own is None:
            return self
        update: dict[str, Any] = {"layers": {}, **own.given}
        if own.weight_bits is not None:
            update |= {"first_weight_bits": None, "last_weight_bits": None}
        return self.model_copy(update=update)
