"""From a PyTorch 3D CNN to a proven FPGA accelerator.

The public functions are imported when first used, so that reading a model file or running the golden model needs
numpy only, not torch.
"""

from __future__ import annotations

import sys
from importlib import import_module

from qtt_hw.version import __version__ as __version__

TYPE_CHECKING = False  # not from typing, whose import takes a while: a command is not ready for a signal before
if TYPE_CHECKING:
    from typing import Any

    from qtt_hw.compression import compress
    from qtt_hw.demonstration import demo
    from qtt_hw.diagnosis import doctor
    from qtt_hw.evaluation import evaluate
    from qtt_hw.fixedpoint import Format
    from qtt_hw.flow import build, cosim, emit, program
    from qtt_hw.freezing import check_source, freeze_run
    from qtt_hw.graph.file import digest_of, load, save
    from qtt_hw.graph.golden import run
    from qtt_hw.graph.graph import Graph, InputSpec
    from qtt_hw.graph.preprocess import input_spec, preprocess
    from qtt_hw.inspection import inspect
    from qtt_hw.lower.check import check
    from qtt_hw.lower.freeze import freeze
    from qtt_hw.lower.prepare import prepare
    from qtt_hw.lower.prepared import PreparedModel
    from qtt_hw.nn import ConvBlock, PairAvgPool3d, PairMaxPool3d, QTTConv3d, Subsample, TTConv2d, TTConv3d, TTLinear
    from qtt_hw.on_board import run_on_board, simulated_board
    from qtt_hw.planning import explain_plan, plan
    from qtt_hw.quant import QuantConfig
    from qtt_hw.quantizing import quantize
    from qtt_hw.report.make import report
    from qtt_hw.training import train

__all__ = [
    "ConvBlock",
    "Format",
    "Graph",
    "InputSpec",
    "PairAvgPool3d",
    "PairMaxPool3d",
    "PreparedModel",
    "QTTConv3d",
    "QuantConfig",
    "Subsample",
    "TTConv2d",
    "TTConv3d",
    "TTLinear",
    "build",
    "check",
    "check_source",
    "compress",
    "cosim",
    "demo",
    "digest_of",
    "doctor",
    "emit",
    "evaluate",
    "explain_plan",
    "freeze",
    "freeze_run",
    "input_spec",
    "inspect",
    "load",
    "plan",
    "prepare",
    "preprocess",
    "program",
    "quantize",
    "report",
    "run",
    "run_on_board",
    "save",
    "simulated_board",
    "train",
]

_HOME = {
    "ConvBlock": "qtt_hw.nn",
    "Format": "qtt_hw.fixedpoint",
    "Graph": "qtt_hw.graph.graph",
    "InputSpec": "qtt_hw.graph.graph",
    "PairAvgPool3d": "qtt_hw.nn",
    "PairMaxPool3d": "qtt_hw.nn",
    "PreparedModel": "qtt_hw.lower.prepared",
    "QTTConv3d": "qtt_hw.nn",
    "QuantConfig": "qtt_hw.quant",
    "Subsample": "qtt_hw.nn",
    "TTConv2d": "qtt_hw.nn",
    "TTConv3d": "qtt_hw.nn",
    "TTLinear": "qtt_hw.nn",
    "build": "qtt_hw.flow",
    "check": "qtt_hw.lower.check",
    "check_source": "qtt_hw.freezing",
    "compress": "qtt_hw.compression",
    "cosim": "qtt_hw.flow",
    "demo": "qtt_hw.demonstration",
    "digest_of": "qtt_hw.graph.file",
    "doctor": "qtt_hw.diagnosis",
    "emit": "qtt_hw.flow",
    "evaluate": "qtt_hw.evaluation",
    "explain_plan": "qtt_hw.planning",
    "freeze": "qtt_hw.lower.freeze",
    "freeze_run": "qtt_hw.freezing",
    "input_spec": "qtt_hw.graph.preprocess",
    "inspect": "qtt_hw.inspection",
    "load": "qtt_hw.graph.file",
    "plan": "qtt_hw.planning",
    "prepare": "qtt_hw.lower.prepare",
    "preprocess": "qtt_hw.graph.preprocess",
    "program": "qtt_hw.flow",
    "quantize": "qtt_hw.quantizing",
    "report": "qtt_hw.report.make",
    "run": "qtt_hw.graph.golden",
    "run_on_board": "qtt_hw.on_board",
    "save": "qtt_hw.graph.file",
    "simulated_board": "qtt_hw.on_board",
    "train": "qtt_hw.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'qtt_hw' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


class _Package(type(sys)):  # type: ignore[misc]
    """A subpackage that is called like a public function is imported beside it and does not take its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _HOME or not isinstance(value, type(sys)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
