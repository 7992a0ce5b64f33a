"""PLL dividers and divisions of the clock, and which there are none of."""

import pytest

from boards.clock import divisor_of, pll_of


@pytest.mark.parametrize("clock", [50.0, 100.0, 112.5, 125.0])
def test_pll_makes_the_clock_within_the_oscillator_range(clock):
    pll = pll_of(25.0, clock)
    assert 25.0 * pll.feedback / pll.reference == clock == pll.clock_mhz
    assert 400 <= clock * pll.output <= 800


def test_a_clock_that_no_divider_makes_names_the_nearest():
    with pytest.raises(ValueError, match="no PLL setting makes 101.7 MHz of 25 MHz; 103.125 MHz is the nearest"):
        pll_of(25.0, 101.7)
    for oscillator in (1.0, 1e9):
        with pytest.raises(ValueError, match="no PLL setting makes any clock of"):
            pll_of(oscillator, 100.0)


def test_a_bit_has_enough_cycles_and_about_the_right_length():
    assert (divisor_of(100.0, 1_000_000), divisor_of(100.0, 115_200), divisor_of(100.0, 12_500_000)) == (100, 868, 8)
    with pytest.raises(ValueError, match="of 100 MHz: the nearest, 11111111, is off by 3.4 %$"):
        divisor_of(100.0, 11_500_000)
    with pytest.raises(ValueError, match="^a bit of 5 clock cycles is too short for the link; 8 are the least$"):
        divisor_of(100.0, 20_000_000)
    message = "^3000000 baud is not within 2 % of a division of 25 MHz: the nearest, 3125000, is off by 4.2 %$"
    with pytest.raises(ValueError, match=message):
        divisor_of(25.0, 3_000_000)
    assert divisor_of(100.0, 3_000_000) == 33
