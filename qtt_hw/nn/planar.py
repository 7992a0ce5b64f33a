"""2D layers as 3D ones of depth 1, and vectors as volumes of one position: where these meet, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from qtt_hw.nn.tt_conv import TTConv2d

__all__ = [
    "FORMS",
    "as_volumes",
    "axes_read",
    "is_planar",
    "is_volumetric",
    "of_axes",
    "reading",
    "squeezing_depth",
    "volumetric",
    "without_depth",
]

Model = TypeVar("Model", bound=nn.Module)

#: Layers that run on [N, C, H, W] only.
PLANAR = (nn.Conv2d, TTConv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def is_planar(model: nn.Module) -> bool:
    """Whether a network has 2D layers, so that it runs on [N, C, H, W]."""
    return any(isinstance(module, PLANAR) for module in model.modules())


def is_volumetric(model: nn.Module) -> bool:
    """Whether a network has 3D layers, so that these run on [N, C, D, H, W]."""
    return any(isinstance(module, _VOLUMETRIC) for module in model.modules())


def axes_read(model: nn.Module, example: Tensor) -> tuple[int, ...]:
    """How many axes behind the batch a network may read its input with: of several, the first that it runs on.

    Its layers say so; where none does, as in a network of nothing but functions, inputs of depth 1 can be either, and
    volumes of one position vectors too.

    Parameters
    ----------
    model : nn.Module
    example : tensor, [N, C, D, H, W], [N, C, H, W] or [N, C]
    """
    for hook in model._forward_pre_hooks.values():
        if isinstance(hook, partial) and hook.func is _read:  # by `reading`, which knows
            return (int(hook.args[0]),)
    if example.ndim == 2:
        return (1,)
    if is_planar(model):
        return (3,)
    positions = as_volumes(example).shape[2:]
    if positions[0] > 1:
        return (4,)
    if is_volumetric(model):
        return (4, 3)  # the second where forward makes a depth of its own
    return (1, 4, 3) if example.ndim == 5 and set(positions) == {1} else (4, 3)


def as_volumes(x: Tensor) -> Tensor:
    """[N, C, H, W] as [N, C, 1, H, W], [N, C] as [N, C, 1, 1, 1]; anything else as it is."""
    if x.ndim == 2:
        return x[:, :, None, None, None]
    return x.unsqueeze(2) if x.ndim == 4 else x


def of_axes(x: Tensor, count: int) -> Tensor:
    """[N, C, D, H, W] with so many axes behind the batch: 3 for [N, C, H, W], 1 for [N, C], 4 as it is."""
    return x.flatten(1) if count == 1 else without_depth(x) if count == 3 else x


def without_depth(x: Tensor) -> Tensor:
    """[N, C, 1, H, W] as [N, C, H, W], which may also be given; raises ValueError for other depths."""
    if x.ndim == 4:
        return x
    if x.ndim != 5 or x.shape[2] != 1:
        raise ValueError(f"a network of 2D layers takes [N, C, H, W] or [N, C, 1, H, W], got shape {list(x.shape)}")
    return x.squeeze(2)


def _squeeze(model: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return (without_depth(arguments[0]), *arguments[1:])


def squeezing_depth(model: Model) -> Model:
    """The model, which from now on takes [N, C, 1, H, W] too if it has 2D layers."""
    if is_planar(model):
        model.register_forward_pre_hook(_squeeze)
    return model


def reading(model: Model, example: Tensor) -> Model:
    """The model, which from now on takes volumes [N, C, D, H, W] as it reads them: as maps or as vectors.

    Raises whatever it raises on the example where it runs on it in no form.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    example : tensor, [N, C, D, H, W]
    """
    failed = []
    for count in axes_read(model, example):
        try:
            with torch.no_grad():
                model(of_axes(example, count))
        except Exception as error:  # of a user's forward
            failed.append(error)
            continue
        if count != 4 and not is_planar(model):  # which does so already
            model.register_forward_pre_hook(partial(_read, count))
        return model
    raise failed[0 if is_volumetric(model) else -1]


def _read(count: int, model: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, *more = arguments
    return arguments if x.ndim == count + 1 else (of_axes(as_volumes(x), count), *more)


def volumetric(layer: nn.Module, kind: type[nn.Module] | None = None) -> nn.Module:
    """The 3D layer that computes on [N, C, 1, H, W] what a 2D layer computes on [N, C, H, W]; others as they are.

    A convolution's parameters are the 2D layer's own memory. Batch norm needs no other form.

    Parameters
    ----------
    layer : nn.Module
    kind : type, optional
        Of the layer, where a class derived from it computes the same; its own unless given. A derived class may
        compute anything, so no other is taken for its base.
    """
    form = FORMS.get(type(layer) if kind is None else kind)
    return layer if form is None else form[1](layer)


def _deep(depth: int, value: int | Sequence[int]) -> tuple[int, int, int]:
    """A 2D layer's one number or two, behind what stands for the depth axis."""
    h, w = (value, value) if isinstance(value, int) else value
    return depth, h, w


def _convolution(layer: nn.Conv2d) -> nn.Conv3d:
    conv = nn.Conv3d(
        layer.in_channels,
        layer.out_channels,
        _deep(1, layer.kernel_size),
        _deep(1, layer.stride),
        layer.padding if isinstance(layer.padding, str) else _deep(0, layer.padding),
        _deep(1, layer.dilation),
        layer.groups,
        layer.bias is not None,
        layer.padding_mode,
        device="meta",  # no memory, and no random numbers
    )
    conv.weight = nn.Parameter(layer.weight.detach().unsqueeze(2))
    conv.bias = layer.bias
    return conv


def _max_pool(layer: nn.MaxPool2d) -> nn.MaxPool3d:
    return nn.MaxPool3d(
        _deep(1, layer.kernel_size),
        _deep(1, layer.stride),
        _deep(0, layer.padding),
        _deep(1, layer.dilation),
        layer.return_indices,
        layer.ceil_mode,
    )


def _average_pool(layer: nn.AvgPool2d) -> nn.AvgPool3d:
    return nn.AvgPool3d(
        _deep(1, layer.kernel_size),
        _deep(1, layer.stride),
        _deep(0, layer.padding),
        layer.ceil_mode,
        layer.count_include_pad,
        layer.divisor_override,
    )


def _adaptive_average(layer: nn.AdaptiveAvgPool2d) -> nn.AdaptiveAvgPool3d:
    return nn.AdaptiveAvgPool3d(_deep(1, layer.output_size))  # type: ignore[arg-type]


def _adaptive_max(layer: nn.AdaptiveMaxPool2d) -> nn.AdaptiveMaxPool3d:
    return nn.AdaptiveMaxPool3d(_deep(1, layer.output_size), layer.return_indices)  # type: ignore[arg-type]


#: By 2D layer, the 3D one that it is, and how that is made.
FORMS: dict[type[nn.Module], tuple[type[nn.Module], Callable[[Any], nn.Module]]] = {
    nn.Conv2d: (nn.Conv3d, _convolution),
    nn.MaxPool2d: (nn.MaxPool3d, _max_pool),
    nn.AvgPool2d: (nn.AvgPool3d, _average_pool),
    nn.AdaptiveAvgPool2d: (nn.AdaptiveAvgPool3d, _adaptive_average),
    nn.AdaptiveMaxPool2d: (nn.AdaptiveMaxPool3d, _adaptive_max),
}

#: Layers that run on [N, C, D, H, W] only.
_VOLUMETRIC = (*(form for form, _ in FORMS.values()), nn.BatchNorm3d)
