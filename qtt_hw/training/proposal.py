"""Bits by layer that are proposed: the choice by measured rises of the loss, evaluated as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from qtt_hw.graph import InputSpec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.mixed import layers_of
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.progress import Progress, silent
from qtt_hw.quant.allocation import Allocation, front, monotone
from qtt_hw.training.measure import logits
from qtt_hw.training.scores import Change, Level, Scores
from qtt_hw.training.sensitivity import at_widths, own_bits, stored_bits

__all__ = ["Proposal", "Proposals"]


class Proposal(BaseModel):
    """Bits by layer, and the integer model that has them: calibrated, not trained.

    Attributes
    ----------
    weight_bytes : int
        All that is stored.
    predicted : float
        The sum of the layers' rises of the loss.
    level : Level
    change : Change
        Against the network as it is, all quantised.
    lossless : bool
        Whether the accuracy is no lower, and the loss no higher by more than a standard error of the difference.
    """

    model_config = ConfigDict(frozen=True)

    bits: dict[str, int]
    weight_bytes: int
    predicted: float
    level: Level
    change: Change
    lossless: bool

    @property
    def no_higher_loss(self) -> bool:
        return self.change.loss <= self.change.loss_error


class Proposals:
    """The choices of bits by layer for a network's weights, evaluated when they are asked for.

    Parameters
    ----------
    prepared : PreparedModel
        The network as it is, in eval mode.
    rises : mapping of str to mapping of int to float
        Of each layer with weights: by number of bits, how much the loss rises where its weights alone have them.
    scores : Scores
    spec : InputSpec
    statistics : sequence of inputs
        Of training data, for batch norm.
    progress : Progress

    Attributes
    ----------
    exact : float tensor, [N, classes]
        Logits of the network as it is.
    tried : list of Proposal
        All that were evaluated, from the smallest.
    """

    def __init__(
        self,
        prepared: PreparedModel,
        rises: Mapping[str, Mapping[int, float]],
        scores: Scores,
        spec: InputSpec,
        statistics: Sequence[Tensor],
        progress: Progress = silent,
    ) -> None:
        self._prepared, self._scores, self._spec = prepared, scores, spec
        self._statistics, self._progress = statistics, progress
        self.exact = logits(prepared, scores.samples, spec, torch.device("cpu"))
        stages = prepared.stage_list
        layers = [layer for layer in layers_of(stages) if layer.name in rises]
        self._names = [layer.name for layer in layers]
        self._stored = [stored_bits(prepared, layer, rises[layer.name]) for layer in layers]
        self._rises = [
            {bits: rise for bits, rise in monotone(rises[name]).items() if bits in stored}
            for name, stored in zip(self._names, self._stored, strict=True)
        ]
        self._all = freeze(prepared, spec).weight_bits
        own = [own_bits(layer.weighted(stages)) or 0 for layer in layers]
        #: Bits that other stages store.
        self._rest = self._all - sum(stored[bits] for stored, bits in zip(self._stored, own, strict=True))
        self._tried: dict[tuple[int, ...], Proposal] = {}

    @property
    def tried(self) -> list[Proposal]:
        return sorted(self._tried.values(), key=lambda proposal: proposal.weight_bytes)

    def within(self, byte_budget: int) -> Proposal:
        """The choice of least predicted rise that stores no more than so many bytes."""
        choices = front(self._stored, self._rises, 8 * byte_budget - self._rest)
        if not choices:
            least = -(-(self._rest + sum(min(sizes.values()) for sizes in self._stored)) // 8)
            raise ValueError(f"no bits by layer store {byte_budget} bytes or fewer; the least that can be are {least}")
        return self._evaluated(choices[-1])

    def lossless(self) -> Proposal | None:
        """The smallest choice without loss of those that store less than the network as it is, if there is one.

        The least size at which the loss is no higher is found by bisection, as if below one with a loss all had one;
        from there on every choice is tried until the accuracy is no lower either.
        """
        choices = [c for c in front(self._stored, self._rises) if c.stored_bits + self._rest < self._all]
        low, high = 0, len(choices)
        while low < high:
            middle = (low + high) // 2
            if self._evaluated(choices[middle]).no_higher_loss:
                high = middle
            else:
                low = middle + 1
        return next((found for found in map(self._evaluated, choices[low:]) if found.lossless), None)

    def _evaluated(self, choice: Allocation) -> Proposal:
        """The choice calibrated, frozen and evaluated as integers."""
        if choice.bits in self._tried:
            return self._tried[choice.bits]
        self._progress("bits by layer", text=f"choice {len(self._tried) + 1} as a whole")
        bits = dict(zip(self._names, choice.bits, strict=True))
        made = at_widths(self._prepared, bits, self._statistics)
        found = logits(made, self._scores.samples, self._spec, torch.device("cpu"))
        change = self._scores.change(found, self.exact)
        proposal = self._tried[choice.bits] = Proposal(
            bits=bits,
            weight_bytes=freeze(made, self._spec).weight_bytes,
            predicted=choice.rise,
            level=self._scores.level(found),
            change=change,
            lossless=change.accuracy >= 0 and change.loss <= change.loss_error,
        )
        return proposal
