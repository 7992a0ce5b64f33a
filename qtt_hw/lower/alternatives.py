"""The stages that a tensor-train layer would have along every path of contraction: what a planner chooses among."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from qtt_hw.errors import named
from qtt_hw.fixedpoint import Format, Requantizer, accumulator_range, as_integers, bits_for_range
from qtt_hw.graph import Contraction, Graph
from qtt_hw.nn import QTTConv3d, TTLinear
from qtt_hw.quant import QuantConfig, weight_quantizer
from qtt_hw.tt.chain import ContractionPath, paths
from qtt_hw.tt.orders import Ordered, orders
from qtt_hw.window import Window

__all__ = ["path_alternatives"]


def path_alternatives(
    model: nn.Module, graph: Graph, config: QuantConfig, any_order: bool = False
) -> dict[str, dict[str, tuple[Contraction, ...]]]:
    """By layer and by the path's text, the contractions of every way to group its cores, from both ends.

    Their weights are the layer's own, quantised to the layer's bits; cycles and multipliers do not depend on
    their scales, which are arbitrary.

    Parameters
    ----------
    model : nn.Module
        The float network that the graph was made of, untrained or not.
    graph : Graph
    config : QuantConfig
        A QTTConv3d has no path where its `tt_form` is merged.
    any_order : bool
        Each path also with the layer's modes in the other orders that `qtt_hw.tt.orders` finds worth it; the text
        then names them.
    """
    free = (TTLinear,) if config.tt_form == "merged" else (QTTConv3d, TTLinear)
    layers = dict(model.named_modules())
    by_layer: dict[str, dict[str, tuple[Contraction, ...]]] = {}
    for name in dict.fromkeys(node.source for node in graph.nodes):
        layer = layers.get(name)
        if isinstance(layer, free):
            stages = [node for node in graph.nodes if node.source == name and isinstance(node, Contraction)]
            x = graph.input_of(stages[0]).format
            by_layer[name] = {
                str(ordered): tuple(_stages(turned, path, stages, x, config))
                for path in paths(layer.train_length)
                for ordered, turned in _orders(layer, path, any_order)
            }
    return by_layer


def _orders(
    layer: QTTConv3d | TTLinear, path: ContractionPath, any_order: bool
) -> Iterator[tuple[Ordered, QTTConv3d | TTLinear]]:
    """The layer as it is, or in each order worth it that its ranks allow."""
    taps = layer.taps if isinstance(layer, QTTConv3d) else 0
    given = layer.in_modes, layer.out_modes
    for order in orders(*given, layer.ranks, path, taps) if any_order else (given,):
        if order == given:
            yield Ordered(str(path)), layer
            continue
        try:
            turned = layer.reordered(*order)
        except ValueError:  # a rank above its bound
            continue
        yield Ordered(str(path), *order), turned


def _stages(
    layer: QTTConv3d | TTLinear, path: ContractionPath, own: Sequence[Contraction], x: Format, config: QuantConfig
) -> Iterator[Contraction]:
    """A chain of contractions that begins where the layer's own one does and ends with its requantiser."""
    before, last, source = layer.path, own[-1], own[0].inputs
    layer.set_path(path)
    try:
        steps = layer.steps()
        weights = [layer.step_weight(step).detach() for step in steps]
    finally:
        layer.set_path(before)
    for step, weight in zip(steps, weights, strict=True):
        quantizer = weight_quantizer(config, last.weight_format.bits, weight.shape)
        with named(f"{last.source}.{step.name}"):
            quantizer.calibrate(weight)
            kernel = quantizer.integers(weight).reshape(*weight.shape, *(1,) * (5 - weight.ndim))
        integers = as_integers(kernel.numpy().transpose(0, 2, 3, 4, 1))
        window = Window()
        if isinstance(layer, QTTConv3d) and step.first == 0:
            window = layer.window
        requant = last.requant
        if step is not steps[-1]:
            out = Format(config.for_layer(last.source).intermediate_bits, True, 0)
            requant = Requantizer(out, max(bits_for_range(*accumulator_range(integers, x)) - out.bits, 0))
        node = Contraction(
            f"{last.source}.{step.name}",
            source,
            last.source,
            window,
            integers,
            quantizer.format_of(weight),
            requant,
            step.lead,
            step.trail,
        )
        x, source = requant.out, (node.name,)
        yield node
