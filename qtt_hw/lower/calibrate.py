"""Calibration: balanced gauges, then scales and statistics stage by stage on what the hardware would see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge
from qtt_hw.lower.draft import Gauge
from qtt_hw.lower.execute import execute
from qtt_hw.lower.integer import input_integers
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.stage import Stage

__all__ = ["balance", "calibrate_stages"]

#: A stage's integers batch by batch, and their format.
_Data = tuple[list[Tensor], Format]
#: Rounds of balancing a chain; each link moves its neighbours a little.
ROUNDS = 8


def _slices(weight: Tensor, modes: tuple[int, ...], axis: int, outputs: bool) -> Tensor:
    """A view of the weight [out, in, ...] with the rank first and everything else flat."""
    rest = weight.shape[1:] if outputs else (weight.shape[0], *weight.shape[2:])
    moved = weight if outputs else weight.transpose(0, 1)
    return moved.reshape(*modes, *rest).movedim(axis, 0).flatten(1)


@torch.no_grad()
def balance(stages: Sequence[Stage], gauges: Sequence[Gauge]) -> None:
    """Scale rank slices by powers of two until both cores of every gauge hold them at equal norms.

    The product of the cores stays the same to the bit. All slices of a core share one scale, and so do all channels
    between two cores: without this, those of small singular values would get few of the bits.
    """
    for _ in range(ROUNDS):
        moved = False
        for gauge in gauges:
            before, after = stages[gauge.before], stages[gauge.after]
            assert isinstance(before, ContractionStage) and isinstance(after, ContractionStage)
            out = _slices(before.weight.double(), gauge.out_modes, gauge.out_axis, True).norm(dim=1)
            into = _slices(after.weight.double(), gauge.in_modes, gauge.in_axis, False).norm(dim=1)
            alive = (out > 0) & (into > 0)
            ratio = torch.where(alive, into, 1.0) / torch.where(alive, out, 1.0)
            exponent = torch.floor(0.5 * torch.log2(ratio) + 0.5)
            if not bool(exponent.any()):
                continue
            moved = True
            factor = torch.exp2(exponent).to(before.weight.dtype)
            rows = _rank_shape(gauge.out_modes, gauge.out_axis, factor)
            columns = _rank_shape(gauge.in_modes, gauge.in_axis, factor)
            before.weight.mul_(rows.view(-1, 1, 1, 1, 1))
            after.weight.div_(columns.view(1, -1, 1, 1, 1))
        if not moved:
            return


def _rank_shape(modes: tuple[int, ...], axis: int, factor: Tensor) -> Tensor:
    """The factors of a rank spread over all channels of the modes, flat."""
    shape = [1] * len(modes)
    shape[axis] = modes[axis]
    return factor.view(shape).expand(modes).flatten()


def calibrate_stages(
    stages: Sequence[Stage], edge: Edge, batches: Sequence[Tensor], *, scales: bool, statistics: bool
) -> None:
    """Walk the batches through the integer stages, setting each stage before it runs.

    Parameters
    ----------
    stages : sequence of Stage
    edge : Edge
        The input's.
    batches : sequence of float tensor, [N, C, D, H, W]
    scales : bool
        Set the scales of weights and outputs.
    statistics : bool
        Set the statistics of every batch norm; otherwise only of those that have none yet.
    """

    def act(stage: Stage, inputs: list[_Data]) -> _Data:
        by_input = [[(part, fmt) for part in data] for data, fmt in inputs]
        outputs = stage.calibrate(list(zip(*by_input, strict=True)), scales=scales, statistics=statistics)
        return outputs, stage.out_format(*(fmt for _, fmt in inputs))

    source = [input_integers(batch, edge.format) for batch in batches]
    for _ in execute(stages, (source, edge.format), act):
        pass
