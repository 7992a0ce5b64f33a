"""Places of boxes and of the lines between them: layers from top to bottom, few crossings, straight long lines.

The usual way for graphs without cycles: a layer for each box, by the longest way to it; a place of its own for a line
in every layer that it passes; orders within layers by the means of their neighbours; then the places nearest to these
means that keep the order and a gap.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Layout", "layered"]

#: Rounds in which orders, and places, follow their neighbours.
ROUNDS = 12
#: How much a line between two layers wants to be straight: between boxes, at one, and where it only passes.
STRAIGHT = (1.0, 3.0, 9.0)
#: How much boxes of the longest way through all layers want to stand below each other.
MAIN = 1e6
#: Rounds in which places settle between those above and below.
SETTLING = 60
#: Of a line's own place in a layer that it passes.
PASSING = 12.0

Key = Hashable
Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Centres of boxes, and of each line the points that it goes through, its ends at the boxes included."""

    places: dict[Key, Point]
    lines: list[list[Point]]
    width: float
    height: float


def layered(
    boxes: Mapping[Key, tuple[float, float]],
    edges: Sequence[tuple[Key, Key]],
    *,
    gap: tuple[float, float] = (28.0, 34.0),
) -> Layout:
    """The layout of boxes of a width and a height, given so that every line leads to a later one.

    Parameters
    ----------
    boxes : mapping of key to (width, height)
    edges : sequence of (key, key)
    gap : (float, float)
        Between boxes of a layer, and between layers.
    """
    layer_of: dict[Key, int] = {}
    for key in boxes:
        layer_of[key] = 1 + max((layer_of[a] for a, b in edges if b == key), default=-1)
    sizes: dict[Key, tuple[float, float]] = dict(boxes)
    layers: list[list[Key]] = [[] for _ in range(max(layer_of.values()) + 1)]
    for key, layer in layer_of.items():
        layers[layer].append(key)
    chains: list[list[Key]] = []
    for number, (a, b) in enumerate(edges):
        chain: list[Key] = [a]
        for layer in range(layer_of[a] + 1, layer_of[b]):
            passing = ("line", number, layer)
            sizes[passing] = (PASSING, 0.0)
            layers[layer].append(passing)
            chain.append(passing)
        chains.append([*chain, b])
    links = [
        (one, other, STRAIGHT[(one not in boxes) + (other not in boxes)])
        for chain in chains
        for one, other in zip(chain, chain[1:], strict=False)
    ]
    above: dict[Key, list[tuple[Key, float]]] = {key: [] for key in sizes}
    below: dict[Key, list[tuple[Key, float]]] = {key: [] for key in sizes}
    for one, other, weight in links:
        below[one].append((other, weight))
        above[other].append((one, weight))
    _order(layers, above, below)
    x = _across(layers, sizes, above, below, _longest(edges, layer_of), gap[0])
    heights = [max((sizes[key][1] for key in layer), default=0.0) for layer in layers]
    y: dict[Key, float] = {}
    top = 0.0
    for keys, height in zip(layers, heights, strict=True):
        y.update((key, top + height / 2) for key in keys)
        top += height + gap[1]
    left = min(x[key] - sizes[key][0] / 2 for key in sizes)
    right = max(x[key] + sizes[key][0] / 2 for key in sizes)
    lines = []
    for chain in chains:
        points = [(x[chain[0]] - left, y[chain[0]] + sizes[chain[0]][1] / 2)]
        for key in chain[1:-1]:  # straight down beside the boxes of a layer
            half = heights[key[2]] / 2  # type: ignore[index]
            points += [(x[key] - left, y[key] - half), (x[key] - left, y[key] + half)]
        lines.append([*points, (x[chain[-1]] - left, y[chain[-1]] - sizes[chain[-1]][1] / 2)])
    places = {key: (x[key] - left, y[key]) for key in boxes}
    return Layout(places, lines, right - left, top - gap[1])


