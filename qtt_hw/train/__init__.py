"""Training: float, with teachers, and quantisation-aware; resumable to the bit."""

from qtt_hw.train.config import Config, load_config
from qtt_hw.train.loop import TrainResult, train
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
