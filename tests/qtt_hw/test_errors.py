"""pydantic's reports on one line."""

from typing import Literal

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


def test_names_every_fault_and_counts_those_beyond_a_dozen() -> None:
    assert reduced({"inner": {}}) == "file.toml: inner.bits: Field required; name: Field required"
    text = reduced({"inner": {"bits": 2}, "name": "x", **{f"key{number}": 1 for number in range(15)}})
    assert text.startswith("file.toml: key0: is not known; key1: is not known; ")
    assert text.endswith("key11: is not known (and 3 more)")


class Kinds(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int | str | None = None
    order: Literal["first", "last"] = "first"
    parts: dict[str, tuple[Inner, ...]] = {}
    deep: Outer | None = None


def test_a_field_of_several_types_has_one_fault() -> None:
    with pytest.raises(ValueError, match=r"^it: size: Input should be a valid integer; order: .*$"), named("it", Kinds):
        Kinds.model_validate({"size": [], "order": "lsat"})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"ordr": 1}, "ordr: is not known; did you mean order?"),
        ({"order": "lsat"}, "order: Input should be 'first' or 'last', got 'lsat'; did you mean last?"),
        ({"deep": {"inner": {"bits": 2}, "name": "x", "nome": 1}}, "deep.nome: is not known; did you mean name?"),
        ({"name": 1}, "name: is not known; did you mean deep.name?"),
        ({"zzz": 1}, "zzz: is not known; known are size, order, parts, deep"),
    ],
)
def test_a_key_that_is_not_known_may_have_been_meant_to_be_another(data: object, text: str) -> None:
    with pytest.raises(ValueError) as caught, named("file", Kinds):
        Kinds.model_validate(data)
    assert str(caught.value) == f"file: {text}"


def test_what_is_long_or_cannot_be_printed_is_cut_and_escaped() -> None:
    text = reduced({"inner": {"bits": 2, "\x1b[31m\n": "x" * 10_000}, "name": "x", "more\n": 1})
    assert len(text) < 400 and text.isprintable()
    assert short("a\n  b\x1b") == "a b\\x1b"
    assert short("x" * 100, 20) == "xxxxxxx ... xxxxxxx"


def test_every_value_error_within_is_named_once() -> None:
    for raised in (ValueError("is\nwrong"), ValueError("file.toml: is wrong")):
        with pytest.raises(ValueError, match="^file.toml: is wrong$"), named("file.toml"):
            raise raised
    with (
        pytest.raises(ValueError, match="^file.toml: inner.bits: Field required; name: Field required$"),
        named("file.toml"),
    ):
        Outer.model_validate({"inner": {}})
    with pytest.raises(KeyError), named("file.toml"):
        raise KeyError("not an error of the file")
