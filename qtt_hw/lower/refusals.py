"""Why a layer or function has no lowering, and what there is instead: what computes the same, or what does not."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

__all__ = ["LAST_CALL", "MADE_OF", "ONE_LOGIT", "REPEATED", "WITHIN", "of_function", "of_layer"]

#: What a network may hold.
MADE_OF = (
    "a network is made of convolutions and linear layers, dense or in tensor trains, batch norm, pools, functions of "
    "one value, sums, products, concatenations and slices"
)
#: Of a last call of which the hardware does more than enough.
LAST_CALL = "leave it out: the hardware puts out logits and their argmax"
#: Of a last layer of one output.
ONE_LOGIT = (
    "ends the network in one logit, and the class is the index of the largest; for two classes give it two outputs"
)
#: Of a softmax anywhere else.
WITHIN = "is not supported within a network; one over classes at its end is left out"

#: Of what reads, or puts out, one value a channel that a call has expanded over positions.
REPEATED = (
    "takes one value a channel that is expanded to all positions, and no stage repeats it; products, functions of one "
    "value, convolutions by 1 without padding, and means over the map take it"
)


def _another(layer: str) -> str:
    return f"{layer} in its place would be another network, to be trained as such"


_NORM = _another("batch norm behind a convolution")
_UPSAMPLED = "no stage makes more positions than it reads"
_TRANSPOSED = _another("a convolution")
_OF_RESULTS = "no stage has weights that are results, as attention does"
_STATE = "no stage keeps a state from one position to the next"
_LOOKED_UP = "no stage looks up rows of a matrix"
_COMPLEX = "no stage computes with complex numbers"
_COMPARED = "no stage compares results, or chooses by one"

#: By class name.
_LAYERS = {
    **dict.fromkeys(
        ("Conv1d", "MaxPool1d", "AvgPool1d", "AdaptiveAvgPool1d"),
        "its 2D form on inputs [N, C, 1, W] computes the same",
    ),
    **dict.fromkeys(("GroupNorm", "LayerNorm", "RMSNorm", "LocalResponseNorm"), _NORM),
    **dict.fromkeys(("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), _NORM),
    "SyncBatchNorm": "nn.BatchNorm3d with its parameters and statistics computes the same",
    **dict.fromkeys(("FractionalMaxPool2d", "FractionalMaxPool3d"), _another("a max pool")),
    **dict.fromkeys(("LPPool2d", "LPPool3d"), _another("an average pool")),
    **dict.fromkeys(("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), _TRANSPOSED),
    **dict.fromkeys(("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", "PixelShuffle"), _UPSAMPLED),
    **dict.fromkeys(("MaxUnpool2d", "MaxUnpool3d"), _UPSAMPLED),
    **dict.fromkeys(
        ("MultiheadAttention", "Transformer", "TransformerEncoder", "TransformerEncoderLayer"), _OF_RESULTS
    ),
    **dict.fromkeys(("Bilinear",), _OF_RESULTS),
    **dict.fromkeys(("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"), _STATE),
    **dict.fromkeys(("Embedding", "EmbeddingBag"), _LOOKED_UP),
    **dict.fromkeys(("DataParallel", "DistributedDataParallel"), "within a network its .module computes the same"),
}
_FUNCTIONS: dict[Any, str] = {
    **dict.fromkeys((F.group_norm, F.layer_norm, F.instance_norm, F.local_response_norm), _NORM),
    **dict.fromkeys((F.interpolate, F.upsample, F.pixel_shuffle, torch.pixel_shuffle, F.grid_sample), _UPSAMPLED),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _TRANSPOSED),
    **dict.fromkeys((F.scaled_dot_product_attention, torch.matmul, torch.bmm, torch.einsum), _OF_RESULTS),
    **dict.fromkeys(("matmul", "bmm", "__matmul__", torch.baddbmm), _OF_RESULTS),
    **dict.fromkeys((F.embedding, torch.gather, "gather", "index_select", torch.index_select), _LOOKED_UP),
    **dict.fromkeys((torch.fft.fft, torch.fft.fft2, torch.fft.fftn, torch.fft.rfft, torch.fft.rfft2), _COMPLEX),
    **dict.fromkeys((torch.fft.rfftn, torch.fft.ifft, torch.fft.ifft2, torch.fft.ifftn, torch.fft.irfftn), _COMPLEX),
    **dict.fromkeys((torch.where, "where", "gt", "lt", "ge", "le", "eq", "masked_fill"), _COMPARED),
    **dict.fromkeys((torch.sort, "sort", torch.topk, "topk", torch.argsort), _COMPARED),
}


def of_layer(name: str) -> str:
    """What there is for a layer that has no lowering, by its class's name."""
    return _LAYERS.get(name, MADE_OF)


def of_function(function: Any) -> str:
    """What there is for a function or method, as torch.fx names it."""
    name = getattr(function, "__name__", function)
    return _FUNCTIONS.get(function) or (_FUNCTIONS.get(name) if isinstance(name, str) else None) or MADE_OF
