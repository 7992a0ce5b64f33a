"""Networks before training: for checking what can be lowered, and for planning what a trained one will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from qtt_hw.data import Splits
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, Graph, InputSpec
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.alternatives import path_alternatives
from qtt_hw.lower.freeze import freeze
from qtt_hw.near import no_network
from qtt_hw.nn import zoo
from qtt_hw.options import NETWORKS
from qtt_hw.training.compressed import layers_of, network_of, under_compression
from qtt_hw.training.config import Config, load_config
from qtt_hw.training.network import build_model, make_network
from qtt_hw.training.quantized import prepare_model
from qtt_hw.training.sections import CompressSection, ModelConfig, QuantSection

__all__ = ["Untrained", "network", "untrained", "untrained_graph"]

#: Input shape (C, D, H, W) of a network.
ChannelsFirst = tuple[int, int, int, int]
#: The widest offsets seen in trained networks have 25 bits beside their sign.
OFFSET = (1 << 25) - 1
#: Options of generated solids, with which a configuration needs no data to be planned.
SOLIDS = {"edge", "classes", "per_class"}


def network(source: str, input_shape: Sequence[int] | None = None) -> tuple[nn.Module, tuple[int, ...]]:
    """(the network, its input shape) of `file.py:Net`, a zoo name or a training configuration.

    The shape is (C, D, H, W); (C,) where it is given so, of a network that takes vectors.
    """
    if source.endswith(".toml"):
        config = load_config(source)
    else:
        config = Config(model=ModelConfig(name=source))
    name = config.model.name
    if ".py:" not in name and name not in NETWORKS:
        raise no_network(name, NETWORKS, "a .toml")
    if input_shape is None:
        if ".py:" in name:
            raise ValueError(f"{source}: the input shape C,D,H,W that the network takes is needed")
        input_shape = config.model.args.get("input_shape", zoo.input_shape(name))
    vector = len(input_shape) == 1
    shape = _shape((*input_shape, 1, 1, 1) if vector else input_shape)
    made = make_network(config, shape, config.model.args.get("classes", 10), seed=0)
    return made, shape[:1] if vector else shape


def _shape(values: Sequence[int]) -> ChannelsFirst:
    if len(values) != 4 or min(values) < 1:
        raise ValueError(f"an input shape has four numbers above 0, C, D, H and W; got {list(values)}")
    c, d, h, w = values
    return c, d, h, w


@dataclass(frozen=True)
class Untrained:
    """A network before training.

    Attributes
    ----------
    graph : Graph
        Its scales and offsets are arbitrary. Cycles and multipliers do not depend on them; block RAMs and LUTs
        do a little, through the widths of sums and offsets, for which a trained network's are assumed.
    alternatives : dict
        By layer and path, the stages of every path of contraction that a layer is free to take, with its modes in
        every order worth taking where that is free too; a layer whose path the configuration names is not free.
    """

    graph: Graph
    alternatives: dict[str, dict[str, tuple[Contraction, ...]]]


def untrained(
    config: Config | str | Path,
    data: Splits | str | Path | None = None,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
) -> Untrained:
    """What can be planned before training: the integer graph of a configuration's untrained network, and its paths.

    With a `compress` section that gives the ranks of its layers, it is the compressed network's; where all ranks are
    selected in training, the dense one's.

    Parameters
    ----------
    config : Config or path of a TOML file
    data : Splits or source, optional
        Gives the input's shape and format, and the classes. Generated solids when the configuration has options for
        them and nothing else is given.
    input_shape : (C, D, H, W), optional
        In place of data, with `classes`: of the network's input, after preprocessing. A zoo network that is named for
        a data set has both of its own.
    classes : int, optional
    """
    if not isinstance(config, Config):
        config = load_config(config)
    if data is None and config.model.name in NETWORKS:
        classes = classes or config.model.args.get("classes", zoo.classes(config.model.name))
        if classes is not None and input_shape is None and zoo.classes(config.model.name) is not None:
            input_shape = config.model.args.get("input_shape", zoo.input_shape(config.model.name))
    if data is None and input_shape is None and config.data.options and set(config.data.options) <= SOLIDS:
        data = "solids"
    labels: tuple[str, ...]
    if data is not None:
        splits = data if isinstance(data, Splits) else config.data.load(data)
        spec, labels = config.data.input_spec(splits), splits.labels
    elif input_shape is not None and classes is not None:
        spec = _spec(config, _shape(input_shape))
        labels = tuple(str(index) for index in range(classes))
    else:
        where = config.source if config.source is not None and config.source.is_file() else config.model.name
        raise ValueError(f"{where}: before training, planning needs data, or an input shape C,D,H,W and classes")
    model = _at_given_ranks(build_model(config, spec, len(labels), config.train.seed).eval(), config.compress)
    how = config.quant or QuantSection()
    graph = untrained_graph(model, spec, labels, how, config.name)
    found = path_alternatives(model, graph, how.quantisation, any_order=config.model.mode_order == "free")
    return Untrained(graph, {layer: paths for layer, paths in found.items() if layer not in config.model.paths})


def _at_given_ranks(model: nn.Module, how: CompressSection | None) -> nn.Module:
    if how is None or not (how.ranks or how.tucker):
        return model
    selected = [name for name in layers_of(model, how) if name not in how.ranks and name not in how.tucker]
    if selected:
        raise ValueError(f"compress: ranks of {selected[0]} are selected in training; to plan before it, give them too")
    return network_of(under_compression(model, how)).eval()


def untrained_graph(model: nn.Module, spec: InputSpec, labels: Sequence[str], how: QuantSection, name: str) -> Graph:
    """The integer graph of a float network whose scales nothing was calibrated for: to be planned, not run."""
    prepared = prepare_model(model, spec, how)
    # The scales that quantisers begin with do.
    prepared.phase[0] = 1
    return _with_wide_offsets(freeze(prepared, spec, tuple(labels), name))


def _with_wide_offsets(graph: Graph) -> Graph:
    """Every offset as wide as trained ones get: those of an untrained batch norm are zero."""
    nodes = []
    for node in graph.nodes:
        if isinstance(node, Contraction) and node.requant.offset is not None:
            offset = tuple(OFFSET if i % 2 else -OFFSET for i in range(len(node.requant.offset)))
            node = replace(node, requant=replace(node.requant, offset=offset))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _spec(config: Config, shape: ChannelsFirst) -> InputSpec:
    """Inputs as the network takes them; voxels unless the configuration says otherwise."""
    c, d, h, w = shape
    section: dict[str, Any] = {
        "voxels": (1, False, 0),
        "auto": (1, False, 0),
        "signed-voxels": (2, True, 0),
        "images": (8, True, 7),
    }
    kind = config.data.format
    bits, signed, frac = section.get(kind, (config.data.bits, config.data.signed, config.data.frac))
    return input_spec((d, h, w, c), format=Format(bits, signed, frac))
