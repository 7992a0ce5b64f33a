"""A network with fewer channels in every layer, where its own constructor does not offer that."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

__all__ = ["thinned"]


def thinned(model: nn.Module, divisor: int) -> nn.Module:
    """The same network with every layer's channels divided, rounded up; in place.

    Each weight keeps its first part, and a grouped convolution the channels of a group where that is possible. What
    the first layer reads and the last one makes keeps all channels.

    Parameters
    ----------
    model : nn.Module
        Whose forward passes reckon with no numbers of channels.
    divisor : int
        Of the channels that branches join, which all are multiples of it.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _ConvNd | nn.Linear)]
    for layer in layers:
        first, last = layer is layers[0], layer is layers[-1]
        if isinstance(layer, nn.Linear):
            made = layer.out_features if last else -(-layer.out_features // divisor)
            layer.in_features, layer.out_features = -(-layer.in_features // divisor), made
            layer.weight = nn.Parameter(layer.weight.detach()[:made, : layer.in_features].clone())
        else:
            made = layer.out_channels if last else -(-layer.out_channels // divisor)
            taken = layer.in_channels if first else -(-layer.in_channels // divisor)
            layer.groups = taken if layer.groups == layer.in_channels else max(1, layer.groups // divisor)
            layer.in_channels, layer.out_channels = taken, made
            layer.weight = nn.Parameter(layer.weight.detach()[:made, : taken // layer.groups].clone())
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias.detach()[:made].clone())
    for norm in model.modules():
        if isinstance(norm, _BatchNorm):
            norm.num_features = count = -(-norm.num_features // divisor)
            norm.weight, norm.bias = (nn.Parameter(each.detach()[:count].clone()) for each in (norm.weight, norm.bias))
            norm.running_mean, norm.running_var = torch.zeros(count), torch.ones(count)
    return model
