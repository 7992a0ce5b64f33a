"""prepare: a PyTorch model becomes the list of stages that hardware runs, trainable and exact."""

from __future__ import annotations

import warnings

from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from qtt_hw.errors import DropoutWarning, GradientWarning, PrecisionWarning, SoftmaxWarning
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.lower.walk import require_format, walk
from qtt_hw.nn.planar import as_volumes
from qtt_hw.quant import QuantConfig

__all__ = ["VOXELS", "prepare"]

#: Of inputs that are not said to be others: one bit a value, 0 or 1.
VOXELS = Format(bits=1, signed=False, frac=0)


def prepare(
    model: nn.Module, example: Tensor, config: QuantConfig | None = None, input_format: Format = VOXELS
) -> PreparedModel:
    """The PreparedModel of a PyTorch model: copies of its float weights in quantised stages, to be calibrated.

    Parameters
    ----------
    model : nn.Module
        Left as it is.
    example : float tensor, [N, C, D, H, W], [N, C, H, W] or [N, C]
        Any input of the right shape.
    config : QuantConfig, optional
        4-bit weights and 8-bit activations unless given.
    input_format : Format
        Of the inputs: unsigned 1 bit for voxels, signed 8 bits with frac 7 for images.

    Returns
    -------
    PreparedModel
        To be calibrated, trained further if wanted, and frozen.

    Raises
    ------
    ValueError
        Of the first layer that cannot be lowered, with its name, what there is instead, and how many more there are.

    References
    ----------
    Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", doi
    10.1109/CVPR.2018.00286, for training with fake quantisation.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> import qtt_hw
    >>> net = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 2))
    >>> example = torch.zeros(1, 1, 4, 4, 4)
    >>> prepared = qtt_hw.prepare(net, example, qtt_hw.QuantConfig(weight_bits=4, activation_bits=8))
    >>> [stage.name for stage in prepared.stage_list]
    ['0', '3']
    >>> net[1] = nn.Softmax(1)
    >>> qtt_hw.prepare(net, example)
    Traceback (most recent call last):
        ...
    ValueError: 1 (Softmax) is not supported within a network; one over classes at its end is left out
    """
    config = QuantConfig() if config is None else config
    require_format(input_format)
    if not isinstance(config, QuantConfig):
        raise ValueError(f"the configuration must be a qtt_hw.QuantConfig, got a {type(config).__name__}")

    refused: list[str] = []

    def visit(name: str, kind: str, reason: str | None) -> None:
        if reason is not None:
            refused.append(f"{name} ({kind}) {reason}" if name else f"the model {reason}")

    try:
        lowering = walk(model, example, input_format, visit, config.tt_form)
    except ValueError as error:
        refused.append(str(error))
    if refused:
        more = len(refused) - 1
        also = f"; {more} more {'are' if more > 1 else 'is'} refused, which qtt check lists" if more else ""
        raise ValueError(refused[0] + also)
    dropped = [name for name, layer in model.named_modules() if isinstance(layer, _DropoutNd) and layer.p > 0]
    if dropped:
        warnings.warn(f"{', '.join(dropped)}: the prepared model trains without dropout", DropoutWarning, stacklevel=2)
    if lowering.detached:
        names = ", ".join(lowering.detached)
        warnings.warn(f"{names}: the prepared model passes gradients on", GradientWarning, stacklevel=2)
    if lowering.gradients:
        names = ", ".join(lowering.gradients)
        warnings.warn(f"{names}: the prepared model trains by the gradient of forward", GradientWarning, stacklevel=2)
    if lowering.converted is not None:
        warnings.warn(f"the model {lowering.converted}", PrecisionWarning, stacklevel=2)
    if lowering.softmax is not None:
        name, _ = lowering.softmax
        warnings.warn(f"{name} is left out: logits come out, and their argmax", SoftmaxWarning, stacklevel=2)
    stages = lowering.network.build(config, input_format)
    _, c, d, h, w = as_volumes(example).shape
    return PreparedModel(stages, lowering.network.gauges, config, Edge((d, h, w, c), input_format))
