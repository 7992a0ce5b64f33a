"""PLL dividers of every family: clocks that can be made, those that cannot, and what the cell gets."""

import pytest

from rtl_gen.families import ECP5, FAMILIES, GOWIN, ICE40, Family

PLACED = [family for family in FAMILIES.values() if family.placing is not None]


@pytest.mark.parametrize("clock", [50.0, 100.0, 112.5, 125.0])
def test_the_clock_is_within_the_oscillator_s_range(clock: float) -> None:
    assert ECP5.placing is not None
    setting = ECP5.placing.pll.setting(25.0, clock)
    assert 25.0 * setting.feedback / setting.reference == clock == setting.clock_mhz
    assert 400 <= clock * setting.output <= 800


def test_dividers_as_the_manufacturers_tools_give_them() -> None:
    assert ICE40.placing is not None and GOWIN.placing is not None
    found = ICE40.placing.pll.setting(12.0, 24.0)  # icepll -i 12 -o 24
    assert (found.reference - 1, found.feedback - 1, found.output) == (0, 63, 32)
    found = GOWIN.placing.pll.setting(27.0, 108.0)  # gowin_pll -i 27 -o 108
    assert (found.reference - 1, found.feedback - 1) == (0, 3) and 500 <= 108 * found.output <= 1200


def test_a_clock_that_is_too_fast_or_too_slow_for_the_output_is_refused() -> None:
    assert ICE40.placing is not None and ICE40.placing.inner_pll is not None
    for pll in (ICE40.placing.pll, ICE40.placing.inner_pll):
        clocks = pll.clocks_below(12.0, 1000.0)
        assert clocks[0] == 270.0 and clocks[-1] >= 16.0
        with pytest.raises(ValueError, match="no PLL setting makes 276 MHz of 12 MHz; 270 MHz is the nearest"):
            pll.setting(12.0, 276.0)


@pytest.mark.parametrize("family", PLACED, ids=lambda family: family.name)
def test_clocks_below_a_limit_can_all_be_set(family: Family) -> None:
    assert family.placing is not None
    pll = family.placing.pll
    clocks = pll.clocks_below(12.0, 60.0)
    assert clocks == sorted(clocks, reverse=True) and 50 < clocks[0] <= 60.0
    for clock in clocks[:3]:
        assert pll.setting(12.0, clock).clock_mhz == clock


def test_a_clock_that_no_divider_makes_names_the_nearest() -> None:
    assert ECP5.placing is not None
    pll = ECP5.placing.pll
    with pytest.raises(ValueError, match="no PLL setting makes 101.7 MHz of 25 MHz; 103.125 MHz is the nearest"):
        pll.setting(25.0, 101.7)
    for oscillator in (1.0, 1e9):
        with pytest.raises(ValueError, match="no PLL setting makes any clock of"):
            pll.setting(oscillator, 100.0)
