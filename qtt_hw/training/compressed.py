"""The compress phase: learning-compression of convolutions and linear layers, and the network that results."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qtt_hw.lc.algorithm import LCModel
from qtt_hw.lc.compression import Codes, Compression, TensorTrain, Tucker
from qtt_hw.lc.selection import EVBMF, BayesOpt, Given, Selection
from qtt_hw.lower.layers import TYPES, is_layer, layer_type
from qtt_hw.near import no_layers
from qtt_hw.nn.low_rank_linear import LowRankLinear
from qtt_hw.nn.memory import channels_last
from qtt_hw.nn.qtt_conv import QTTConv3d
from qtt_hw.nn.tt_conv import TTConv2d, TTConv3d, TTConvNd
from qtt_hw.nn.tt_linear import TTLinear
from qtt_hw.nn.tucker_conv import TuckerConv
from qtt_hw.training.network import replace_layer
from qtt_hw.training.phase import Milestone
from qtt_hw.training.sections import CompressSection
from qtt_hw.tt.ends import check_layer_ranks, layer_parameters
from qtt_hw.tt.shapes import check_tucker

__all__ = [
    "PenalisedByLC",
    "compressible",
    "described",
    "layers_of",
    "left_dense",
    "milestones",
    "network_of",
    "rebuilt",
    "searched",
    "train_kind",
    "under_compression",
    "why_dense",
    "with_weights",
]

#: Weights from which on a linear layer takes part in a search: about what a block RAM holds of 4 bits.
LEAST_WEIGHTS = 4096


def train_kind(layer: nn.Module) -> type[TTConvNd] | type[LowRankLinear] | None:
    """The tensor-train layer that can stand for a convolution or a linear layer; None for any other layer."""
    if why_dense(layer):
        return None
    if isinstance(layer, nn.Linear):
        return LowRankLinear
    return TTConv2d if isinstance(layer, nn.Conv2d) else TTConv3d


def with_weights(network: nn.Module) -> Iterator[tuple[str, nn.Module | nn.Parameter]]:
    """By name, what has weights: layers, and parameters of more than one axis that a module's forward takes itself."""
    layer = None
    for name, module in network.named_modules():
        if layer is not None and name.startswith(layer):
            continue
        layer = None
        if not isinstance(module, nn.ParameterList | nn.ParameterDict) and (
            is_layer(module) or isinstance(module, tuple(TYPES))
        ):
            layer = f"{name}." if name else ""
            if any(parameter.ndim > 1 for parameter in module.parameters()):
                yield name, module
            continue
        for own, parameter in module.named_parameters(name, recurse=False):
            if sum(size > 1 for size in parameter.shape) > 1:
                yield own, parameter


def why_dense(layer: nn.Module | nn.Parameter) -> str:
    """Why no tensor train stands for what has weights; nothing for a layer for which one can."""
    if isinstance(layer, nn.Parameter):
        return "is a parameter that forward takes itself; trains are for layers, Conv2d, Conv3d and Linear"
    if isinstance(layer, QTTConv3d | TTConvNd | TTLinear):
        return "is a tensor train already"
    kind = layer_type(layer)  # a class that only constructs one otherwise is one too
    if kind not in (nn.Conv2d, nn.Conv3d, nn.Linear):
        return f"trains are for Conv2d, Conv3d and Linear, not {type(layer).__name__}"
    if kind is nn.Linear:
        return ""
    assert isinstance(layer, nn.Conv2d | nn.Conv3d)
    if layer.groups != 1:
        return f"has {layer.groups} groups of channels; trains are of convolutions without"
    if layer.padding_mode != "zeros":
        return f"has padding_mode {layer.padding_mode!r}"
    return ""


def left_dense(network: nn.Module, how: CompressSection | None) -> dict[str, str]:
    """By the name of what has weights and does not take part in the search of ranks: why."""
    chosen = set(searched(network, how))
    found, first = {}, True
    for name, layer in with_weights(network):
        why = why_dense(layer)
        if name not in chosen:
            if not why and how is not None and how.layers:
                why = "is none of compress.layers"
            elif not why and isinstance(layer, nn.Linear):
                why = f"has {layer.weight.numel()} weights, a linear layer takes part from {LEAST_WEIGHTS} on"
            found[name] = why or ("is the first convolution" if first else "is none of compress.layers")
        first = first and (bool(why) or isinstance(layer, nn.Linear))
    return found


