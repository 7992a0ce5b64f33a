"""What tells how far a long piece of work is: one protocol for all of it, from training to the bitstream."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "amount", "in_words", "part_of", "silent"]


class Progress(Protocol):
    """Told how far something is: the step, how much of how much (0 of 0 where that is not known), and a word about it.

    Steps are named for people. Who is told must not change anything that the work depends on.
    """

    def __call__(self, step: str, done: float = 0, total: float = 0, text: str = "") -> None: ...


def silent(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
    """Tell nobody."""


def amount(done: float, total: float) -> str:
    """How much of how much: "12/300", and nothing where the whole is not known."""
    return f"{done:.12g}/{total:.12g}" if total else ""


def in_words(step: str, done: float = 0, total: float = 0, text: str = "") -> str:
    """What is told in one line, such as "search: between 17 and 99 cycles" or "cosim: 12/300"."""
    about = " ".join(filter(None, (amount(done, total), text)))
    return f"{step}: {about}" if about else step


def part_of(progress: Progress, whole: str) -> Progress:
    """What tells `progress` of a step whose own steps are no more than words about it."""

    def told(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        progress(whole, text=in_words(step, done, total, text))

    return told
