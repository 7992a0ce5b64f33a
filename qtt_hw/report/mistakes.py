"""The samples that are put into a wrong class, drawn: solids of voxels in 3D, clips as strips of frames, images.

Which of these a sample is follows from its own values: a volume of zeros and ones in one channel is a solid, any other
of several planes along D is a clip (or a stack of slices), of one plane an image. Vectors are not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtt_hw.errors import short
from qtt_hw.fixedpoint import IntArray
from qtt_hw.report.confusion import Outcome
from qtt_hw.report.look import BLUE, TEXT_GREY, figure, plain
from qtt_hw.report.png import data_uri
from qtt_hw.report.section import Chart, Grid, Markup, Part
from qtt_hw.report.voxels import mesh

__all__ = ["MOST", "chosen", "parts"]

#: Samples that are drawn, frames of a clip's strip, and values of a picture, beyond which it is drawn coarser.
MOST, FRAMES, PIXELS = 24, 6, 160
#: Of a solid seen askew: how far a plane stands aside from the one before it, and the colour of the farthest.
SLANT, TONE = 0.4, (150, 185, 230)
#: Characters of coordinates of all solids together, beyond which fewer are drawn in 3D.
MESH_BUDGET: Final = 1_200_000

_STYLE: Final = """<style>
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(var(--tile),1fr));gap:14px}
.mistakes figure{margin:0;min-width:0}
.mistakes img{width:100%;display:block;image-rendering:pixelated;border-radius:4px;background:rgba(128,128,128,.1)}
.mistakes figcaption{font-size:.8rem;line-height:1.35;margin-top:.3rem;overflow-wrap:anywhere}
.mistakes small{opacity:.7}
</style>"""


def chosen(found: Outcome, most: int = MOST) -> IntArray:
    """The indices of the mistakes that are shown: those with the greatest margin first."""
    wrong = np.flatnonzero(~found.right)
    return wrong[np.argsort(-found.margin[wrong], kind="stable")][:most]


def parts(found: Outcome, x: NDArray[np.uint8], numbers: Sequence[int]) -> list[Part]:
    """The pictures of the mistakes among samples [N, D, H, W, C], and a table of them.

    Parameters
    ----------
    found : Outcome
        Of the samples.
    x : uint8 array, [N, D, H, W, C]
    numbers : sequence of int, [N]
        Of the samples in their split.
    """
    shown = chosen(found)
    if not len(shown):
        return []
    rows = [
        (int(numbers[i]), found.labels[found.y[i]], found.labels[found.predicted[i]], round(float(found.margin[i]), 2))
        for i in shown
    ]
    table = Grid(
        "mistake-list",
        "The samples by number",
        ("sample", "class", "taken for", "margin"),
        rows,
        "The margin is by how much the wrong class's logit is above the true one's; by 0.7 is twice as likely.",
    )
    if x.shape[1:4] == (1, 1, 1):
        return [table]
    samples, solids = x[shown], _solid(x[shown])
    made: list[Part] = [_gallery(samples, rows, solids)]
    if solids and samples.any():
        made.insert(0, _in_3d(samples[..., 0], rows))
    return [*made, table]


def _solid(x: NDArray[np.uint8]) -> bool:
    return x.shape[1] > 1 and x.shape[4] == 1 and int(x.max()) <= 1


def _caption(row: tuple[int, str, str, float]) -> str:
    number, true, taken, margin = row
    return f"{number}: {short(true, 40)}, taken for {short(taken, 40)}, margin {margin:.2f}"


def _in_3d(volumes: NDArray[np.uint8], rows: Sequence[tuple[int, str, str, float]]) -> Chart:
    """One solid at a time, with a slider: a browser draws few scenes at once."""
    traces: list[dict[str, Any]] = []
    told, size = [], 0
    for volume, row in zip(volumes, rows, strict=True):
        if not volume.any():
            continue
        trace = mesh(volume, BLUE)
        size += sum(len(str(trace[axis])) for axis in "xyzijk")
        if traces and size > MESH_BUDGET:
            break
        traces.append(trace | {"visible": not traces})
        told.append(row)
    steps = [
        {
            "label": plain(_caption(row), 200),
            "method": "restyle",
            "args": [{"visible": [other == index for other in range(len(traces))]}],
        }
        for index, row in enumerate(told)
    ]
    slider = {
        "active": 0,
        "steps": steps,
        "pad": {"t": 8, "b": 8, "l": 6, "r": 6},
        "currentvalue": {"font": {"size": 13, "color": TEXT_GREY}, "xanchor": "left", "offset": 8},
        # Ticks have no names: the one that is chosen stands above.
        "ticklen": 0,
        "minorticklen": 0,
        "font": {"size": 1, "color": "rgba(0,0,0,0)"},
        "tickcolor": "rgba(0,0,0,0)",
        "bgcolor": "rgba(128,128,128,0.25)",
        "activebgcolor": BLUE,
        "bordercolor": "rgba(128,128,128,0.35)",
    }
    depth, height, width = volumes.shape[1:]
    hidden = {"visible": False}
    scene = {
        "xaxis": hidden | {"range": [0, depth]},
        "yaxis": hidden | {"range": [0, height]},
        "zaxis": hidden | {"range": [0, width]},
        "aspectmode": "data",
        "camera": {
            "eye": {"x": 1.35, "y": -1.5, "z": 0.85},
            "center": {"x": 0, "y": 0, "z": -0.05},
            "projection": {"type": "perspective"},
        },
        "dragmode": "orbit",
    }
    margin = {"l": 0, "r": 0, "t": 0, "b": 0}
    note = "Drag to turn it, and move the slider for the next."
    if len(traces) < sum(bool(volume.any()) for volume in volumes):
        note += f" The first {len(traces)} of {len(rows)}, which have many faces."
    return Chart("mistakes-3d", "In 3D", figure(traces, 460, scene=scene, sliders=[slider], margin=margin), note)


def _gallery(x: NDArray[np.uint8], rows: Sequence[tuple[int, str, str, float]], solids: bool) -> Markup:
    """A picture of each sample with what it is and what it was taken for."""
    clips = x.shape[1] > 1 and not solids
    tiles = []
    for sample, row in zip(x, rows, strict=True):
        number, true, taken, margin = row
        pixels = _seen(sample[..., 0]) if solids else _strip(sample)
        tiles.append(
            f'<figure><img src="{data_uri(pixels)}" alt="{escape(_caption(row))}"><figcaption>'
            f"{escape(short(true, 40))} &rarr; <b>{escape(short(taken, 40))}</b> "
            f"<small>{margin:.1f}, no. {number}</small></figcaption></figure>"
        )
    tile = 300 if clips else 92
    html = f'{_STYLE}<div class="mistakes" style="--tile:{tile}px">{"".join(tiles)}</div>'
    note = "The class, what it is taken for, and the margin; the greatest first."
    if solids:
        note += " What is nearer is darker; an empty tile is an empty volume."
    if clips:
        shown = min(FRAMES, x.shape[1])
        note += f" Of {x.shape[1]} frames {shown} are shown, the first on the left."
    return Markup("mistakes", "At a glance", html, note)


def _seen(volume: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A solid [D, H, W] as RGB and opacity, W upwards: planes along H behind each other, the farther the paler."""
    depth, planes, height = volume.shape
    shift = [round(SLANT * (planes - 1 - h)) for h in range(planes)]
    size = shift[0]
    pixels = np.zeros((height + size, depth + size, 4), np.uint8)
    for h in range(planes):  # from the farthest on, which stands highest and farthest to the right
        seen = volume[:, planes - 1 - h].T[::-1].astype(bool)
        left, top = shift[h], size - shift[h]
        near = h / max(planes - 1, 1)
        place = pixels[top : top + height, left : left + depth]
        place[seen] = (*(round(tone * (1 - 0.45 * near)) for tone in TONE), 255)
    return pixels


def _strip(sample: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image, or frames of a clip side by side, [D, H, W, C] to grey or RGB; large ones at every second pixel."""
    depth, height, width, channels = sample.shape
    if channels not in (1, 3):
        sample = sample.mean(axis=3, keepdims=True).astype(np.uint8)
    if sample.max() <= 1:
        sample = sample * 255
    step = -(-max(height, width) // PIXELS)
    frames = np.unique(np.linspace(0, depth - 1, min(FRAMES, depth)).round().astype(int))
    taken: Any = sample[frames, ::step, ::step]
    return np.ascontiguousarray(np.concatenate(list(taken), axis=1))
