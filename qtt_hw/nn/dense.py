"""Which dense layers a decomposed layer can be made from."""

from __future__ import annotations

from torch import nn

__all__ = ["require_dense"]

#: What stands for each kind of dense layer.
_DECOMPOSED = {nn.Linear: "TTLinear", nn.Conv2d: "TTConv2d", nn.Conv3d: "TTConv3d"}


def require_dense(layer: object, made: str, *kinds: type[nn.Module]) -> None:
    """Raise ValueError unless a layer is of one of the kinds and, as a convolution, a plain one.

    Parameters
    ----------
    layer : object
        What was given.
    made : str
        The class that is to be made from it, for the message.
    kinds : module classes
        Of `nn.Linear`, `nn.Conv2d` and `nn.Conv3d`.
    """
    wanted = " or a ".join(kind.__name__ for kind in kinds)
    if not isinstance(layer, kinds):
        other = next((name for kind, name in _DECOMPOSED.items() if isinstance(layer, kind)), None)
        hint = f"; a {other} is made from that" if other else ""
        raise ValueError(f"a {made} is made from a {wanted}, got a {type(layer).__name__}{hint}")
    if isinstance(layer, nn.Linear):
        return
    assert isinstance(layer, nn.Conv2d | nn.Conv3d)
    if layer.groups != 1 or set(layer.dilation) != {1} or layer.padding_mode != "zeros":
        raise ValueError(f"only a {wanted} with groups=1, dilation=1 and padding_mode='zeros' becomes a {made}")
