"""pydantic's reports on one line."""

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from qtt_hw.errors import one_line


class Inner(BaseModel):
    bits: int

    @field_validator("bits")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("bits must be even,\nnot odd")
        return value


class Outer(BaseModel):
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
