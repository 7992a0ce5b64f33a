"""Two products a multiplier: two weights in one operand, whose products with an input stand side by side.

With k the multiplier's bits less a weight's, (w1 << k) + w0 is an operand, and x times it is (x * w1 << k) + x * w0.
Sums of such products are sums of both, as long as those of x * w0 fit k bits signed; then they are split: the low k
bits are the one, signed, and what is above, plus the sign's borrow, is the other. The operand is wiring where the
memory holds w1 - [w0 < 0], since w0's k bits then end with its sign repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, Value, signed

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, IntArray

__all__ = ["SPLIT_LATENCY", "Packing", "packed_weights", "packing_of"]

#: Cycles from a packed sum to its two.
SPLIT_LATENCY = 1


@dataclass(frozen=True)
class Packing:
    """How two weights share an operand.

    Parameters
    ----------
    place : int
        Bits of the low sum, at which the high one begins.
    products : int
        Packed products that may be added before they are split: 4 at 4-bit weights and unsigned bytes on 18 bits, where
        4 * 255 * 7 <= 2**13 - 1, and 9 at signed bytes, where 9 * 128 * 7 is.
    """

    place: int
    products: int

    @property
    def levels(self) -> int:
        """Of a tree of additions in pairs that may be packed."""
        return self.products.bit_length() - 1

    def operand(self, low: Value, high: Value) -> Value:
        """The operand of two stored weights, of which `high` is already less by one where `low` is negative."""
        sign = low[-1].replicate(self.place - len(low))
        return Cat(low, sign, high).as_signed()

    def split(self, m: Module, packed: Value, name: str) -> tuple[Signal, Signal]:
        """(sum of the low products, sum of the high ones) of a cycle ago."""
        low = Signal(signed(self.place), name=f"{name}_low")
        above = packed[self.place :].as_signed()
        high = Signal(signed(len(above) + 1), name=f"{name}_high")
        m.d.sync += [low.eq(packed[: self.place]), high.eq(above + packed[self.place - 1])]
        return low, high


def packing_of(x: Format, weight: Format | Codebook, bits: int) -> Packing | None:
    """How two weights share an operand of `bits` signed bits; None where they cannot.

    They cannot where not even one product would fit, and where the weights are codes, have no sign, or use the least
    integer of their bits, which less one has no place.

    Parameters
    ----------
    x : Format
        Of the inputs.
    weight : Format or Codebook
    bits : int
        Of a multiplier's operand.
    """
    if isinstance(weight, Codebook) or not weight.signed or weight.minimum == -(1 << (weight.bits - 1)):
        return None
    place = bits - weight.bits
    largest = max(-x.minimum, x.maximum) * max(-weight.minimum, weight.maximum)
    products = ((1 << (place - 1)) - 1) // largest
    return Packing(place, products) if products > 0 and x.bits < bits else None


def packed_weights(weights: IntArray) -> IntArray:
    """Weights [:, results, ...] as the memory holds them: each second one less by one where that before is negative."""
    stored = weights.copy()
    stored[:, 1::2] -= weights[:, ::2] < 0
    return stored