def compressible(network: nn.Module) -> tuple[str, ...]:
    """The convolutions that are compressed unless a configuration names other layers: all but the first."""
    convolutions = (name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Conv3d))
    return tuple(name for name in convolutions if train_kind(network.get_submodule(name)) is not None)[1:]


def searched(network: nn.Module, how: CompressSection | None) -> tuple[str, ...]:
    """The layers whose ranks are searched: those that a section names, or the convolutions and large linear layers.

    Raises
    ------
    ValueError
        When a name is no such layer of the network.
    """
    if how is not None and how.layers:
        return layers_of(network, how)
    chosen = set(compressible(network))
    for name, layer in network.named_modules():
        large = isinstance(layer, nn.Linear) and layer.weight.numel() >= LEAST_WEIGHTS
        if large and train_kind(layer) is not None:
            chosen.add(name)
    return tuple(name for name, _ in network.named_modules() if name in chosen)


def layers_of(network: nn.Module, how: CompressSection) -> tuple[str, ...]:
    """The layers that a section names, checked, or all convolutions that can be compressed.

    Raises
    ------
    ValueError
        When a name is no convolution and no linear layer of the network.
    """
    layers = dict(network.named_modules())
    if faults := no_layers("compress", how.layers, layers):
        raise ValueError("; ".join(faults))
    for name in how.layers:
        kind = type(layers[name]).__name__
        if how.form != "codes" and train_kind(layers[name]) is None:
            raise ValueError(
                f"compress: {name} is a {kind}, tensor trains are for Conv2d and Conv3d without groups, and Linear"
            )
        if how.form == "tucker" and isinstance(layers[name], nn.Linear):
            raise ValueError(f'compress: {name} is a {kind}, form = "tucker" is for Conv2d and Conv3d')
    return how.layers or compressible(network)


def _selection(name: str, how: CompressSection, seed: int) -> Compression | Selection:
    codes = None if how.bits is None else Codes(how.bits, how.codebook, how.zero)
    if how.form == "codes":
        assert codes is not None
        return codes
    if how.form == "tucker" and name in how.tucker:
        return Given(Tucker(how.tucker[name]))
    if name in how.ranks or name in how.tucker:
        return Given(TensorTrain(how.ranks.get(name), how.tucker.get(name), codes))
    if how.ranking == "evbmf":
        return EVBMF(codes, how.form, how.factor)
    return BayesOpt(codes, how.form, "bayes" if how.ranking == "published" else "evbmf", how.factor, seed)


def _check_ranks(layer: nn.Module, name: str, ranks: Sequence[int]) -> None:
    """Refuse ranks that a layer's tensor train cannot use, or that make it larger than the layer."""
    shape = tuple(layer.weight.shape)  # type: ignore[arg-type, union-attr]
    sizes = (*shape[1:], shape[0])
    what = f"compress: ranks of {name!r}"
    check_layer_ranks(ranks, sizes, what)
    count, dense = layer_parameters(sizes, ranks), math.prod(sizes)
    if count > dense:
        raise ValueError(
            f"{what}: a tensor train of ranks {list(ranks)} has {count} parameters, more than the {dense} of the dense "
            "layer: lower them"
        )


def under_compression(network: nn.Module, how: CompressSection, seed: int = 0) -> LCModel:
    """The network with what each of its layers is to be compressed to.

    Raises
    ------
    ValueError
        When nothing can be compressed, a name is no layer of the network that can, or ranks would be selected within
        the first epoch.
    """
    names = layers_of(network, how)
    if not names:
        raise ValueError("compress: the network has nothing to compress: no convolution behind its first")
    for name in (*how.ranks, *how.tucker):
        if name not in names:
            raise ValueError(f"compress: ranks of {name!r}, which is none of the compressed layers {', '.join(names)}")
    for name, ranks in how.ranks.items():
        _check_ranks(network.get_submodule(name), name, ranks)
    for name, tucker in how.tucker.items():
        made, taken = network.get_submodule(name).weight.shape[:2]  # type: ignore[union-attr, index]
        check_tucker(tucker, (taken, made), f"compress: tucker ranks of {name!r}")
    compressions = {name: _selection(name, how, seed + index) for index, name in enumerate(names)}
    selecting = [name for name, chosen in compressions.items() if isinstance(chosen, EVBMF | BayesOpt)]
    if how.pairs > how.epochs and selecting:
        raise ValueError(
            f"compress: {how.pairs} pairs in {how.epochs} epochs select the ranks of {selecting[0]} before an "
            "epoch has passed: give its ranks, or at most a pair an epoch"
        )
    return LCModel(network, compressions, how.mu, how.growth, how.method)


