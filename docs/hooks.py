"""Hooks of mkdocs: what pages of the reference say is taken from the code when the site is built.

A page has a comment `<!-- from the code: NAME -->` where the text of PARTS[NAME] is to stand.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["PARTS", "on_page_markdown"]


def command_line() -> str:
    """A heading and the help of every verb, as a terminal shows it."""
    return "\n".join(f"## qtt {verb}\n\n```text\n{help_of(verb)}\n```\n" for verb in verbs())


def verbs() -> list[str]:
    """The names of all verbs, in the order of `qtt --help`."""
    _, _, commands = help_of().partition("Commands:\n")
    return re.findall(r"^  ([a-z][\w-]*)  ", commands, re.MULTILINE)


def help_of(*verb: str) -> str:
    """What `qtt VERB --help` prints, or `qtt --help`."""
    from qtt_hw.cli import main

    shown = io.StringIO()
    os.environ["COLUMNS"] = "100"
    with contextlib.redirect_stdout(shown):
        code = main([*verb, "--help"])
    if code:
        raise ValueError(f"qtt {' '.join(verb)} --help: exit code {code}")
    return shown.getvalue().rstrip()


def configuration() -> str:
    """A heading, what it is for, and a table of its keys, for every section of a configuration."""
    from qtt_hw.training.config import Config

    schema = Config.model_json_schema()
    parts = []
    for name, entry in schema["properties"].items():
        if name == "source":  # of the file, not in it
            continue
        parts += [f"## [{name}]", "", *_section(_reference(entry, schema), schema), ""]
    return "\n".join(parts)


def _reference(entry: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The definition that an entry names, itself or among its alternatives; {} where it names none."""
    for part in (entry, *entry.get("anyOf", ()), *entry.get("allOf", ())):
        if "$ref" in part:
            found: dict[str, Any] = schema["$defs"][part["$ref"].rsplit("/", 1)[-1]]
            return found
    return {}


def _section(section: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    yield from section.get("description", "").splitlines()
    yield from ("", "| key | value | default |", "|---|---|---|")
    for key, entry in section["properties"].items():
        needed = key in section.get("required", ())
        default = "" if needed else f"`{_toml(entry.get('default'))}`" if entry.get("default") is not None else "none"
        inner = _reference(entry, schema)
        if inner:
            default = ""
        about = entry.get("description", "") if not inner else ""
        value = _values(entry, schema) + (f"; {about}" if about else "")
        yield f"| `{key}` | {value.replace('|', chr(92) + '|')} | {'required' if needed else default} |"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return "{}" if value == {} else str(value)


def _values(entry: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a key takes, in words."""
    inner = _reference(entry, schema)
    if inner:
        keys = ", ".join(f"`{key}`" for key in inner["properties"])
        return f"a table with {keys}"
    if "anyOf" in entry:
        kinds = [part for part in entry["anyOf"] if part.get("type") != "null"]
        return ", or ".join(_values(part, schema) for part in kinds)
    if "enum" in entry:
        return ", ".join(f"`{_toml(value)}`" for value in entry["enum"])
    if "const" in entry:
        return f"`{_toml(entry['const'])}`"
    kind = entry.get("type")
    if kind == "array":
        items = entry.get("prefixItems")
        if items:
            return f"a list of {len(items)}: {_values(items[0], schema)}"
        return f"a list: {_values(entry.get('items', {}), schema)}"
    if kind == "object":
        return "a table"
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    return names.get(str(kind), "anything") + _bounds(entry)


def _bounds(entry: dict[str, Any]) -> str:
    words = (
        (" from {}", "minimum"),
        (" above {}", "exclusiveMinimum"),
        (" to {}", "maximum"),
        (" below {}", "exclusiveMaximum"),
    )
    return "".join(form.format(entry[key]) for form, key in words if key in entry)


def registers() -> str:
    """The register map of the AXI wrapper."""
    from rtl_gen.wrapper.interfaces import register_table

    return register_table()


#: What a page may ask for.
PARTS: dict[str, Callable[[], str]] = {
    "command line": command_line,
    "configuration": configuration,
    "registers": registers,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with what it takes from the code."""

    def part(found: re.Match[str]) -> str:
        if found[1] not in PARTS:
            raise ValueError(f"{found[0]}: there is no such part, but {' and '.join(PARTS)}")
        return PARTS[found[1]]()

    return re.sub(r"^<!-- from the code: ([\w ]+) -->$", part, markdown, flags=re.MULTILINE)
