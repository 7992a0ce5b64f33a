"""What a name that is not known may have been meant to be."""

import pytest

from qtt_hw.near import did_you_mean, no_layers, unknown


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("epoch", "; did you mean epochs?"),
        ("EPOCHS", "; did you mean epochs?"),
        ("weight_bts", "; did you mean weight_bits?"),
        ("colour", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_said_where_one_is_near(name: str, hint: str) -> None:
    assert did_you_mean(name, ("epochs", "weight_bits")) == hint


def test_a_refusal_lists_what_is_known() -> None:
    assert str(unknown("device", "ecp85f", ["ecp5-25f", "ecp5-85f"], ", or a file")) == (
        "device 'ecp85f' is not known; known are ecp5-25f, ecp5-85f, or a file; did you mean ecp5-85f?"
    )


def test_every_name_that_is_no_layer_is_a_fault() -> None:
    assert no_layers("model.ranks", ["conv1", "cnv2", "x"], ["", "conv1", "conv2"]) == [
        "model.ranks: the network has no layer 'cnv2'; did you mean conv2?",
        "model.ranks: the network has no layer 'x'",
    ]
