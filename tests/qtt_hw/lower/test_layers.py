"""The list of supported layers is that of the lowerings, and every refusal says what its substitute is."""

import re
from pathlib import Path

from torch import nn

from qtt_hw.lower import layers, walk
from qtt_hw.lower.kinds import KINDS, dense, pool
from qtt_hw.lower.layers import TYPES, is_layer, layer_type, otherwise
from qtt_hw.nn.planar import FORMS


def test_every_supported_layer_has_a_lowering_and_no_other() -> None:
    assert {layer for kind in KINDS for layer in kind.layers} | set(FORMS) == TYPES
    assert sum(len(kind.layers) for kind in KINDS) + len(FORMS) == len(TYPES), "no layer has two"
    assert all(issubclass(kind, nn.Module) for kind in TYPES)


def test_containers_are_entered_and_layers_are_not() -> None:
    assert not is_layer(nn.Sequential()) and is_layer(nn.LayerNorm(2)) and is_layer(nn.ReLU())
    assert layer_type(nn.ReLU()) is nn.ReLU and layer_type(nn.LayerNorm(2)) is None


def test_no_refusal_offers_another_network_as_if_it_were_the_same() -> None:
    """What follows "use" computes the same."""
    same = {"use torch.flatten(x, 1)"}  # to flatten a map
    for module in (layers, dense, pool, walk):
        text = Path(module.__file__).read_text()
        assert set(re.findall(r"\buse [\w.(), ]+\)", text)) <= same, module.__name__
    assert otherwise(nn.LPPool2d(2, 2)).startswith("an average pool in its place would be another network")
    assert otherwise(nn.Conv1d(1, 1, 1)) == "its 2D form on inputs [N, C, 1, W] computes the same"