def milestones(model: LCModel, how: CompressSection, per_epoch: int) -> tuple[Milestone, ...]:
    """A C step between two L steps; the last L step's own is `network_of`.

    Raises
    ------
    ValueError
        When there are more L steps than steps of training.
    """
    steps = how.epochs * per_epoch
    if how.pairs > steps:
        raise ValueError(f"compress: {how.pairs} pairs need as many steps, {how.epochs} epochs have {steps}")
    return tuple(Milestone(k * steps // how.pairs, model.compress) for k in range(1, how.pairs))


class PenalisedByLC:
    """A loss with the pull of learning-compression added.

    Parameters
    ----------
    loss : callable
        (inputs, logits, classes) to a scalar.
    model : LCModel
    """

    def __init__(self, loss: Callable[[Tensor, Tensor, Tensor], Tensor], model: LCModel) -> None:
        self.loss, self.model = loss, model

    def __call__(self, x: Tensor, scores: Tensor, y: Tensor) -> Tensor:
        return self.loss(x, scores, y) + self.model.penalty()


def described(model: LCModel) -> dict[str, Any]:
    """What an epoch's log line says: C steps done, mu, the penalty, and how far weights and compression are apart."""
    with torch.no_grad():
        return {
            "c_steps": int(model.progress),
            "mu": float(model.mu),
            "penalty": float(model.penalty()),
            "distance": model.distance,
        }


def network_of(model: LCModel) -> nn.Module:
    """The compressed network after a last C step: tensor trains in place of dense layers, coded weights set."""
    model.compress()
    network = copy.deepcopy(model.network)
    for name, shifted in model.last_compressed.items():
        layer = network.get_submodule(name)
        what = model.compression(name)
        if isinstance(what, TensorTrain):
            kind = train_kind(layer)
            assert kind is not None
            replace_layer(network, name, kind.from_train(layer, what.cores(shifted)))  # type: ignore[arg-type]
        elif isinstance(what, Tucker):
            assert isinstance(layer, nn.Conv2d | nn.Conv3d)
            replace_layer(network, name, TuckerConv.from_dense(layer, what.ranks, shifted))
        else:
            with torch.no_grad():
                layer.weight.copy_(what.compress(shifted))  # type: ignore[operator, union-attr]
    return channels_last(network)


def rebuilt(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """A fresh dense network with the tensor trains of a saved compressed one in place, and its values."""
    for name, layer in list(network.named_modules()):
        kind = train_kind(layer)
        if kind is None:
            continue
        if isinstance(layer, nn.Linear):
            first = state.get(f"{name}.first.weight")
            if first is not None and f"{name}.weight" not in state:
                replace_layer(network, name, LowRankLinear(layer, first.shape[0]))
            continue
        assert isinstance(layer, nn.Conv2d | nn.Conv3d) and issubclass(kind, TTConvNd)
        core = state.get(f"{name}.core.weight")
        if core is not None and f"{name}.weight" not in state:
            replace_layer(network, name, TuckerConv(layer, (core.shape[1], core.shape[0])))
        stages = tuple("dhw"[axis] for axis in kind.axes)
        if f"{name}.core_{stages[0]}" not in state:
            continue
        cores = [state[f"{name}.core_{stage}"] for stage in stages]
        train = kind(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            (cores[0].shape[1], *(core.shape[0] for core in cores)),
            layer.stride,
            layer.padding,
            bias=layer.bias is not None,
            ends=(f"{name}.core_in" in state, f"{name}.core_out" in state),
            redundant_ranks=True,
            dilation=layer.dilation,
        )
        replace_layer(network, name, train)
    network.load_state_dict(state)
    return channels_last(network)
