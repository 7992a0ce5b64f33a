"""One-line errors: what pydantic reports over several lines, and any message, with its place in front; warnings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from qtt_hw.near import did_you_mean

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
#: Faults of a file, sections that have a key, and keys that are known: more of them are not listed.
MOST_FAULTS, MOST_HOMES, MOST_KNOWN = 12, 3, 12


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
def named(where: object, model: type[BaseModel] | None = None) -> Iterator[None]:
    """Every ValueError within leaves as one on one line that begins with `where`: a file, an option, a layer.

    Parameters
    ----------
    where : object
    model : subclass of BaseModel, optional
        What is validated within: its fields are what a key that is not known may have been meant to be.
    """
    try:
        yield
    except ValidationError as error:
        raise one_line(error, str(where), model) from None
    except ValueError as error:
        text = short(error)
        raise ValueError(text if text.startswith(f"{where}: ") else f"{where}: {text}") from None


def one_line(error: ValidationError, where: str, model: type[BaseModel] | None = None) -> ValueError:
    """A ValueError that names the place and every faulty field with what would be right, on one line.

    Parameters
    ----------
    error : ValidationError
    where : str
        The file, option group or layer that was being read.
    model : subclass of BaseModel, optional
        As of `named`.
    """
    found: dict[str, str] = {}  # the first fault of each field: one of several types has a fault for each of them
    for fault in error.errors(include_url=False):
        *before, last = place = fault["loc"] or ("",)
        if before and isinstance(last, str) and _TYPE.fullmatch(last):
            place = tuple(before)
        field = short(".".join(map(str, place)), 2 * LONGEST_VALUE)
        found.setdefault(field, _message(fault, model))
    texts = [f"{field}: {message}" if field else message for field, message in found.items()]
    text = f"{where}: {'; '.join(texts[:MOST_FAULTS])}"
    if len(texts) > MOST_FAULTS:
        text += f" (and {len(texts) - MOST_FAULTS} more)"
    return ValueError(text)


#: What pydantic puts behind a field that may be of several types.
_TYPE = re.compile(r"int|float|str|bool|none|(literal|constrained|function|list|tuple|dict|lax|json)\b.*")


def _message(fault: ErrorDetails, model: type[BaseModel] | None) -> str:
    """What is wrong with one field, and what would be right."""
    if fault["type"] == "extra_forbidden":
        return f"is not known{_instead(fault['loc'], model)}"
    message, given = short(fault["msg"].removeprefix("Value error, ")), fault.get("input")
    if fault["type"] not in ("missing", "value_error", "json_invalid") and isinstance(given, bool | int | float | str):
        message += f", got {short(repr(given), LONGEST_VALUE)}"
    if fault["type"] == "literal_error" and isinstance(given, str):
        message += did_you_mean(given, re.findall("'([^']*)'", fault.get("ctx", {}).get("expected", "")))
    return message


def _instead(place: Sequence[int | str], model: type[BaseModel] | None) -> str:
    """What a key that is not known may have been meant to be: itself in another section, or a neighbour."""
    if model is None or not place:
        return ""
    *above, name = place
    models = {model}
    for part in above:
        fields = [each.model_fields[part] for each in models if part in each.model_fields]
        models = {inner for field in fields for inner in _models(field.annotation)} or models
    sections = {section: _models(field.annotation) for section, field in model.model_fields.items()}
    homes = [f"{section}.{name}" for section, inner in sections.items() for each in inner if name in each.model_fields]
    if homes:
        return f"; did you mean {' or '.join(homes[:MOST_HOMES])}?"
    known = dict.fromkeys(field for each in models for field in each.model_fields)
    listed = f"; known are {', '.join(known)}" if 0 < len(known) <= MOST_KNOWN else ""
    return did_you_mean(str(name), known) or listed


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models that a field may hold, whatever containers and choices they stand in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
