"""One-line errors: what pydantic reports over several lines, and any message, with its place in front; warnings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

__all__ = [
    "CalibrationWarning",
    "DropoutWarning",
    "GradientWarning",
    "PrecisionWarning",
    "SoftmaxWarning",
    "named",
    "one_line",
    "short",
]

#: Characters of a value, and of a whole message, beyond which it is cut.
LONGEST_VALUE, LONGEST_MESSAGE = 80, 600


class CalibrationWarning(UserWarning):
    """Statistics are taken from too few samples, or a scale does not reach the values."""


class SoftmaxWarning(UserWarning):
    """A model's last call is left out: what it puts out is the logits'."""


class DropoutWarning(UserWarning):
    """A prepared model trains without the dropout that the model has."""


class GradientWarning(UserWarning):
    """A prepared model trains through calls at which the model's own gradients stop, or are others."""


class PrecisionWarning(UserWarning):
    """A model is taken in another floating dtype than its own."""


def short(text: object, longest: int = LONGEST_MESSAGE) -> str:
    """The text on one line, cut in its middle where it is longer than `longest` characters; what cannot be printed is
    escaped.
    """
    line = " ".join(str(text).split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    if len(line) <= longest:
        return line
    half = longest // 2 - 3
    return f"{line[:half]} ... {line[-half:]}"


@contextmanager
def named(where: object) -> Iterator[None]:
    """Every ValueError within leaves as one on one line that begins with `where`: a file, an option, a layer."""
    try:
        yield
    except ValidationError as error:
        raise one_line(error, str(where)) from None
    except ValueError as error:
        text = short(error)
        raise ValueError(text if text.startswith(f"{where}: ") else f"{where}: {text}") from None


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
    field = short(".".join(str(part) for part in first["loc"]), 2 * LONGEST_VALUE)
    message = short(first["msg"].removeprefix("Value error, "))
    text = f"{where}: {field}: {message}" if field else f"{where}: {message}"
    given = first.get("input")
    if first["type"] not in ("missing", "value_error", "json_invalid") and isinstance(given, bool | int | float | str):
        text += f", got {short(repr(given), LONGEST_VALUE)}"
    if len(faults) > 1:
        text += f" (and {len(faults) - 1} more)"
    return ValueError(text)
