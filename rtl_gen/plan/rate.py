"""What sets the rate of a plan: a stage, a stream of words, the argmax, or waits for a buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rtl_gen.argmax import argmax_cycles
from rtl_gen.kinds import Spec
from rtl_gen.plan.swaps import Swaps
from rtl_gen.plan.waits import BUFFERS, mean_or, waited_for
from rtl_gen.prediction import Mean
from rtl_gen.topology import Topology

__all__ = ["Limit", "limit_of"]


#: By `Limit.kind`.
_WORDS = {
    "stage": "the steps of the busiest stage",
    "input": "the words of the input, one a cycle",
    "output": "the words that {stage} puts out, one a cycle",
    "words": "the words that {stage} reads, one a cycle",
    "argmax": "the argmax, two cycles a logit and three more",
    "fifo": "a wait for the FIFO before {stage}",
    "ring": "a wait for the ring of {stage}",
    "queue": "a wait for the output queue of {stage}",
    "waits": "stages that wait for each other",
}


class Limit(BaseModel):
    """What an inference takes most cycles of, or where it waits.

    Attributes
    ----------
    kind : str
        "stage", a stage's steps; "input", the words of the network's input, one a cycle; "output" and "words", those
        that a stage puts out and takes; "argmax", its cycles; "fifo", "ring" and "queue",
        the buffer that is waited for; "waits" of which none alone is the reason.
    stage : str or None
        Whose steps, words or buffer these are; None of the input, the argmax and of several.
    cycles : int or float
        That it needs for an inference; of a buffer, what the network would take with an endless one.
    share : float
        Of the mean interval; of a buffer below 1, by which the wait for it stretches the interval.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["stage", "input", "output", "words", "argmax", "fifo", "ring", "queue", "waits"]
    stage: str | None
    cycles: Mean
    share: float

    @property
    def words(self) -> str:
        """What sets the rate, in words."""
        return _WORDS[self.kind].format(stage=self.stage or "several stages")

    @classmethod
    def of(cls, kind: str, stage: str | None, cycles: Fraction | int, interval: Fraction) -> Limit:
        return cls.model_validate(
            {"kind": kind, "stage": stage, "cycles": Fraction(cycles), "share": round(float(cycles / interval), 6)}
        )


def _needs(specs: Sequence[Spec], in_words: int, classes: int) -> Iterator[tuple[str, str | None, int]]:
    """Everything that has a number of cycles an inference by itself: (kind, stage, cycles)."""
    for spec in specs:
        yield "stage", spec.name, spec.cycles
    yield "input", None, in_words
    for spec in specs:
        yield "output", spec.name, spec.out_words
        yield "words", spec.name, spec.in_words
    yield "argmax", None, argmax_cycles(classes)


def limit_of(swaps: Swaps, specs: Sequence[Spec], input_lanes: int, topology: Topology, interval: Fraction) -> Limit:
    """What sets the rate of a network, found by what each part needs and by predictions with larger buffers.

    Parameters
    ----------
    swaps : Swaps
    specs : sequence of Spec
    input_lanes : int
        Values in a word of the input.
    topology : Topology
        With the FIFOs that are built.
    interval : Fraction
        The mean of the prediction, in cycles.
    """
    edge = swaps.graph.input.edge
    needs = list(_needs(specs, edge.positions * edge.channels // input_lanes, swaps.classes))
    kind, stage, cycles = max(needs, key=lambda need: need[2])
    if cycles >= interval:
        return Limit.of(kind, stage, cycles, interval)
    if topology.fifos and (mean := mean_or(interval, swaps, specs)) < interval:
        return Limit.of("fifo", _narrowest(swaps, specs, topology, interval), mean, interval)
    for buffer in BUFFERS:
        found = waited_for(swaps, specs, buffer, interval)
        if found is not None:
            number, faster = found
            return Limit.of(buffer, None if number is None else specs[number].node.name, faster, interval)
    return Limit.of("waits", stage, cycles, interval)


def _narrowest(swaps: Swaps, specs: Sequence[Spec], topology: Topology, interval: Fraction) -> str | None:
    """The sum whose FIFO alone, without end, makes the network faster."""
    for reader in topology.fifos:
        if mean_or(interval, swaps, specs, topology.with_fifos({**topology.fifos, reader: None})) < interval:
            return specs[reader.stage].node.name
    return None
