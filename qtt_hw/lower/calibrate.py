"""Calibration: balanced gauges, then scales and statistics stage by stage on what the hardware would see."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from qtt_hw.errors import CalibrationWarning, named
from qtt_hw.fixedpoint import MULTIPLIER_BITS, Format
from qtt_hw.graph import Edge
from qtt_hw.lower.contraction import ContractionStage
from qtt_hw.lower.draft import Gauge
from qtt_hw.lower.execute import execute
from qtt_hw.lower.integer import input_integers
from qtt_hw.lower.residual import AddStage
from qtt_hw.lower.stages import Stage, Stream
from qtt_hw.quant.fake import beyond

__all__ = ["balance", "calibrate_stages"]

#: A stage's integers batch by batch, and their format.
_Data = tuple[list[Tensor], Format]
#: Values of a stage's output that its scale is searched on.
SAMPLE = 1 << 21
#: Rounds of balancing a chain; each link moves its neighbours a little.
ROUNDS = 8
#: Bits between a sum's step and the step that its output starts with, before it is calibrated, at most.
FARTHEST = 40


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


def _sample(parts: Sequence[Tensor]) -> Tensor:
    """At most about SAMPLE values of the parts, whole positions at even strides: float64 [positions, C]."""
    stride = max(1, -(-sum(part.numel() for part in parts) // SAMPLE))
    stride += 1 - stride % 2  # an odd stride does not keep step with even axes
    return torch.cat([part.movedim(1, 4).flatten(0, 3)[::stride].to(torch.float64) for part in parts])


def _statistics(accumulators: Sequence[Tensor], scale: float) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance by channel over all batches, of integers times scale; float64 [C]."""
    count = sum(acc.numel() // acc.shape[1] for acc in accumulators)
    axes = (0, 2, 3, 4)
    mean = torch.stack([acc.sum(axes, dtype=torch.float64) for acc in accumulators]).sum(0) / count
    centre = mean.view(-1, 1, 1, 1)
    squares = torch.stack([(acc.to(torch.float64) - centre).square().sum(axes) for acc in accumulators]).sum(0)
    return mean * scale, squares / max(count - 1, 1) * scale**2


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
        if isinstance(stage, ContractionStage):
            ((data, fmt),) = inputs
            if scales:
                stage.calibrate_weight()
            found = _contraction(stage, fmt, data, scales, statistics)
        else:
            by_input = [[(part, fmt) for part in data] for data, fmt in inputs]
            streams = list(zip(*by_input, strict=True))
            if scales and isinstance(stage, AddStage):
                _sum(stage, streams)
            found = [stage.integers(*several) for several in streams]
        return found, stage.out_format(*(fmt for _, fmt in inputs))

    source = [input_integers(batch, edge.format) for batch in batches]
    for _ in execute(stages, (source, edge.format), act):
        pass


def _sum(stage: AddStage, streams: Sequence[Sequence[Stream]]) -> None:
    """Set the scale of a sum from its inputs, batch by batch."""
    sums = [stage.sums(*several) for several in streams]
    y = _sample([total for total, _ in sums]) * 2.0 ** -sums[0][1]
    _output(stage, y)
    stage.output_quantizer.observe(y, stage.output_quantizer.format)


def _output(stage: AddStage | ContractionStage, y: Tensor) -> None:
    """Set the scale of a stage's output from its values in float."""
    quantizer = stage.output_quantizer
    taken = y if quantizer.signed else y.clamp(min=0.0)
    with named(stage.name):
        quantizer.calibrate(taken)
    if not quantizer.fixed and (said := beyond(taken, quantizer.bits)) is not None:
        warnings.warn(f"{stage.name}: {said}", CalibrationWarning, stacklevel=7)


def _contraction(
    stage: ContractionStage, fmt: Format, data: list[Tensor], scales: bool, statistics: bool
) -> list[Tensor]:
    """Set one contraction; its outputs."""
    acc_frac = fmt.frac + stage.weight_format().frac
    if scales:  # the scale that the output starts with need not be one that the requantiser reaches
        stage.output_quantizer.log2_scale.clamp_(min=-acc_frac, max=FARTHEST - acc_frac)
    acc = [stage.accumulators(x, fmt) for x in data]
    if stage.batch_norm is not None and (statistics or not stage.batch_norm.has_statistics):
        stage.batch_norm.set_statistics(*_statistics(acc, 2.0**-acc_frac))
    if scales:
        y = _sample(acc) * 2.0**-acc_frac
        affine = stage.affine()
        if affine is not None:
            slope, intercept = (t.to(y.device) for t in affine)
            y = y * slope + intercept
        quantizer = stage.output_quantizer
        _output(stage, y)
        if stage.bias is not None:
            # The multiplier of a bare bias is a power of two, and 2**(MULTIPLIER_BITS - 2) is the greatest that fits.
            finest = acc_frac + MULTIPLIER_BITS - 2
            quantizer.log2_scale.clamp_(min=-finest)
        quantizer.observe(y, quantizer.format)
    for i, part in enumerate(acc):  # in place, so that wide sums and outputs are not held together
        acc[i] = stage.requantize(part, fmt)
    return acc
