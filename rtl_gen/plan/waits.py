"""Buffers that a network waits for: which they are, and how deep they must be for it to wait no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Literal

from qtt_hw.progress import Progress, silent
from rtl_gen.kinds import Spec
from rtl_gen.plan.plan import AnyFolding, Foldings, UnitName
from rtl_gen.plan.swaps import Swaps
from rtl_gen.plan.trim import Trim
from rtl_gen.topology import Topology

__all__ = ["BUFFERS", "Buffer", "deepened", "mean_or", "waited_for"]

#: What of a stage others can wait for.
Buffer = Literal["ring", "queue"]
BUFFERS: tuple[Buffer, ...] = ("ring", "queue")
#: Buffers that are made deeper, one after the other.
MOST_DEEPENED = 8


def mean_or(interval: Fraction, swaps: Swaps, specs: Sequence[Spec], topology: Topology | None = None) -> Fraction:
    """The mean of a network that may be faster; where none is known, `interval`: it is not known to be faster."""
    mean = swaps.mean(specs, topology)
    return interval if mean is None else mean


def waited_for(
    swaps: Swaps, specs: Sequence[Spec], buffer: Buffer, interval: Fraction
) -> tuple[int | None, Fraction] | None:
    """The stage whose ring (or queue), as deep as it can be of use, makes the network faster, and how fast; by halves.

    None where not even all of them do; no stage's number where it takes several.
    """
    numbers = [
        number for number, spec in enumerate(specs) if buffer in spec.deepest() and getattr(spec.folding, buffer)
    ]
    mean_of = _with_deep(swaps, specs, buffer, interval)
    mean = mean_of(numbers)
    if mean >= interval:
        return None
    while len(numbers) > 1:
        half = len(numbers) // 2
        best, numbers_of_best = min((mean_of(part), part) for part in (numbers[:half], numbers[half:]))
        if best >= interval:
            return None, mean
        mean, numbers = best, numbers_of_best
    return numbers[0], mean


def _deeper(swaps: Swaps, specs: Sequence[Spec], number: int, buffer: Buffer, words: int) -> Spec:
    return swaps.spec(number, specs[number].folding.model_copy(update={buffer: words}))


def _with_deep(
    swaps: Swaps, specs: Sequence[Spec], buffer: Buffer, interval: Fraction
) -> Callable[[Sequence[int]], Fraction]:
    def mean(numbers: Sequence[int]) -> Fraction:
        changed = list(specs)
        for number in numbers:
            changed[number] = _deeper(swaps, specs, number, buffer, specs[number].deepest()[buffer])
        return mean_or(interval, swaps, changed)

    return mean


def deepened(
    trim: Trim, foldings: Mapping[UnitName, AnyFolding], target: Fraction, progress: Progress = silent
) -> Foldings:
    """The foldings with rings and queues that are waited for as deep as the network needs, one after the other.

    Parameters
    ----------
    trim : Trim
        Of the network and the device, which a deeper buffer must fit.
    foldings : mapping of unit to folding
        By unit.
    target : Fraction
        Cycles that are fast enough, on average.
    progress : Progress
    """
    swaps = trim.swaps
    specs = swaps.specs(foldings)
    for _ in range(MOST_DEEPENED):
        mean = swaps.mean(specs)
        if mean is None or mean <= target:
            break
        deeper = _first_deeper(trim, specs, mean, progress)
        if deeper is None:
            break
        specs = deeper
    return {spec.unit_name: spec.folding for spec in specs}


def _first_deeper(trim: Trim, specs: list[Spec], interval: Fraction, progress: Progress) -> list[Spec] | None:
    """The stages with one buffer as deep as makes the network faster; None where none does or fits."""
    for buffer in BUFFERS:
        progress("search", text=f"deeper {buffer}s")
        number, best = waited_for(trim.swaps, specs, buffer, interval) or (None, interval)
        if number is None:
            continue
        most, words = specs[number].deepest()[buffer], getattr(specs[number].folding, buffer)
        while words < most:
            words = min(2 * words, most)
            spec = _deeper(trim.swaps, specs, number, buffer, words)
            changed = [*specs[:number], spec, *specs[number + 1 :]]
            if mean_or(interval, trim.swaps, changed) <= best:
                if trim.fits(trim.swaps.cost(specs), trim.exchange(specs, spec, number)):
                    return changed
                break
    return None
