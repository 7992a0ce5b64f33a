"""A graph whose branches do not nest, as pieces: each stage by itself, between streams whose widths are settled.

Words have powers of two of values, of which any two are compatible, so that what a stage's words are does not depend on
its neighbours. A join takes as many values as all its streams can have, since it gathers narrower words but does not
split wider ones; so these have no more.
"""

from __future__ import annotations

from collections.abc import Mapping

from qtt_hw.graph import INPUT, Graph
from rtl_gen.families import Family
from rtl_gen.kinds import kind_of
from rtl_gen.kinds.choices import JoinChoices, Lanes, divisors
from rtl_gen.plan.front import Items, Join, Piece, Slot
from rtl_gen.plan.nest import producer, stream_of

__all__ = ["pieces"]


def _powers(channels: int, most: int | None) -> Lanes:
    return frozenset(d for d in divisors(channels) if d & (d - 1) == 0 and (most is None or d <= most))


def pieces(graph: Graph, slots: Mapping[str, Slot], family: Family) -> Items:
    """The slots and joins of a graph in its order, with the widths of the words around them."""
    joins: dict[str, JoinChoices] = {}
    for node in graph.nodes:
        if len(node.inputs) > 1:
            inputs, streams = graph.inputs_of(node), [stream_of(graph, name) for name in node.inputs]
            joins[node.name] = kind_of(node).choices(node, inputs, streams, family)
    most: dict[str, int] = {}  # by stream, the values of a word that the joins which read it take
    for node in reversed(graph.nodes):
        if node.name not in joins:
            continue
        lanes = max(_powers(max(joins[node.name].choices), most.get(node.name)))
        for name in node.inputs:
            stream = producer(graph, name)
            most[stream] = min(lanes, most.get(stream, lanes))
        most[node.name] = min(lanes, most.get(node.name, lanes))
    widths = {
        name: _powers(graph.edges[name].channels, most.get(name))
        for name in (INPUT, *(node.name for node in graph.nodes if not node.relabels))
    }
    found: dict[str, Piece] = {}
    for node in graph.nodes:
        if node.relabels:
            continue
        name = node.name if node.name in slots or node.name in joins else node.source
        item = slots[name] if name in slots else Join(name, joins[name], ())
        read = tuple(widths[producer(graph, one)] for one in node.inputs)
        if name in found:  # a later stage of the same layer: what is read is the first one's
            read = found[name].read
        found[name] = Piece(item, widths[node.name], read, widths[INPUT])
    return tuple(found.values())
