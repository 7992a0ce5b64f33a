"""Text files are read within bounds, and refused in one line that names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from qtt_hw.reading import MOST_TOML, check_depth, parse_json, read_json, read_text, read_toml


class Port(BaseModel):
    width: int
    signed: bool = False


def test_json_says_one_thing(tmp_path: Path) -> None:
    path = tmp_path / "port.json"
    for text, message in (
        (
            '{"width": "wide"}',
            "width: Input should be a valid integer, unable to parse string as an integer, got 'wide'",
        ),
        ('{"width": 3, "a": {"b": 1, "b": 1}}', "'b' is given twice"),
        ('{"width": Infinity}', "Infinity is not a number"),
        ("3", "holds int, expected an object"),
        ("{", "not JSON: Expecting property name"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError) as refused:
            read_json(path, Port)
        assert str(refused.value).startswith(f"{path}: {message}") and "\n" not in str(refused.value)
    path.write_text('{"width": 3}')
    assert read_json(path, Port) == Port(width=3)


def test_text_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x" * 10)
    assert read_text(path, 10) == "x" * 10
    with pytest.raises(ValueError, match="text: has more than 9 bytes$"):
        read_text(path, 9)
    with pytest.raises(ValueError, match="^/dev/zero: has more than 4194304 bytes$"):  # which has no end
        read_text(Path("/dev/zero"))


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_depth_has_a_limit_whatever_the_parser_does(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "deep.toml"
    for text in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        with pytest.raises(ValueError, match="^is nested more than 64 deep$"):
            parse_json(text)
    for text in (f"a = {'[' * depth}{']' * depth}", f"a{'.a' * depth} = 1", f'["a"{" . a" * depth}]', "a = 9" * depth):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"deep\.toml: (is nested more than 64 deep|has more than|not TOML)"):
            read_toml(path)


def test_depth_is_that_of_tables_and_lists() -> None:
    deep: list = []
    for _ in range(63):
        deep = [deep]
    check_depth({"a": deep[0], "b": "text"})
    check_depth(3)
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        check_depth({"a": [deep]})


def test_a_configuration_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text("# " + "x" * MOST_TOML)
    with pytest.raises(ValueError, match=r"long\.toml: has more than 262144 bytes$"):
        read_toml(path)
    path.write_text("a = " + "9" * 5000)
    with pytest.raises(ValueError, match=r"long\.toml: a number has thousands of digits$"):
        read_toml(path)
