"""What options may be, and what they are where nothing is said: for configurations, functions and the command line.

Nothing heavy is imported, so that the command line can show its help at once.
"""

from __future__ import annotations

from typing import Literal, get_args

__all__ = [
    "ACCELERATOR",
    "ACCELERATORS",
    "ACCURACY_DROP",
    "BITS",
    "EPOCHS",
    "INSPECTED",
    "INSPECTED_PHASES",
    "NETWORKS",
    "QUANTIZED_BITS",
    "QUANTIZED_EPOCHS",
    "QUANTIZED_SCALES",
    "SCALES",
    "SEARCHED_ON",
    "SEEDS",
    "SOURCES",
    "SPLITS",
    "STEPS",
    "TRIALS",
    "WeightScales",
    "require_above_zero",
]

#: Least and most bits of a weight or an activation.
BITS = 2, 8
#: Least and most epochs of any training: more can only be an error.
EPOCHS = 0, 100_000
#: Least and greatest seed.
SEEDS = 0, (1 << 32) - 1
#: What a scale of weights is for.
WeightScales = Literal["tensor", "channel"]
SCALES: tuple[WeightScales, ...] = get_args(WeightScales)

#: The networks of the zoo, `qtt_hw.nn.zoo`, which needs torch.
NETWORKS = (
    *("voxtt", "voxtt-tiny", "qttnet_modelnet40", "qttnet_ucf11", "qttnet_ucf50", "qttnet_small", "lenet"),
    *("resnet20", "resnet32", "resnet44", "resnet56", "vgg16"),
)
#: The data sets in the folder that $QTT_DATA names, and the parts of any data set.
SOURCES = ("modelnet10", "egogestar", "mnist", "cifar10", "cifar100")
SPLITS = ("train", "validation", "test")

#: What computes a training.
ACCELERATOR = "cpu"
ACCELERATORS = (ACCELERATOR, "cuda")
#: Of `quantize`: the bits of weights and what their scales are for, unless a configuration says so, and its epochs.
QUANTIZED_BITS = 8
QUANTIZED_SCALES: WeightScales = "channel"
QUANTIZED_EPOCHS = 0

#: Of `inspect`: validation samples at most, and the phases of a run that can be inspected.
INSPECTED = 1000
INSPECTED_PHASES = "quantized", "float"

#: Of `compress`: the FPGA, the points that accuracy may drop by, and the search's trials with the steps of each.
SEARCHED_ON = "ecp5-85f"
ACCURACY_DROP = 1.0
TRIALS = 20
STEPS = 50


def require_above_zero(option: str, value: float | None) -> None:
    """Raise ValueError naming the option where its value is given and not above 0, or not finite."""
    if value is not None and not 0 < value < float("inf"):
        raise ValueError(f"{option} must be above 0, got {value:g}")
