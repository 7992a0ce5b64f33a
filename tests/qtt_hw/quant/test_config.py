"""Bit widths and their errors."""

import pytest
from pydantic import ValidationError

from qtt_hw.quant import QuantConfig
from qtt_hw.training.sections import QuantSection

WIDTHS = ("weight_bits", "activation_bits", "intermediate_bits", "first_weight_bits", "last_weight_bits", "logit_bits")


@pytest.mark.parametrize("option", WIDTHS)
@pytest.mark.parametrize(
    ("bits", "right"),
    [
        (-4, "greater than or equal to 2"),
        (0, "greater than or equal to 2"),
        (1, "greater than or equal to 2"),
        (17, "less than or equal to {most}"),
        (40, "less than or equal to {most}"),
        (True, "a valid integer"),
        (4.0, "a valid integer"),
        (4.5, "a valid integer"),
        ("4", "a valid integer"),
    ],
)
def test_impossible_widths_are_one_line_that_names_the_option(option: str, bits: object, right: str) -> None:
    most = 16 if option == "logit_bits" else 8
    right = right.format(most=most)
    with pytest.raises(ValueError) as caught:
        QuantConfig(**{option: bits})
    assert str(caught.value) == f"quantisation: {option}: Input should be {right}, got {bits!r}"
    with pytest.raises(ValidationError, match=f"{option}\\s+Input should be {right}"):
        QuantSection(**{option: bits})


@pytest.mark.parametrize("option", WIDTHS)
def test_widths_are_those_that_are_documented(option: str) -> None:
    most = 16 if option == "logit_bits" else 8
    for kind in (QuantConfig, QuantSection):
        for bits in (2, most):
            assert getattr(kind(**{option: bits}), option) == bits
        with pytest.raises(ValueError, match=option):
            kind(**{option: most + 1})


@pytest.mark.parametrize("value", [1, 0, "yes", "no", 1.0])
def test_switches_are_true_or_false(value: object) -> None:
    for kind in (QuantConfig, QuantSection):
        with pytest.raises(ValueError, match="zero.*\\s.*valid boolean"):
            kind(codebook="dqc", zero=value)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="^quantisation: bits: is not known"):
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
        ({"codebook": "kmeans", "last_weight_bits": 9}, "last_weight_bits: Input should be less than or equal to 8"),
        ({"codebook": "inq", "zero": True}, 'zero is only read with codebook = "dqc" or "sqc"'),
        ({"gradient": "straight"}, 'gradient is only read with codebook = "dqc" or "sqc"'),
        ({"codebook": "dqc", "tt_form": "merged"}, 'tt_form = "merged" has no codebook'),
        ({"codebook": "sqc", "scales": "fixed"}, 'scales = "fixed" has no codebook'),
    ],
)
def test_codebooks_that_do_not_go_with_other_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^quantisation: [^\\n]*{message}"):
        QuantConfig(**options)


def test_a_layers_own_bits_come_before_those_of_its_place() -> None:
    layers = {"a": {"weight_bits": 3}, "b": {"activation_bits": 5, "intermediate_bits": 6}}
    for kind in (QuantConfig, QuantSection):
        given = kind(weight_bits=4, first_weight_bits=8, layers=layers)
        config = given if isinstance(given, QuantConfig) else given.quantisation
        assert config.for_layer("a").layer_weight_bits(True, False) == 3
        assert config.for_layer("b").layer_weight_bits(True, False) == 8
        own = config.for_layer("b")
        assert (own.weight_bits, own.activation_bits, own.intermediate_bits) == (4, 5, 6)
        assert config.for_layer("c") == config


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"weight_bits": 9}, "layers.a.weight_bits: Input should be less than or equal to 8, got 9"),
        ({"weight_bits": 4.0}, "layers.a.weight_bits: Input should be a valid integer, got 4.0"),
        ({"weights": 4}, r"layers.a.weights: is not known; did you mean weight_bits\?"),
        (4, "layers.a: Input should be a valid dictionary or instance of LayerBits, got 4"),
    ],
)
def test_impossible_bits_of_a_layer_are_one_line_that_names_it(bits: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^quantisation: {message}$"):
        QuantConfig(layers={"a": bits})
    with pytest.raises(ValueError, match="^quantisation: layers: a: weight_bits must be 2 to 6 with codebook"):
        QuantConfig(codebook="dqc", layers={"a": {"weight_bits": 8}})
