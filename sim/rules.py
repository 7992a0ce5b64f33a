"""The rules that the streams of a design obey in every engine: how a run ends, said once.

Module `stream_rules` of `rules.v` watches them, in the simulator; engines drive and record.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DRAIN", "SOURCE", "STATUSES", "End"]

SOURCE = Path(__file__).with_name("rules.v")
#: Cycles without a transfer after the last word, in which one too many would show.
DRAIN = 1000
#: By the number that `rules.v` gives; 0 is a run that goes on.
STATUSES = ("running", "done", "fell", "changed", "unknown", "surplus", "left", "deadlock")
_BROKEN = {
    "fell": "o__valid fell before a transfer",
    "changed": "o__payload changed while o__valid = 1 and o__ready = 0",
    "unknown": "a bit of an output is unknown (x or z)",
}


@dataclass(frozen=True)
class End:
    """How a run ended.

    Parameters
    ----------
    status : str
        Of STATUSES.
    cycle, last : int
        The cycle in which it ended, and that of the last transfer.
    taken : int
        Input words that were taken.
    """

    status: str
    cycle: int
    last: int
    taken: int

    def failure(self, words: int, completed: int, samples: int) -> str | None:
        """What is wrong with the run, in one line; None when it is done.

        Parameters
        ----------
        words : int
            Input words that were sent.
        completed, samples : int
            Samples that came out, of how many.
        """
        if self.status == "done":
            return None
        if self.status == "deadlock":
            return f"deadlock: no transfer after cycle {self.last}, {completed} of {samples} samples came out"
        if self.status == "left":
            return f"{words - self.taken} of {words} input words were never taken"
        if self.status == "surplus":
            return f"cycle {self.cycle}: an output word more than {samples} samples make"
        return f"cycle {self.cycle}: {_BROKEN[self.status]}"
