"""The quantised phase: prepare, calibrate, and the steps at which scales and statistics stop moving."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from qtt_hw.errors import DropoutWarning
from qtt_hw.graph import InputSpec
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.training.batches import Batches
from qtt_hw.training.network import example_input
from qtt_hw.training.phase import Milestone
from qtt_hw.training.sections import QuantSection

__all__ = ["STATISTICS_EPOCH", "calibrate", "load_prepared", "milestones", "prepare_model", "scale_parameters"]

#: Numbers of epochs that no training reaches: their orders and changes serve calibration and re-estimation.
CALIBRATION_EPOCH, STATISTICS_EPOCH = 1 << 20, (1 << 20) + 1


def prepare_model(model: nn.Module, spec: InputSpec, how: QuantSection) -> PreparedModel:
    """The prepared model of a float network for a run's input format and bit widths; scales are not set yet.

    A float phase's dropout is not the quantised one's, which is nothing to warn of: it is short, and starts trained.

    Raises
    ------
    ValueError
        Naming the first layer that cannot be lowered and what to use instead.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DropoutWarning)
        return prepare(model, example_input(spec), how.quantisation, spec.edge.format)


def load_prepared(prepared: PreparedModel, state: Mapping[str, Tensor]) -> PreparedModel:
    """The prepared model with a saved state, scales and phase included, in eval mode."""
    prepared.load_state_dict(state)
    return prepared.eval()


def calibrate(prepared: PreparedModel, batches: Batches, how: QuantSection) -> None:
    """Set every scale and statistic on augmented training data."""
    prepared.calibrate(batches.some(how.calibration, CALIBRATION_EPOCH), estimate_statistics=True)


def scale_parameters(prepared: PreparedModel) -> list[nn.Parameter]:
    """The learned log2 scales, which have their own learning rate and no decay."""
    return [p for name, p in prepared.named_parameters() if name.rpartition(".")[2] == "log2_scale"]


def milestones(prepared: PreparedModel, batches: Batches, how: QuantSection) -> tuple[Milestone, ...]:
    """When weights are taken in portions, when scales become constants, and when re-estimated statistics do and the
    folded integers take over.
    """
    steps = how.epochs * batches.per_epoch
    scales = (*_portions(prepared, how, steps), Milestone(int(how.freeze_scales * steps), prepared.freeze_scales))
    if prepared.floating:
        return scales
    return (
        *scales,
        Milestone(
            int(how.freeze_statistics * steps),
            lambda: prepared.freeze_statistics(batches.some(how.reestimate, STATISTICS_EPOCH)),
        ),
    )


def _portions(prepared: PreparedModel, how: QuantSection, steps: int) -> list[Milestone]:
    """When portions of the weights are quantised: the first at once, the rest by freeze_scales."""
    if how.codebook != "inq":
        return []
    apart = how.freeze_scales * steps / max(len(how.portions), 1)
    return [Milestone(int(i * apart), partial(prepared.quantize_portion, p)) for i, p in enumerate(how.portions)]
