"""Training: float, with teachers, and quantisation-aware; resumable to the bit."""

from qtt_hw.training.config import Config, load_config
from qtt_hw.training.curves import plot_curves
from qtt_hw.training.loop import train
from qtt_hw.training.result import TrainResult
from qtt_hw.training.run import float_model, freeze_run, frozen_graph, load_run
from qtt_hw.training.stop import Interrupted

__all__ = [
    "Config",
    "Interrupted",
    "TrainResult",
    "float_model",
    "freeze_run",
    "frozen_graph",
    "load_config",
    "load_run",
    "plot_curves",
    "train",
]