def _longest(edges: Sequence[tuple[Key, Key]], layer_of: Mapping[Key, int]) -> set[Key]:
    """The boxes of a longest way: one of each layer, from the last one back."""
    here = max(layer_of, key=lambda key: layer_of[key])
    found = {here}
    while layer_of[here]:
        here = next(a for a, b in edges if b == here and layer_of[a] == layer_of[here] - 1)
        found.add(here)
    return found


def _crossings(layers: Sequence[Sequence[Key]], below: Mapping[Key, Sequence[tuple[Key, float]]]) -> int:
    count = 0
    for upper, lower in zip(layers, layers[1:], strict=False):
        place = {key: number for number, key in enumerate(lower)}
        ends = [sorted(place[key] for key, _ in below[one]) for one in upper]
        for number, one in enumerate(ends):
            for other in ends[number + 1 :]:
                count += sum(a > b for a in one for b in other)
    return count


def _order(
    layers: list[list[Key]],
    above: Mapping[Key, Sequence[tuple[Key, float]]],
    below: Mapping[Key, Sequence[tuple[Key, float]]],
) -> None:
    """Sort each layer by the mean place of what stands above, then below, and so on; the best order is kept."""
    best, least = [list(layer) for layer in layers], _crossings(layers, below)
    for turn in range(ROUNDS):
        if not least:
            break
        down = turn % 2 == 0
        neighbours, numbers = (above, range(1, len(layers))) if down else (below, range(len(layers) - 2, -1, -1))
        for number in numbers:
            beside = layers[number - 1 if down else number + 1]
            place = {key: k for k, key in enumerate(beside)}
            own = {key: float(k) for k, key in enumerate(layers[number])}
            means = {
                key: sum(place[other] for other, _ in neighbours[key]) / len(neighbours[key])
                if neighbours[key]
                else own[key]
                for key in layers[number]
            }
            layers[number].sort(key=lambda key: means[key])
        crossings = _crossings(layers, below)
        if crossings < least:
            best, least = [list(layer) for layer in layers], crossings
    layers[:] = best


def _across(
    layers: Sequence[Sequence[Key]],
    sizes: Mapping[Key, tuple[float, float]],
    above: Mapping[Key, Sequence[tuple[Key, float]]],
    below: Mapping[Key, Sequence[tuple[Key, float]]],
    main: set[Key],
    gap: float,
) -> dict[Key, float]:
    """The place of each box from left to right: near its neighbours', in order, and apart."""
    x: dict[Key, float] = {}
    for layer in layers:
        x.update(zip(layer, _apart([0.0] * len(layer), [1.0] * len(layer), layer, sizes, gap), strict=True))
    for turn in range(ROUNDS + SETTLING):
        last = turn >= ROUNDS
        for layer in layers if turn % 2 == 0 else reversed(layers):
            wanted, weights = [], []
            for key in layer:
                sides = [*above[key], *below[key]] if last else above[key] if turn % 2 == 0 else below[key]
                weight = sum(w for _, w in sides)
                mean = sum(x[other] * w for other, w in sides) / weight if sides else x[key]
                wanted.append(0.0 if key in main else mean)
                weights.append(MAIN if key in main else weight or 0.1)
            x.update(zip(layer, _apart(wanted, weights, layer, sizes, gap), strict=True))
    return x


def _apart(
    wanted: Sequence[float],
    weights: Sequence[float],
    layer: Sequence[Key],
    sizes: Mapping[Key, tuple[float, float]],
    gap: float,
) -> list[float]:
    """The places nearest to those wanted, in squares, that keep the order and the gaps: by pooling neighbours."""
    offsets = [0.0]
    for one, other in zip(layer, layer[1:], strict=False):
        offsets.append(offsets[-1] + (sizes[one][0] + sizes[other][0]) / 2 + gap)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for place, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, members = place - offset, weight, 1
        while pools and pools[-1][0] > mean:
            before, heavy, many = pools.pop()
            mean = (before * heavy + mean * total) / (heavy + total)
            total, members = total + heavy, members + many
        pools.append((mean, total, members))
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
