"""Tensor trains: shapes, TT-SVD, and the order in which a chain of cores is contracted."""

from qtt_hw.tt.chain import ChainStep, ContractionPath, best_path, contraction_steps, cost, paths, step_weight
from qtt_hw.tt.shapes import check_ranks, full_ranks, inner_ranks, parameters
from qtt_hw.tt.svd import full, norm, relative_error, tt_svd

__all__ = [
    "ChainStep",
    "ContractionPath",
    "best_path",
    "check_ranks",
    "contraction_steps",
    "cost",
    "full",
    "full_ranks",
    "inner_ranks",
    "norm",
    "parameters",
    "paths",
    "relative_error",
    "step_weight",
    "tt_svd",
]
