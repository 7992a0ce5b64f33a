"""Divisions of the clock for the serial line, and which there are none of."""

import pytest

from boards.clock import divisor_of


def test_a_bit_has_enough_cycles_and_about_the_right_length():
    assert (divisor_of(100.0, 1_000_000), divisor_of(100.0, 115_200), divisor_of(100.0, 12_500_000)) == (100, 868, 8)
    with pytest.raises(ValueError, match="of 100 MHz: the nearest, 11111111, is off by 3.38 %$"):
        divisor_of(100.0, 11_500_000)
    with pytest.raises(ValueError, match="^a bit of 5 clock cycles is too short for the link; 8 are the least$"):
        divisor_of(100.0, 20_000_000)
    message = "^3000000 baud is not within 2 % of a division of 25 MHz: the nearest, 3125000, is off by 4.17 %$"
    with pytest.raises(ValueError, match=message):
        divisor_of(25.0, 3_000_000)
    assert divisor_of(100.0, 3_000_000) == 33
    with pytest.raises(ValueError, match="not within 2 % .* of 100 MHz: the nearest, 7142857, is off by 2.04 %$"):
        divisor_of(100.0, 7_000_000)
