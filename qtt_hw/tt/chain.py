"""The order of contraction of a tensor train over pairs of modes: what each step takes in, carries along and puts out.

Core i has the modes (r[i], c[i], s[i], r[i+1]). Contracted from either end, in groups of neighbouring cores, the state
between two steps is a vector over modes that always stand as (lead, taken, trail): forward, output modes already
made, the rank and the input modes of this step, input modes to come; backward likewise with the sides swapped. So
every step is one contraction over the middle of the channel index, and nothing is ever transposed. This module is the
only place that knows this order; layers, stages and planner all ask here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ChainStep", "ContractionPath", "best_path", "contraction_steps", "cost", "paths", "step_weight"]


@dataclass(frozen=True)
class ContractionPath:
    """Which cores are contracted together, in the order of contraction.

    Parameters
    ----------
    groups : tuple of (first, last)
        Inclusive ranges of cores, in order of contraction: ascending is forward, descending backward; they cover
        every core once.
    """

    groups: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if not self.groups:
            raise ValueError("a path names at least one core")
        ordered = self.groups if self.forward else self.groups[::-1]
        expected = 0
        for first, last in ordered:
            if first != expected or last < first:
                raise ValueError(f"path {self}: its groups must cover the cores from one end to the other, each once")
            expected = last + 1

    @property
    def forward(self) -> bool:
        """From core 0 on; a single group counts as forward."""
        return self.groups[0][0] == 0

    @property
    def cores(self) -> int:
        return max(last for _, last in self.groups) + 1

    def __str__(self) -> str:
        return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in self.groups)

    @classmethod
    def parse(cls, text: str, cores: int) -> ContractionPath:
        """A path written as its groups in order of contraction: "0 1-3", or backward "3 1-2 0".

        Raises
        ------
        ValueError
            When the text is not a path over that many cores.
        """
        groups = []
        for part in text.split():
            found = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
            if found is None:
                raise ValueError(f"path {text!r}: {part!r} is neither a core nor a range of cores such as 1-3")
            groups.append((int(found[1]), int(found[2] or found[1])))
        path = cls(tuple(groups))
        if path.cores != cores:
            raise ValueError(f"path {text!r} covers {path.cores} cores, the tensor train has {cores}")
        return path

    @classmethod
    def of(cls, path: ContractionPath | str | None, cores: int) -> ContractionPath | None:
        """A path of so many cores, or none; raises ValueError."""
        if isinstance(path, str):
            return cls.parse(path, cores)
        if path is not None and path.cores != cores:
            raise ValueError(f"path {path} covers {path.cores} cores, the tensor train has {cores}")
        return path

    @classmethod
    def core_by_core(cls, cores: int, forward: bool = True) -> ContractionPath:
        order = range(cores) if forward else reversed(range(cores))
        return cls(tuple((i, i) for i in order))


@dataclass(frozen=True)
class ChainStep:
    """One step: y[lead, made, trail] = sum over taken of W[made, taken] * x[lead, taken, trail].

    Parameters
    ----------
    first, last : int
        The cores contracted together.
    lead, trail : int
        Sizes of what is carried along.
    taken, made : tuple of int
        Modes summed over and modes put out, the most significant first; the rank stands first or last in them.
    forward : bool
    """

    first: int
    last: int
    lead: int
    taken: tuple[int, ...]
    made: tuple[int, ...]
    trail: int
    forward: bool

    @property
    def name(self) -> str:
        """ "core2", or "core1_3" for the group of cores 1 to 3."""
        return f"core{self.first}" + (f"_{self.last}" if self.last > self.first else "")

    @property
    def in_size(self) -> int:
        return math.prod(self.taken)

    @property
    def out_size(self) -> int:
        return math.prod(self.made)

    @property
    def multiplications(self) -> int:
        """Per position and tap."""
        return self.lead * self.in_size * self.out_size * self.trail


def contraction_steps(
    in_modes: Sequence[int],
    out_modes: Sequence[int],
    ranks: Sequence[int],
    path: ContractionPath | None = None,
    taps: int = 1,
) -> tuple[ChainStep, ...]:
    """The steps of y[s...] = sum over c... of W[c..., s...] * x[c...].

    Parameters
    ----------
    in_modes, out_modes : sequence of int, [cores]
        1 and 1 for a core that only has taps.
    ranks : sequence of int, [cores - 1]
        Inner TT-ranks.
    path : ContractionPath, optional
        Core by core from the end that needs fewer multiplications when left out.
    taps : int
        Of core 0, for that choice.
    """
    count = len(in_modes)
    full = (1, *ranks, 1)
    if path is None:
        both = [ContractionPath.core_by_core(count, forward) for forward in (True, False)]
        path = min(both, key=lambda p: cost(contraction_steps(in_modes, out_modes, ranks, p), taps))
    if path.cores != count:
        raise ValueError(f"path {path} covers {path.cores} cores, the tensor train has {count}")
    steps = []
    for first, last in path.groups:
        c, s = tuple(in_modes[first : last + 1]), tuple(out_modes[first : last + 1])
        if path.forward:
            lead, trail = math.prod(out_modes[:first]), math.prod(in_modes[last + 1 :])
            taken, made = (full[first], *c), (*s, full[last + 1])
        else:
            lead, trail = math.prod(in_modes[:first]), math.prod(out_modes[last + 1 :])
            taken, made = (*c, full[last + 1]), (full[first], *s)
        steps.append(ChainStep(first, last, lead, taken, made, trail, path.forward))
    return tuple(steps)


def cost(steps: Sequence[ChainStep], taps: int = 1) -> int:
    """Multiplications of the steps per position, where core 0 has `taps` taps and stride 1."""
    return sum(step.multiplications * (taps if step.first == 0 else 1) for step in steps)


def paths(cores: int) -> Iterator[ContractionPath]:
    """Every way to group neighbouring cores, from either end; all cores in one group is yielded once."""
    for cuts in range(1 << (cores - 1)):
        bounds = [0, *(i + 1 for i in range(cores - 1) if cuts >> i & 1), cores]
        groups = tuple((a, b - 1) for a, b in zip(bounds, bounds[1:], strict=False))
        yield ContractionPath(groups)
        if len(groups) > 1:
            yield ContractionPath(groups[::-1])


def best_path(
    in_modes: Sequence[int], out_modes: Sequence[int], ranks: Sequence[int], taps: int = 1
) -> ContractionPath:
    """The path of fewest multiplications per position at stride 1, memory unbounded; more groups win a tie."""

    def rank(path: ContractionPath) -> tuple[int, int]:
        return cost(contraction_steps(in_modes, out_modes, ranks, path), taps), -len(path.groups)

    return min(paths(len(in_modes)), key=rank)


def step_weight(cores: Sequence[Any], step: ChainStep) -> Any:
    """The weight [out, in, taps] of a step from the cores [r, c, s, r']; numpy or torch.

    A core 0 with taps holds them as its output mode, [1, 1, taps, r'].
    """
    merged = cores[step.first]
    for core in cores[step.first + 1 : step.last + 1]:
        r, c, s, _ = merged.shape
        _, d, t, q = core.shape
        # [r, c, s, x] [x, d, t, q] -> [r, c, d, s, t, q]
        product = merged.reshape(-1, core.shape[0]) @ core.reshape(core.shape[0], -1)
        merged = _transpose(product.reshape(r, c, s, d, t, q), (0, 1, 3, 2, 4, 5)).reshape(r, c * d, s * t, q)
    r, c, s, q = merged.shape
    made = step.out_size // (q if step.forward else r)
    spread = merged.reshape(r, c, s // made, made, q)
    order = (3, 4, 0, 1, 2) if step.forward else (0, 3, 1, 4, 2)
    return _transpose(spread, order).reshape(step.out_size, step.in_size, s // made)


def _transpose(x: Any, order: tuple[int, ...]) -> Any:
    return x.permute(order) if hasattr(x, "permute") else x.transpose(order)
