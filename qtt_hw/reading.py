"""Text files from outside: bounded in size and depth, nothing ambiguous, refused in one line that names the file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from qtt_hw.errors import named

__all__ = ["MOST_DEPTH", "MOST_TEXT", "check_depth", "parse_json", "read_json", "read_text", "read_toml"]

#: Bytes of a text file that is read, and levels of its tables and lists.
MOST_TEXT, MOST_DEPTH = 1 << 22, 64
#: Of a TOML file, which people write; its parser is slow, and takes the square of a dotted key's parts.
MOST_TOML = 1 << 18
_LONG_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MOST_DEPTH}}}""")

_Model = TypeVar("_Model", bound=BaseModel)


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """The text of a file in UTF-8; raises ValueError naming it when it cannot be read, is too long or no text."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if len(content) > most:
        raise ValueError(f"{path}: has more than {most} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def _parsed(parse: Callable[[str], Any], text: str, what: str) -> Any:
    """What a parser makes of a text, or a ValueError, whatever the parser's own way of refusing."""
    try:
        content = parse(text)
    except RecursionError:
        raise ValueError(f"is nested more than {MOST_DEPTH} deep") from None
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"not {what}: {error}") from None
    except ValueError as error:
        if "digits" in str(error):
            raise ValueError("a number has thousands of digits") from None
        raise
    check_depth(content)
    return content


def check_depth(content: Any) -> None:
    """Raise ValueError where tables and lists are nested more than `MOST_DEPTH` deep."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(MOST_DEPTH + 1):
        level = [
            value
            for item in level
            for value in (item.values() if isinstance(item, dict) else item)
            if isinstance(value, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"is nested more than {MOST_DEPTH} deep")


def parse_json(text: str) -> dict[str, Any]:
    """The content of a JSON document; raises ValueError where a key is given twice, or a number is none."""

    def parse(text: str) -> Any:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)

    content: Any = _parsed(parse, text, "JSON")
    if not isinstance(content, dict):
        raise ValueError(f"holds {type(content).__name__}, expected an object")
    return content


def read_json(path: Path, model: type[_Model]) -> _Model:
    """A JSON file as a model of that type, nothing in it twice.

    Parameters
    ----------
    path : Path
    model : subclass of BaseModel

    Raises
    ------
    ValueError
        One line that names the file and every field that is wrong.
    """
    text = read_text(path)
    with named(path, model):
        parse_json(text)
        return model.model_validate_json(text)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; raises ValueError of one line that names it."""
    text = read_text(path, MOST_TOML)
    with named(path):
        if _LONG_KEY.search(text):
            raise ValueError(f"is nested more than {MOST_DEPTH} deep")
        found: dict[str, Any] = _parsed(tomllib.loads, text, "TOML")
        return found
