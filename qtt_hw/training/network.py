"""The network of a configuration: from the zoo or a user's file, with TT-ranks by layer name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qtt_hw.errors import named
from qtt_hw.graph import InputSpec
from qtt_hw.near import no_layers
from qtt_hw.nn import QTTConv3d, TTConv3d, TTLinear, zoo
from qtt_hw.nn.finite import replace_unusable
from qtt_hw.nn.memory import channels_last
from qtt_hw.nn.normalised import Normalised
from qtt_hw.nn.planar import reading, squeezing_depth
from qtt_hw.nn.wrapped import unwrapped
from qtt_hw.training.config import Config
from qtt_hw.training.weights import load_weights
from qtt_hw.tt.ends import check_layer_ranks, layer_parameters
from qtt_hw.tt.orders import Ordered
from qtt_hw.tt.shapes import check_ranks, parameters
from qtt_hw.user_code import call

__all__ = ["build_model", "example_input", "make_network", "replace_layer"]


def example_input(spec: InputSpec) -> torch.Tensor:
    """Zeros [1, C, D, H, W] of the input edge, channels last in memory."""
    d, h, w, c = spec.edge.shape
    return torch.zeros(1, d, h, w, c).permute(0, 4, 1, 2, 3)


def make_network(
    config: Config,
    input_shape: tuple[int, int, int, int],
    classes: int,
    seed: int,
    *,
    dense: bool = False,
    trained: bool = False,
    spec: InputSpec | None = None,
) -> nn.Module:
    """The float network for inputs (C, D, H, W), initialised from the seed, as channels_last_3d; it has not run yet.

    One of 2D layers takes [N, C, 1, H, W] too. With `trained` it gets the weights that the configuration names, with
    `spec`, of which its inputs are then, the normalisation.
    """
    name, arguments = config.model.name, dict(config.model.args)
    if dense:
        arguments["dense"] = True
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if ".py:" in name:
            model = unwrapped(_from_file(config.folder, name, arguments))
        else:
            model = zoo.create(name, **{"classes": classes, "input_shape": input_shape, **arguments})
        if config.model.weights is not None:
            if trained:
                load_weights(model, config.folder / config.model.weights)
            else:  # its values come from a run, or do not matter
                replace_unusable(model)
        if not dense:
            _check_layers(model, config)
            for layer, ranks in config.model.ranks.items():
                _set_ranks(model, layer, ranks)
            for layer, path in config.model.paths.items():
                _set_path(model, layer, path)
    if spec is not None and config.model.mean:
        with named("model"):
            model = Normalised(model, spec, config.model.mean, config.model.std)
    return squeezing_depth(channels_last(model))


def build_model(
    config: Config, spec: InputSpec, classes: int, seed: int, *, dense: bool = False, trained: bool = False
) -> nn.Module:
    """The float network, initialised from the seed, as channels_last_3d; it has answered an example once.

    Parameters
    ----------
    config : Config
    spec : InputSpec
        A zoo network takes its input shape from here.
    classes : int
    seed : int
        Of torch's random state while the network is made.
    dense : bool
        Ask for dense layers in place of tensor trains.
    trained : bool
        Give it the weights that the configuration names, where it names some.
    """
    d, h, w, c = spec.edge.shape
    model = make_network(config, (c, d, h, w), classes, seed, dense=dense, trained=trained, spec=spec)
    example = example_input(spec)
    name = config.model.name
    model.eval()
    try:
        with torch.no_grad():
            logits = reading(model, example)(example)
    except Exception as error:  # of a user's forward
        raise ValueError(f"{name}: cannot run on an input of {list(example.shape)}: {_reason(error)}") from error
    if not isinstance(logits, torch.Tensor):
        raise ValueError(f"{name}: gives a {type(logits).__name__}, not the logits alone")
    shape = tuple(logits.shape)
    if shape != (1, classes):
        raise ValueError(f"{name}: gives {list(shape)} for one sample, the data has {classes} classes: [1, {classes}]")
    return model.train()


def _from_file(folder: Path, name: str, arguments: dict[str, Any]) -> nn.Module:
    file, _, attribute = name.rpartition(":")
    path = folder / file
    model = call(path, attribute, **arguments)
    if not isinstance(model, nn.Module):
        raise ValueError(f"{path}:{attribute}: made a {type(model).__name__}, expected a torch.nn.Module")
    return model


def _reason(error: Exception) -> str:
    """What an error says on one line, with its type where that says more."""
    text = " ".join(str(error).split())
    if isinstance(error, RuntimeError | TypeError | ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _check_layers(model: nn.Module, config: Config) -> None:
    """Raise ValueError where ranks or paths name what is no layer: all such names, and the configuration's file."""
    layers = [name for name, _ in model.named_modules()]
    faults = no_layers("model.ranks", config.model.ranks, layers)
    faults += no_layers("model.paths", config.model.paths, layers)
    if faults:
        file = config.source is not None and config.source.is_file()
        raise ValueError(f"{config.source}: {'; '.join(faults)}" if file else "; ".join(faults))


def _set_path(model: nn.Module, layer: str, path: str) -> None:
    """The order in which a tensor-train layer is contracted once it is prepared, and that of its modes if it is named.

    The path leaves the layer's function as it is; with its modes in another order it is a layer of its own.
    """
    layers = dict(model.named_modules())
    found = layers[layer]
    if not isinstance(found, QTTConv3d | TTLinear):
        raise ValueError(f"model.paths: {layer} is a {type(found).__name__}, paths are for QTTConv3d and TTLinear")
    try:
        ordered = Ordered.parse(path)
        if ordered.in_modes:
            found = found.reordered(ordered.in_modes, ordered.out_modes)
            replace_layer(model, layer, found)
        found.set_path(ordered.path)
    except ValueError as error:
        raise ValueError(f"model.paths: {layer}: {error}") from None


def _set_ranks(model: nn.Module, layer: str, ranks: tuple[int, ...]) -> None:
    """Replace a layer by a TTConv3d of other ranks: a dense one by its decomposition, a TT one afresh."""
    layers = dict(model.named_modules())
    old = layers[layer]
    if isinstance(old, TTConv3d | nn.Conv3d):
        sizes = (old.in_channels, *old.kernel_size, old.out_channels)
        what = f"model.ranks: {layer}"
        check, size = (check_ranks, parameters) if isinstance(old, TTConv3d) else (check_layer_ranks, layer_parameters)
        check(ranks, sizes, what)
        count = size(sizes, ranks)
        if count > math.prod(sizes):
            raise ValueError(
                f"{what}: a tensor train of ranks {list(ranks)} has {count} parameters, more than the "
                f"{math.prod(sizes)} of the dense layer: lower them"
            )
    if isinstance(old, TTConv3d):
        (d, _), (h, _), (w, _) = old.padding
        even = all(before == after for before, after in old.padding)
        new = TTConv3d(
            old.in_channels,
            old.out_channels,
            old.kernel_size,
            ranks,
            old.stride,
            (d, h, w) if even else "same",
            bias=old.bias is not None,
            dilation=old.dilation,
        )
    elif isinstance(old, nn.Conv3d):
        new = TTConv3d.from_dense(old, ranks=ranks)
    else:
        raise ValueError(f"model.ranks: {layer} is a {type(old).__name__}, ranks are for TTConv3d and Conv3d")
    replace_layer(model, layer, new)


def replace_layer(model: nn.Module, layer: str, new: nn.Module) -> None:
    """Put a layer in the place of the one of that name."""
    parent, _, child = layer.rpartition(".")
    setattr(model.get_submodule(parent), child, new)
