"""Foldings that do not fit are refused by name, and a folding's widths follow from it."""

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer
from qtt_hw.graph import INPUT, Contraction, Edge, Permutation, Pool
from qtt_hw.window import Window
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of

EDGE = Edge((2, 2, 2, 24), Format(8, True, 0))


def contraction(lead, trail, made=4, kernel=(1, 1, 1)):
    taken = EDGE.channels // (lead * trail)
    weight = np.ones((made, *kernel, taken), dtype=np.int64)
    requant = Requantizer(Format(8, True, 0), 2)
    return Contraction(
        "mix", (INPUT,), "mix", Window(kernel), weight, Format(4, True, 0, narrow=True), requant, lead, trail
    )


def folding(**choices):
    return Folding(**{"simd": 1, "pe": 1, "lanes": 1, "ring": 256, "queue": 64, **choices})


@pytest.mark.parametrize(
    ("node", "choices", "message"),
    [
        (contraction(2, 3), {"simd": 3, "carry": 3}, "simd 3 does not divide 4"),
        (contraction(2, 3), {"pe": 8, "carry": 3}, "pe 8 does not divide 4"),
        (contraction(2, 4), {"carry": 3}, "carry 3 does not divide 4"),
        (contraction(2, 3), {"carry": 0}, "carry 0 does not divide 3"),
        (contraction(2, 3), {"pe": 2, "carry": 3, "lanes": 4}, "lanes 4 does not divide 6"),
        (contraction(2, 4), {"simd": 3, "carry": 2}, "simd 3 needs carry 4, not 2"),
        (contraction(2, 4), {"pe": 2, "lanes": 2}, "pe 2 needs carry 4, not 1"),
        (contraction(2, 4), {"pe": 4, "lanes": 4, "carry": 2}, "pe 4 needs carry 4, not 2"),
        (contraction(2, 4), {"ring": 23}, "a ring of 23 words is too small, 24 are needed"),
        (
            contraction(2, 4),
            {"pe": 4, "carry": 4},
            "16 output words per result of 3 steps; more lanes than 1 are needed",
        ),
        (Pool("mix", (INPUT,), "mix", "max", Window()), {"carry": 2}, "carry 2 does not divide 1"),
        (Permutation("mix", (INPUT,), "mix", tuple(range(24))), {"carry": 2}, "carry 2 does not divide 1"),
    ],
)
def test_a_choice_that_does_not_fit_is_named(node, choices, message):
    with pytest.raises(ValueError) as refused:
        spec_of(node, (EDGE,), folding(**choices), ECP5)
    assert str(refused.value) == f"stage mix: {message}"


def test_carried_lanes_widen_the_words_but_not_the_weights():
    node = contraction(2, 3, kernel=(1, 1, 2))
    spec = spec_of(node, (EDGE,), folding(simd=2, pe=2, lanes=3, carry=3), ECP5)
    assert (spec.in_width, spec.out_width, spec.multipliers) == (6, 6, 12)
    assert (spec.ring_width, spec.rom_width, spec.rom_depth) == (6 * 8, 4 * 4, 2 * 2 * 2)
    assert (spec.groups, spec.result_words, spec.steps[0]) == (2 * 2, 2, 2 * 2)
    assert spec.cycles * spec.multipliers == node.macs(EDGE)


def test_a_folding_without_carry_is_read_as_before():
    plain = Folding.model_validate_json('{"simd": 1, "pe": 1, "lanes": 1, "ring": 8, "queue": 16, "multiplier": "dsp"}')
    assert plain.carry == 1
