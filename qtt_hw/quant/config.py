"""Bit widths of a quantised network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qtt_hw.errors import one_line

__all__ = ["QuantConfig"]

Bits = Annotated[int, Field(ge=2, le=16)]


class QuantConfig(BaseModel):
    """Bit widths, 2 to 16 each; weights are signed and narrow, activations signed, or unsigned after ReLU.

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
    tt_form : "streamed" or "merged"
        How a QTTConv3d is lowered: step by step along its path, every intermediate quantised, which is the hardware's
        own arithmetic; or its cores quantised and merged from the first on, each product quantised again, into the
        kernel of one dense convolution, as QTTNet was published.
    scales : "learned" or "fixed"
        Powers of two, one a tensor, learned in training; or QTTNet's: k bits have k - 1 fractional bits everywhere,
        and batch norm's own quantities are rounded to that step too. The clip of activations and the bound on sigma
        that the published quantisers lack are added, since integers of k bits need them. Logits keep a learned scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight_bits: Bits = 4
    activation_bits: Bits = 8
    intermediate_bits: Bits = 8
    first_weight_bits: Bits | None = None
    last_weight_bits: Bits | None = None
    logit_bits: Bits = 16
    tt_form: Literal["streamed", "merged"] = "streamed"
    scales: Literal["learned", "fixed"] = "learned"

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise one_line(error, "quantisation") from None

    def layer_weight_bits(self, first: bool, last: bool) -> int:
        """Weight bits of a layer by its place; a network's only layer counts as the last one."""
        if last and self.last_weight_bits is not None:
            return self.last_weight_bits
        if first and self.first_weight_bits is not None:
            return self.first_weight_bits
        return self.weight_bits
