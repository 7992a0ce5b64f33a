"""When a schedule has become periodic: proven on the states of the event model, not read off its last intervals.

Let S(n) be the state after n inferences, the cycles on which all later ones depend, and E(n) the end of the n-th.
S(n+1) = F(S(n)), with the same F after every inference, built of maxima and of sums with constants. So F never makes
earlier what is later, and shifts with what it is given: S <= T gives F(S) <= F(T), and F(S + d) = F(S) + d.

Let d = E(n) - E(n-p). Two things together prove that the intervals repeat after p inferences for ever:

1. S(n) <= S(n-p) + d in every cycle. Then S(n+m) <= S(n-p+m) + d, and no later inference ends later than that:
   E(n+m) <= E(n-p+m) + d for every m.
2. For some T <= S(n), F applied p times gives at least T + d, and the p inferences on the way end at E(n-p+1) + d, ...,
   E(n) + d. Then S(n+kp) >= T + kd for every k, and no later inference ends earlier.

With S(n) = S(n-p) + d both are plain. But a buffer before the slowest stage may fill by a little with every inference:
then the state changes for thousands of inferences, in which the intervals are long the same. T is therefore S(n) with
only the cycles that have moved by d; the others are made earlier than any event. Where T does not hold itself up, the
cycles that have fallen behind are left out in turn.

And a unit that is never waited for may go at a rhythm of its own, whose period is longer: then some cycles move by more
than d at one time and by less at another. In place of S(n) in the first argument stands some U >= S(n) for which F
applied p times gives at most U + d, with the same ends: then S(n+kp) <= U + kd. The latest and the earliest that each
cycle has been, relative to the ends, are the U and the T that are tried.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtl_gen.prediction import MOST_PERIOD, Prediction

__all__ = ["NEVER", "NotPeriodic", "Steps", "find_period"]

#: Inferences after which a schedule that still changes is reported as such.
MOST_INFERENCES = 4 * MOST_PERIOD
#: Inferences after which cycles that have moved by more than the ends may do so for ever, now more and now less.
SETTLED = 16
#: Of which so many are named.
SHOWN = 12
#: Earlier than any event, as in cycles.cpp.
NEVER = -(1 << 60)

Cycles = NDArray[np.int64]


class Steps(Protocol):
    """A model that goes on by one inference at a time."""

    def step(self) -> int:
        """Complete one more inference; the cycle of its end."""

    def state(self) -> Cycles:
        """The cycles on which all later ones depend."""

    def attempt(self, state: Cycles) -> None:
        """See what would come of another state."""

    def resume(self, state: Cycles) -> None:
        """Go on from the state before the attempts, which is given."""


class NotPeriodic(ValueError):
    """The intervals between inferences go on changing.

    Parameters
    ----------
    ends : list of int
        The ends of the inferences so far; `mean` is that of the last intervals, as many as the longest period has.
    """

    def __init__(self, ends: list[int]):
        gaps = np.diff(ends).tolist()
        shown = f"[{', '.join(map(str, gaps[-SHOWN:]))}]"
        super().__init__(
            f"the schedule is not periodic with up to {MOST_PERIOD} intervals after {len(ends)} inferences, "
            f"the last ones {shown}"
        )
        last = gaps[-MOST_PERIOD:]
        self.mean = Fraction(sum(last), len(last))


def find_period(model: Steps) -> Prediction:
    """The ends of all inferences, by a model of none yet.

    Raises
    ------
    NotPeriodic
        When the intervals do not repeat within `MOST_INFERENCES`.
    """
    search = _Search(model)
    while len(search.ends) < MOST_INFERENCES:
        search.go_on()
        for period in range(1, len(search.states)):
            if search.repeats(period):
                return Prediction.of(search.ends, period)
    raise NotPeriodic(search.ends)


class _Search:
    """The ends so far, the last states, and how many inferences attempts have taken."""

    def __init__(self, model: Steps):
        self.model, self.spent, self.spent_between = model, 0, 0
        self.ends: list[int] = []
        self.states: deque[Cycles] = deque(maxlen=MOST_PERIOD + 1)
        #: By period, the cycles that are left of an attempt whose inferences were used up: the next begins with them.
        self.left: dict[int, NDArray[np.bool_]] = {}

    def go_on(self) -> None:
        self.ends.append(self.model.step())
        self.states.append(self.model.state())

    def repeats(self, period: int) -> bool:
        """Whether the last `period` intervals are proven to repeat for ever."""
        moved = self.states[-1] - self.states[-1 - period]
        shift = self.ends[-1] - self.ends[-1 - period]
        if moved.max() > shift:
            return self._shown_again(period) and self._stays_between(period, shift)
        same = moved == shift
        if same.all():
            return True
        return self._shown_again(period) and self._holds_itself_up(period, shift, same)

    def _stays_between(self, period: int, shift: int) -> bool:
        """Whether states that bound this one from both sides make the last intervals come again.

        Of the cycles that have moved by now more and now less than the shift: the latest and the earliest that they
        were, each brought forward by as many shifts as have passed since.
        """
        settled = len(self.ends) >= SETTLED and len(self.ends) & (len(self.ends) - 1) == 0
        if not settled or self.spent_between > len(self.ends):
            return False  # attempts at each power of two, of which the first ones go to the shortest periods
        count = (len(self.states) - 1) // period
        passed = np.stack([self.states[-1 - k * period] + k * shift for k in range(count + 1)])
        latest, earliest = passed.max(axis=0), passed.min(axis=0)
        wanted = [end + shift for end in self.ends[-period:]]
        self.spent_between += period
        try:
            self.model.attempt(latest)
            if any(self.model.step() > end for end in wanted) or (self.model.state() > latest + shift).any():
                return False
        finally:
            self.model.resume(self.states[-1])
        spent, self.spent = self.spent, 0
        held_up = self._holds_itself_up(period, shift, np.ones(len(latest), dtype=np.bool_), earliest)
        self.spent_between, self.spent = self.spent_between + self.spent, spent
        return held_up

    def _shown_again(self, period: int) -> bool:
        """Whether an interval has come again after the period: before that an attempt is hardly worth its time."""
        ends = self.ends
        return len(ends) >= period + 2 and ends[-1] - ends[-2] == ends[-1 - period] - ends[-2 - period]

    def _holds_itself_up(
        self, period: int, shift: int, same: NDArray[np.bool_], earliest: Cycles | None = None
    ) -> bool:
        """Whether some of the cycles that are the `same`, and no others, make the last intervals come again.

        They are taken as they are, or as early as is given.

        Attempts may take as many inferences as there have been, so that they at most double the time.
        """
        model, state = self.model, self.states[-1] if earliest is None else earliest
        wanted = [end + shift for end in self.ends[-period:]]
        left = self.left.pop(period, same)
        if earliest is None and (same & left).any():
            same = same & left
        try:
            while same.any() and self.spent + period <= len(self.ends):
                self.spent += period
                kept = np.where(same, state, NEVER)
                model.attempt(kept)
                if any(model.step() < end for end in wanted):
                    return False
                held = same & (model.state() >= kept + shift)
                if (held == same).all():
                    return True
                same = held
            if earliest is None:
                self.left[period] = same
            return False
        finally:
            model.resume(self.states[-1])
