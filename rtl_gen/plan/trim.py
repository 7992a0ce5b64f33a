"""No stage larger than a rate needs: single foldings exchanged for cheaper ones while the rate is kept.

The search (`rtl_gen.plan.front`) reckons with margins for stages that wait for each other. What is cheaper at the
same rate is therefore looked for once more, stage by stage, with the event model in place of margins. At the end no
stage can be exchanged for one that takes less of everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from qtt_hw.progress import Progress, silent
from rtl_gen.families import Device, Resources
from rtl_gen.kinds import Spec
from rtl_gen.kinds.choices import Choice
from rtl_gen.plan.limits import budget_of, shares_of
from rtl_gen.plan.plan import AnyFolding, Foldings, UnitName
from rtl_gen.plan.swaps import Swaps

__all__ = ["Exchange", "Trim", "smaller", "trimmed"]

#: Less of the price than what rounding makes: of a device, all of one resource costs 1.
LEAST = 1e-9

#: A stage, by its number, and what takes its place.
_Moves = list[tuple[int, Spec]]


def smaller(one: Resources, other: Resources) -> bool:
    """Whether something takes less than another of one resource, and more of none."""
    pairs = [(one.dsps, other.dsps), (one.brams, other.brams), (one.luts, other.luts)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@dataclass(frozen=True)
class Exchange:
    """Another folding of one stage.

    Attributes
    ----------
    spec : Spec
    before, after : Resources
        What the stage takes together with all that is between stages.
    price : float
        The difference by the prices of the device.
    pays : bool
        Whether the network is cheaper by it.
    """

    spec: Spec
    before: Resources
    after: Resources
    price: float
    pays: bool


class Trim:
    """What is cheaper on a device than a network at some foldings.

    Parameters
    ----------
    swaps : Swaps
    device : Device
    reserved : Resources
        Of the device, what goes elsewhere.
    """

    def __init__(self, swaps: Swaps, device: Device, reserved: Resources = Resources()):  # noqa: B008 - immutable
        self.swaps, self.device, self.reserved = swaps, device, reserved
        self.budget = budget_of(device)
        self._known: dict[object, list[Exchange]] = {}

    def better(self, specs: Sequence[Spec], number: int, limit: Fraction) -> list[Spec]:
        """What could take a stage's place and is not by itself too slow for `limit` cycles, the cheapest first.

        It takes less of the device by its prices (`Budget`), and fits it.
        """
        before = self.swaps.cost(specs)
        options = self.swaps.of_stage(specs, number)
        return [
            o.spec for o in self._cheaper(specs, number, options) if o.spec.cycles <= limit and self.fits(before, o)
        ]

    def _cheaper(self, specs: Sequence[Spec], number: int, options: Iterable[Choice]) -> list[Exchange]:
        """Of the exchanges of one stage those that make the network cheaper, the cheapest first; they are remembered.

        What an exchange saves depends on the words of the neighbours alone.
        """
        swaps, present = self.swaps, specs[number]
        key = number, present.folding, swaps.around(specs, number)
        if key not in self._known:
            before = swaps.resources(number, present.folding) + swaps.links(specs)
            most = self.budget.price(before)
            worth = [choice for choice in options if self.budget.price(choice.resources) <= most]
            found = [self._exchange(specs, swaps.spec(number, choice.folding), number, before) for choice in worth]
            self._known[key] = sorted((e for e in found if e.pays), key=lambda e: e.price)
        return self._known[key]

    def exchange(self, specs: Sequence[Spec], spec: Spec, number: int) -> Exchange:
        """What it changes to have another folding of one stage."""
        before = self.swaps.resources(number, specs[number].folding) + self.swaps.links(specs)
        return self._exchange(specs, spec, number, before)

    def _exchange(self, specs: Sequence[Spec], spec: Spec, number: int, before: Resources) -> Exchange:
        """`exchange` of a stage that takes `before` with the links."""
        swaps = self.swaps
        after = swaps.resources(number, spec.folding) + swaps.links([*specs[:number], spec, *specs[number + 1 :]])
        price = self.budget.price(after) - self.budget.price(before)
        return Exchange(spec, before, after, price, price < -LEAST)

    def holds(self, specs: Sequence[Spec], limit: Fraction) -> bool:
        """Whether words agree and the network takes at most so many cycles on average."""
        if not self.swaps.agree(specs):
            return False
        mean = self.swaps.mean(specs)
        return mean is not None and mean <= limit

    def _within(self, after: Resources, before: Resources) -> bool:
        was, now = (shares_of(total + self.reserved, self.device) for total in (before, after))
        return all(share <= max(1.0, was[name]) for name, share in now.items())

    def fits(self, total: Resources, exchange: Exchange) -> bool:
        """Whether a network of so many resources fits the device after an exchange."""
        one, other = exchange.after, exchange.before
        after = Resources(
            total.dsps + one.dsps - other.dsps,
            total.brams + one.brams - other.brams,
            total.luts + one.luts - other.luts,
            total.ffs + one.ffs - other.ffs,
        )
        return self._within(after, total)

    def cheaper(self, specs: Sequence[Spec], than: Sequence[Spec]) -> bool:
        """Whether one network costs less than another, and fits."""
        after, before = self.swaps.cost(specs), self.swaps.cost(than)
        return self.budget.price(after) < self.budget.price(before) and self._within(after, before)


def trimmed(
    trim: Trim, foldings: Mapping[UnitName, AnyFolding], limit: Fraction, progress: Progress = silent
) -> Foldings:
    """The foldings with each stage as cheap as it can be while all together take at most `limit` cycles on average.

    Parameters
    ----------
    trim : Trim
    foldings : mapping of unit to folding
        By unit; they take at most `limit` cycles.
    limit : Fraction
    progress : Progress
    """
    return _Descent(trim, trim.swaps.specs(foldings), limit, progress).run()


class _Descent:
    """The stages so far, and what has been tried in vain."""

    def __init__(self, trim: Trim, specs: list[Spec], limit: Fraction, progress: Progress):
        self.trim, self.specs, self.limit, self.progress = trim, specs, limit, progress
        self.refused: dict[tuple[int, AnyFolding], Spec] = {}

    def run(self) -> Foldings:
        moved = True
        while moved:
            moved = False
            while moves := self._moves():
                self.progress("search", text=f"smaller foldings of {len(moves)} stages at the same rate")
                moved |= self._try(moves)
            # Others have changed since: what takes less of everything is tried again.
            whole = self.specs
            self.refused = {
                (number, folding): spec
                for (number, folding), spec in self.refused.items()
                if not smaller(spec.resources(), whole[number].resources())
            }
        return {spec.unit_name: spec.folding for spec in self.specs}

    def _moves(self) -> _Moves:
        """Of every stage the cheapest that has not been tried."""
        found = []
        for number in range(len(self.specs)):
            options = self.trim.better(self.specs, number, self.limit)
            spec = next((s for s in options if (number, s.folding) not in self.refused), None)
            if spec is not None:
                found.append((number, spec))
        return found

    def _try(self, moves: _Moves) -> bool:
        """Make as many of some moves as the rate allows, all at once or by halves; whether any was made."""
        specs = list(self.specs)
        for number, spec in moves:
            specs[number] = spec
        if self.trim.cheaper(specs, self.specs) and self.trim.holds(specs, self.limit):
            self.specs = specs
            return True
        if len(moves) == 1:
            number, spec = moves[0]
            self.refused[number, spec.folding] = spec
            return False
        half = len(moves) // 2
        first = self._try(moves[:half])
        return self._try(moves[half:]) or first
