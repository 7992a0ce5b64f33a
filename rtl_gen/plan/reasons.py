"""Why a stage is no smaller than it is, though the network does not need it as fast: in a few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from rtl_gen.families import Resources
from rtl_gen.kinds import Spec
from rtl_gen.kinds.choices import Choice
from rtl_gen.plan.trim import Exchange, Trim

__all__ = ["reason"]

#: What a resource is called where one more of it is taken.
_NAMES = {"dsps": "DSP", "brams": "block RAM", "luts": "LUT"}


def reason(trim: Trim, specs: Sequence[Spec], number: int, interval: Fraction) -> str | None:
    """Why no slower folding of a stage is taken, all others staying as they are; None of one that has no time left.

    In this order: there is none that is slower; all that are slower take longer than the interval (foldings divide
    channels); none has words that the neighbours have and take; each takes more of the device; or it would make the
    whole network slower, because others wait for it, although by itself it is fast enough.

    Parameters
    ----------
    trim : Trim
        Of the plan's network and device.
    specs : sequence of Spec
        The plan's stages.
    number : int
        Of the stage.
    interval : Fraction
        The mean of the prediction, in cycles.
    """
    present = specs[number]
    if present.cycles >= interval:
        return None
    swaps = trim.swaps

    def slower_of(choices: Iterable[Choice]) -> list[Spec]:
        # Margins never make a choice faster than its steps.
        specs_of = (swaps.spec(number, choice.folding) for choice in choices if choice.cycles > present.cycles)
        return [spec for spec in specs_of if spec.cycles > present.cycles]

    slower = slower_of(swaps.whatever_words(specs, number))
    if not slower:
        return "one lane"
    if all(spec.cycles > interval for spec in slower):
        return f"next takes {_count(min(spec.cycles for spec in slower))}"
    agreeing = [
        trim.exchange(specs, spec, number)
        for spec in slower_of(swaps.of_stage(specs, number))
        if spec.cycles <= interval
    ]
    if not agreeing:
        return "words of its neighbours"
    paying = sorted((exchange for exchange in agreeing if exchange.pays), key=lambda exchange: exchange.price)
    if not paying:
        return f"slower: {_more(trim, min(agreeing, key=lambda exchange: exchange.price))}"
    fitting = [exchange for exchange in paying if trim.fits(trim.swaps.cost(specs), exchange)]
    if not fitting:
        return f"slower: {_more(trim, paying[0])}, no room"
    mean = trim.swaps.mean([*specs[:number], fitting[0].spec, *specs[number + 1 :]])
    if mean is None:
        return "slower: others wait"
    return f"slower: others wait, {_count(mean)}" if mean > interval else "a slower one would do"


def _more(trim: Trim, exchange: Exchange) -> str:
    """Of what an exchange takes more: that which weighs most."""
    one, other = exchange.after, exchange.before
    more = {name: getattr(one, name) - getattr(other, name) for name in _NAMES}
    name = max(more, key=lambda name: trim.budget.price(Resources(**{name: max(more[name], 0)})))
    return f"+{_count(more[name])} {_NAMES[name]}"


def _count(value: Fraction | int) -> str:
    """Thousands apart."""
    return f"{float(value):,.0f}".replace(",", " ")
