"""pydantic's reports on one line."""

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from qtt_hw.errors import named, one_line, short


class Inner(BaseModel):
    bits: int

    @field_validator("bits")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("bits must be even,\nnot odd")
        return value


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: Inner
    name: str


def reduced(data: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(data)
    error = one_line(caught.value, "file.toml")
    assert type(error) is ValueError
    return str(error)


def test_names_place_field_and_value() -> None:
    text = reduced({"inner": {"bits": "many"}, "name": "x"})
    assert text.startswith("file.toml: inner.bits: ") and text.endswith("got 'many'") and "\n" not in text


def test_reports_a_validators_own_words_on_one_line() -> None:
    assert reduced({"inner": {"bits": 3}, "name": "x"}) == "file.toml: inner.bits: bits must be even, not odd"


def test_counts_further_faults() -> None:
    assert reduced({"inner": {}}) == "file.toml: inner.bits: Field required (and 1 more)"


def test_what_is_long_or_cannot_be_printed_is_cut_and_escaped() -> None:
    text = reduced({"inner": {"bits": 2, "\x1b[31m\n": "x" * 10_000}, "name": "x", "more\n": 1})
    assert len(text) < 400 and text.isprintable()
    assert short("a\n  b\x1b") == "a b\\x1b"
    assert short("x" * 100, 20) == "xxxxxxx ... xxxxxxx"


def test_every_value_error_within_is_named_once() -> None:
    for raised in (ValueError("is\nwrong"), ValueError("file.toml: is wrong")):
        with pytest.raises(ValueError, match="^file.toml: is wrong$"), named("file.toml"):
            raise raised
    with pytest.raises(ValueError, match=r"^file.toml: inner.bits: Field required \(and 1 more\)$"), named("file.toml"):
        Outer.model_validate({"inner": {}})
    with pytest.raises(KeyError), named("file.toml"):
        raise KeyError("not an error of the file")
