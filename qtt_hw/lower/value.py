"""What lowering knows of a result in a network's forward, and its refusal of a layer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from qtt_hw.lower.axes import Axes
from qtt_hw.lower.draft import NormDraft, ScaledDraft
from qtt_hw.window import Shape

__all__ = ["Pending", "Unsupported", "Value"]


class Unsupported(ValueError):
    """A layer that cannot be lowered; the text says why, and what would compute the same or be another network."""


class Pending(Protocol):
    """What a call does and has no stage yet: what reads it may take it in, and does it in passing."""

    def settled(self, lowering: Any) -> Value:
        """The result of a stage of its own."""


@dataclass(frozen=True)
class Value:
    """A result of the network's forward: the stream that carries it, how it is read, and what may still join it.

    Parameters
    ----------
    edge : str
        Name of the stage that puts it out, or of the network's input.
    shape : tuple of int
        (D, H, W, C) of the stream.
    nonnegative : bool
        A ReLU changes nothing.
    axes : Axes
        How PyTorch's axes lie in the stream: what a view, a permutation or a flatten has made of them.
    norm_target : NormDraft, optional
        Whose requantiser a batch norm joins.
    relu_target : ScaledDraft, optional
        Whose clamp a ReLU joins; between the two stands only what commutes with a ReLU.
    forked : bool
        Something between the targets and here, or this itself, has several readers, so that none of them may change it.
    blind : bool
        Behind a layer that could not be lowered: what precedes is unknown and is not held against the rest.
    pending : Pending, optional
        What has yet to be done; `edge` puts out what it is done to.
    """

    edge: str
    shape: Shape
    nonnegative: bool = False
    axes: Axes = field(default=None, kw_only=True)  # type: ignore[assignment]
    norm_target: NormDraft | None = None
    relu_target: ScaledDraft | None = None
    forked: bool = False
    blind: bool = False
    pending: Pending | None = None

    def __post_init__(self) -> None:
        if self.axes is None:
            object.__setattr__(self, "axes", Axes.of(self.shape))

    @property
    def flat(self) -> bool:
        """Whether it has one axis behind the batch."""
        return len(self.axes) == 1

    @property
    def volume(self) -> bool:
        """Whether its axes are C, D, H, W, or C, H, W."""
        return self.axes.is_volume(self.shape)

    def fork(self) -> Value:
        """The same value, marked as one that several calls read."""
        return replace(self, forked=True)

    def unknown(self, shape: tuple[int, ...] | None) -> Value:
        """What to go on with behind a layer that could not be lowered: [N, C], with or without positions, if known."""
        if shape is None or len(shape) not in (2, 4, 5):
            return Value(self.edge, self.shape, axes=self.axes, blind=True)
        d, h, w = (1,) * (5 - len(shape)) + shape[2:]
        return Value(self.edge, (d, h, w, shape[1]), axes=Axes.of((d, h, w, shape[1]), len(shape) - 1), blind=True)
