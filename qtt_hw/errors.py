"""One-line errors: what pydantic reports over several lines, reduced to the first fault with its field."""

from __future__ import annotations

from pydantic import ValidationError

__all__ = ["one_line"]


def one_line(error: ValidationError, where: str) -> ValueError:
    """A ValueError that names the place, the first faulty field and what would be right, on one line.

    Parameters
    ----------
    error : ValidationError
    where : str
        The file, option group or layer that was being read.
    """
    faults = error.errors(include_url=False)
    first = faults[0]
    field = ".".join(str(part) for part in first["loc"])
    message = " ".join(first["msg"].removeprefix("Value error, ").split())
    text = f"{where}: {field}: {message}" if field else f"{where}: {message}"
    given = first.get("input")
    if first["type"] not in ("missing", "value_error") and isinstance(given, bool | int | float | str):
        text += f", got {given!r}"
    if len(faults) > 1:
        text += f" (and {len(faults) - 1} more)"
    return ValueError(text)
