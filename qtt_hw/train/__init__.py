"""Training: float, with teachers, and quantisation-aware; resumable to the bit."""

import sys
from types import ModuleType
from typing import Any

from qtt_hw.train.config import Config, load_config
from qtt_hw.train.loop import train
from qtt_hw.train.result import TrainResult
from qtt_hw.train.run import float_model, freeze_run, frozen_graph, load_run
from qtt_hw.train.stop import Interrupted

__all__ = [
    "Config",
    "Interrupted",
    "TrainResult",
    "float_model",
    "freeze_run",
    "frozen_graph",
    "load_config",
    "load_run",
    "train",
]


class _Callable(ModuleType):
    """This package, called: `qtt_hw.train(...)` is the function whether or not the package was imported before."""

    def __call__(self, *args: Any, **options: Any) -> TrainResult:
        return train(*args, **options)


sys.modules[__name__].__class__ = _Callable
