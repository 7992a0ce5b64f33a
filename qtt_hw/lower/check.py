"""check: which layers of a model can be lowered, and what there is for the others."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.prepare import VOXELS
from qtt_hw.lower.walk import require_format, walk
from qtt_hw.quant import QuantConfig

__all__ = ["Row", "check"]


class Row(BaseModel):
    """One layer: its qualified name, its type, whether it is supported, and if not, why and what there is instead.

    Of a whole model that is supported, what it is taken for, where that is something else.

    What is said to compute the same does; what is said to be another network has to be trained as such.
    """

    model_config = ConfigDict(frozen=True)

    layer: str
    type: str
    supported: bool
    instead: str = ""


def check(model: nn.Module, example: Tensor, input_format: Format = VOXELS) -> list[Row]:
    """Which layers of a model can be lowered to integer stages: one Row a layer, in the order they run.

    Faults of the whole model have rows too, whose layer is empty or not a layer's name.

    Parameters
    ----------
    model : nn.Module
        Left as it is.
    example : float tensor, [N, C, D, H, W], [N, C, H, W] or [N, C]
        Any input of the right shape.
    input_format : Format
        Of the inputs: unsigned 1 bit for voxels, signed 8 bits with frac 7 for images.

    Returns
    -------
    list of Row
        With `layer`, `type`, `supported` and, where it is not, `instead`: why, and what there is instead.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> import qtt_hw
    >>> net = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.Softmax(1), nn.Flatten(), nn.Linear(128, 2))
    >>> for row in qtt_hw.check(net, torch.zeros(1, 1, 4, 4, 4)):
    ...     print(row.layer, row.type, "ok" if row.supported else row.instead)
    0 Conv3d ok
    1 Softmax is not supported within a network; one over classes at its end is left out
    2 Flatten ok
    3 Linear ok
    """
    require_format(input_format)
    rows: list[Row] = []

    def visit(name: str, kind: str, reason: str | None) -> None:
        rows.append(Row(layer=name, type=kind, supported=reason is None, instead=reason or ""))

    try:
        lowering = walk(model, example, input_format, visit)
        if lowering.converted is not None:
            rows.append(Row(layer="", type="model", supported=True, instead=lowering.converted))
        if all(row.supported for row in rows):
            lowering.network.build(QuantConfig(), input_format)
    except ValueError as error:
        visit("", type(model).__name__, str(error))
    return rows
