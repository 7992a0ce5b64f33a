import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl_gen.words import joined, limbs, pack, unpack


def test_lane_zero_is_in_the_low_bits_and_words_are_little_endian() -> None:
    packed = pack(np.array([[1, -1, 3], [0, 2, -4]]), 3, 4)
    assert packed.tolist() == [[0x3F1], [0xC20]]
    packed = pack(np.array([-1, 5, 7]), 3, 12)
    assert packed.tolist() == [[0x07005FFF, 0x0]]


@given(st.integers(1, 40), st.integers(1, 33), st.booleans(), st.integers(0, 2**32))
def test_unpack_is_the_inverse_of_pack(lanes: int, bits: int, signed: bool, seed: int) -> None:
    signed = signed and bits > 1
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    x = np.random.default_rng(seed).integers(low, high, (7, lanes))
    packed = pack(x, lanes, bits)
    assert packed.shape == (7, limbs(lanes * bits))
    for row, word in zip(x, packed, strict=True):
        value = sum((int(v) % (1 << bits)) << (lane * bits) for lane, v in enumerate(row))
        assert sum(int(limb) << (32 * i) for i, limb in enumerate(word)) == value
    np.testing.assert_array_equal(unpack(packed, lanes, bits, signed), x)


def test_integers_that_do_not_fill_a_word_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^7 integers do not fill words of 2 lanes$"):
        pack(np.zeros(7, int), 2, 8)


def test_a_rom_s_word_has_the_first_integer_lowest():
    assert joined([1, -1, -8], 4) == 0x8F1 and joined([], 4) == 0
