"""When the inferences of a network end: a transient, then intervals that repeat for ever."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, computed_field, model_validator

__all__ = ["MOST_PERIOD", "Mean", "Prediction", "number_of"]

#: Intervals of the longest period that is predicted.
MOST_PERIOD = 64


def number_of(mean: Fraction) -> int | float:
    """A mean as a number of JSON: whole as it is, another as the nearest float."""
    return mean.numerator if mean.denominator == 1 else float(mean)


#: A mean of cycles, exact here; a number in JSON, where the intervals beside it are exact.
Mean = Annotated[Fraction, PlainSerializer(number_of, return_type=int | float, when_used="json")]


class Prediction(BaseModel):
    """Inferences back to back, source and sink never stalling.

    Version 1 of plans and manifests knew of the latency and of one interval; `Prediction(latency=..., interval=...)`.

    Attributes
    ----------
    ends : tuple of int
        The cycle of the last output word of the first inferences, those after which the intervals repeat; the first
        input word's is 0.
    intervals : tuple of int
        From each last output word to the next, over one period: the shortest that repeats for ever.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ends: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    intervals: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, max_length=MOST_PERIOD)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        """Of version 1, or with the mean that stands in JSON for those who read it."""
        if not isinstance(given, dict):
            return given
        if set(given) == {"interval", "latency"}:
            return {"ends": (given["latency"],), "intervals": (given["interval"],)}
        rest = {name: value for name, value in given.items() if name != "mean"}
        if "mean" in given:
            found = cls.model_validate(rest)
            if given["mean"] != found.model_dump(mode="json")["mean"]:
                raise ValueError(f"mean: {given['mean']} is given, that of the intervals is {found.mean}")
        return rest

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mean(
        self,
    ) -> Annotated[
        Fraction, PlainSerializer(lambda m: {"numerator": m.numerator, "denominator": m.denominator}, when_used="json")
    ]:
        """The mean of the intervals, in cycles; in JSON {"numerator": n, "denominator": d}."""
        return Fraction(sum(self.intervals), len(self.intervals))

    @property
    def latency(self) -> int:
        """From the first input word of the first inference to its last output word."""
        return self.ends[0]

    @property
    def longest(self) -> int:
        """The longest interval, those before the period included."""
        return max([*self.intervals, *(b - a for a, b in zip(self.ends, self.ends[1:], strict=False))])

    def end(self, inference: int) -> int:
        """The cycle of an inference's last output word, counted from 0; the first input word's is 0."""
        if inference < len(self.ends):
            return self.ends[inference]
        periods, rest = divmod(inference - len(self.ends) + 1, len(self.intervals))
        return self.ends[-1] + periods * sum(self.intervals) + sum(self.intervals[:rest])

    @classmethod
    def of(cls, ends: list[int], period: int) -> Prediction:
        """From the ends of the first inferences, of which the last `period` intervals repeat for ever."""
        gaps = [b - a for a, b in zip(ends, ends[1:], strict=False)]
        last = gaps[-period:]
        shortest = next(p for p in range(1, period + 1) if period % p == 0 and last == last[:p] * (period // p))
        first = len(gaps) - shortest
        while first > 0 and gaps[first - 1] == gaps[first - 1 + shortest]:
            first -= 1
        return cls(ends=tuple(ends[: first + 1]), intervals=tuple(gaps[first : first + shortest]))
