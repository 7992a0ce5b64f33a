"""Several results of one call, as a split's or a maximum's with its places: other calls take one each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from qtt_hw.lower.lowering import Lowering
from qtt_hw.lower.value import Value

__all__ = ["Several"]


class Several(ABC):
    """What is pending of a call with several results."""

    #: By attribute, the number of the result that it is.
    attributes: ClassVar[Mapping[str, int]] = {}

    @abstractmethod
    def settled(self, lowering: Lowering) -> Value:
        """None: raises Unsupported, as they are several."""

    @abstractmethod
    def one(self, lowering: Lowering, name: str, number: int, forked: bool) -> Value:
        """The result of that number, for a call of that name; `forked` where they have other readers."""

    @abstractmethod
    def __len__(self) -> int:
        """How many they are."""
