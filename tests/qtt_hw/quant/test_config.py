"""Bit widths and their errors."""

import pytest
from pydantic import ValidationError

from qtt_hw.quant import QuantConfig


@pytest.mark.parametrize(
    "option",
    ["weight_bits", "activation_bits", "intermediate_bits", "first_weight_bits", "last_weight_bits", "logit_bits"],
)
@pytest.mark.parametrize(("bits", "right"), [(0, "greater than or equal to 2"), (40, "less than or equal to 16")])
def test_impossible_widths_are_one_line_that_names_the_option(option: str, bits: int, right: str) -> None:
    with pytest.raises(ValueError) as caught:
        QuantConfig(**{option: bits})
    assert str(caught.value) == f"quantisation: {option}: Input should be {right}, got {bits}"


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="^quantisation: bits: Extra inputs are not permitted, got 4$"):
        QuantConfig(bits=4)


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        QuantConfig().weight_bits = 2  # type: ignore[misc]


def test_first_and_last_layer_widths() -> None:
    config = QuantConfig(weight_bits=4, first_weight_bits=8, last_weight_bits=6)
    assert [config.layer_weight_bits(*place) for place in ((True, False), (False, False), (False, True))] == [8, 4, 6]
    assert config.layer_weight_bits(True, True) == 6
    assert QuantConfig(weight_bits=5).layer_weight_bits(True, False) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codebook": "dqc", "weight_bits": 7}, 'weight_bits must be 2 to 6 with codebook = "dqc"'),
        ({"codebook": "inq", "first_weight_bits": 8}, 'first_weight_bits must be 2 to 6 with codebook = "inq"'),
        ({"codebook": "kmeans", "last_weight_bits": 9}, 'last_weight_bits must be 2 to 8 with codebook = "kmeans"'),
        ({"codebook": "inq", "zero": True}, 'zero is only read with codebook = "dqc" or "sqc"'),
        ({"gradient": "straight"}, 'gradient is only read with codebook = "dqc" or "sqc"'),
        ({"codebook": "dqc", "tt_form": "merged"}, 'tt_form = "merged" has no codebook'),
        ({"codebook": "sqc", "scales": "fixed"}, 'scales = "fixed" has no codebook'),
    ],
)
def test_codebooks_that_do_not_go_with_other_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^quantisation: [^\\n]*{message}"):
        QuantConfig(**options)
