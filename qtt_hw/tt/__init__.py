"""Tensor trains: shapes, TT-SVD, and the order in which a chain of cores is contracted."""

from qtt_hw.tt.chain import ChainStep, contract_chain, contraction_steps, final_order
from qtt_hw.tt.shapes import full_ranks, inner_ranks, parameters
from qtt_hw.tt.svd import full, norm, relative_error, tt_svd

__all__ = [
    "ChainStep",
    "contract_chain",
    "contraction_steps",
    "final_order",
    "full",
    "full_ranks",
    "inner_ranks",
    "norm",
    "parameters",
    "relative_error",
    "tt_svd",
]
