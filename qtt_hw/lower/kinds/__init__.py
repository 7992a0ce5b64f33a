"""What becomes the stages of each kind, or joins them: modules and functions, their draft, their stage in torch."""

from __future__ import annotations

from qtt_hw.lower.kinds.add import ADD
from qtt_hw.lower.kinds.batch_norm import BATCH_NORM
from qtt_hw.lower.kinds.concatenation import CONCATENATION
from qtt_hw.lower.kinds.conversion import CONVERSION
from qtt_hw.lower.kinds.dense import DENSE
from qtt_hw.lower.kinds.multiplication import MULTIPLICATION
from qtt_hw.lower.kinds.padding import PADDING
from qtt_hw.lower.kinds.passing import PASSING
from qtt_hw.lower.kinds.pointwise import POINTWISE
from qtt_hw.lower.kinds.pool import POOL
from qtt_hw.lower.kinds.rearrange import REARRANGE
from qtt_hw.lower.kinds.reduction import REDUCTION
from qtt_hw.lower.kinds.relu import RELU
from qtt_hw.lower.kinds.slice import SLICE
from qtt_hw.lower.kinds.stack import STACK
from qtt_hw.lower.kinds.subsample import SUBSAMPLE
from qtt_hw.lower.kinds.tensor_train import TENSOR_TRAIN

__all__ = ["KINDS"]

KINDS = (
    *(DENSE, TENSOR_TRAIN, BATCH_NORM, RELU, POINTWISE, POOL, REDUCTION, PADDING),
    *(SUBSAMPLE, SLICE, REARRANGE, ADD, MULTIPLICATION, CONCATENATION, STACK, PASSING, CONVERSION),
)
