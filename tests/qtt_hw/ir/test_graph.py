"""The integer graph's own rules."""

import numpy as np

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.ir.graph import INPUT, Contraction, Window, as_integers


def _contraction(channels: int) -> Contraction:
    weight = as_integers(np.ones((channels, 1, 1, 1, 2), int))
    requant = Requantizer(Format(8, True, 0), 0)
    return Contraction("stage", (INPUT,), "net.0", Window(), weight, Format(4, True, 0, narrow=True), requant)


def test_contractions_of_one_name_are_not_equal() -> None:
    one, other = _contraction(2), _contraction(3)
    assert one != other and {one: 2, other: 3}[one] == 2
    assert one == one and hash(one) == hash(one)
