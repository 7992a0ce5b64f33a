"""What block RAMs hold: in a netlist's cells, and in the configuration that the placer writes.

numpy is imported where it is used: who asks for the names of devices, as a shell that completes a command, does not
wait for it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    #: Bits of a block RAM in an order of the family's own, or by its port, [rows, width].
    Bits = NDArray[np.uint8]

__all__ = ["BlockContents", "Ecp5Contents", "Ice40Contents"]


class BlockContents(ABC):
    """The contents of a family's block RAM, in the forms that they have on the way to a bitstream.

    Attributes
    ----------
    section : pattern
        A block RAM in the placer's configuration: a line that names it, in group 1, and its lines, in group 2.
    """

    section: ClassVar[re.Pattern[str]]

    @abstractmethod
    def widths(self, cell: Mapping[str, Any]) -> Iterable[int]:
        """Those of a netlist's cell's ports."""

    @abstractmethod
    def of_cell(self, cell: Mapping[str, Any]) -> Bits:
        """The bits of a netlist's cell."""

    @abstractmethod
    def to_cell(self, cell: dict[str, Any], bits: Bits) -> None:
        """Put bits into a netlist's cell."""

    @abstractmethod
    def by_port(self, bits: Bits, width: int) -> Bits:
        """A block RAM's bits, [rows, width], as a port of a width sees them."""

    @abstractmethod
    def of_port(self, rows: Bits, width: int) -> Bits:
        """The other way round."""

    @abstractmethod
    def of_words(self, words: Sequence[str]) -> Bits:
        """Bits of the words in a section's lines; none where they are not a block RAM's."""

    @abstractmethod
    def lines(self, bits: Bits) -> str:
        """The lines of a section."""


@dataclass(frozen=True)
class Ecp5Contents(BlockContents):
    """DP16KD: 2048 bytes of 9 bits, of which a port narrower than a byte leaves the last bit out."""

    section: ClassVar = re.compile(r"^(\.bram_init \d+\n)((?:[0-9a-f]+(?: [0-9a-f]+)*\n)+)", re.MULTILINE)
    bytes: ClassVar = 2048
    byte: ClassVar = 9

    def widths(self, cell: Mapping[str, Any]) -> Iterable[int]:
        return (int(cell["parameters"][f"DATA_WIDTH_{side}"], 2) for side in "AB")

    def of_cell(self, cell: Mapping[str, Any]) -> Bits:
        import numpy as np

        bits = np.zeros((self.bytes, self.byte), dtype=np.uint8)
        for index in range(64):
            value = _of_binary(cell["parameters"].get(f"INITVAL_{index:02X}", ""), 320)
            bits[32 * index : 32 * index + 32] = value.reshape(16, 20)[:, :18].reshape(32, self.byte)
        return bits

    def to_cell(self, cell: dict[str, Any], bits: Bits) -> None:
        import numpy as np

        for index in range(64):
            pairs = np.zeros((16, 20), dtype=np.uint8)
            pairs[:, :18] = bits[32 * index : 32 * index + 32].reshape(16, 18)
            cell["parameters"][f"INITVAL_{index:02X}"] = _to_binary(pairs)

    def by_port(self, bits: Bits, width: int) -> Bits:
        return bits[:, : self._used(width)].reshape(-1, width)

    def of_port(self, rows: Bits, width: int) -> Bits:
        import numpy as np

        bits, used = np.zeros((self.bytes, self.byte), dtype=np.uint8), self._used(width)
        bits[:, :used] = rows.reshape(self.bytes, used)
        return bits

    def of_words(self, words: Sequence[str]) -> Bits:
        import numpy as np

        if len(words) != self.bytes:
            return np.zeros(0, dtype=np.uint8)
        values = np.array([int(word, 16) for word in words], dtype=np.uint16)
        return (values[:, None] >> np.arange(self.byte, dtype=np.uint16) & 1).astype(np.uint8)

    def lines(self, bits: Bits) -> str:
        import numpy as np

        values = (bits.astype(np.uint16) << np.arange(self.byte, dtype=np.uint16)).sum(axis=1)
        lines = (values[first : first + 8] for first in range(0, self.bytes, 8))
        return "".join(" ".join(f"{value:03x}" for value in line) + "\n" for line in lines)

    def _used(self, width: int) -> int:
        return self.byte if width >= self.byte else self.byte - 1


@dataclass(frozen=True)
class Ice40Contents(BlockContents):
    """SB_RAM40_4K: 256 rows of 16 bits. Here bit b of word n is the one of number n * width + b, at every width.

    yosys joins ports and contents so that it is: a bit's place in a row is its place in the words, read backwards in
    binary.
    """

    section: ClassVar = re.compile(r"^(\.ram_data \d+ \d+\n)((?:[0-9a-f]{64}\n){16})", re.MULTILINE)
    #: Of each bit of a row its place in the words.
    order: ClassVar = tuple(int(f"{place:04b}"[::-1], 2) for place in range(16))

    def widths(self, cell: Mapping[str, Any]) -> Iterable[int]:
        return (16 >> int(cell["parameters"][f"{side}_MODE"], 2) for side in ("READ", "WRITE"))

    def of_cell(self, cell: Mapping[str, Any]) -> Bits:
        import numpy as np

        texts = (cell["parameters"].get(f"INIT_{index:X}", "") for index in range(16))
        return self._of_rows(np.concatenate([_of_binary(text, 256) for text in texts]))

    def to_cell(self, cell: dict[str, Any], bits: Bits) -> None:
        for index, row in enumerate(self._to_rows(bits)):
            cell["parameters"][f"INIT_{index:X}"] = _to_binary(row)

    def by_port(self, bits: Bits, width: int) -> Bits:
        return bits.reshape(-1, width)

    def of_port(self, rows: Bits, width: int) -> Bits:
        return rows.reshape(-1)

    def of_words(self, words: Sequence[str]) -> Bits:
        import numpy as np

        return self._of_rows(np.concatenate([_of_binary(f"{int(word, 16):0256b}", 256) for word in words]))

    def lines(self, bits: Bits) -> str:
        return "".join(f"{int(_to_binary(row), 2):064x}\n" for row in self._to_rows(bits))

    def _of_rows(self, bits: Bits) -> Bits:
        return bits.reshape(-1, 16)[:, self.order].reshape(-1)

    def _to_rows(self, bits: Bits) -> Bits:
        return bits.reshape(-1, 16)[:, self.order].reshape(16, 256)  # the order is its own inverse


def _of_binary(text: str, size: int) -> Bits:
    """Bits of a netlist's parameter, the lowest first."""
    import numpy as np

    return (np.frombuffer(text.encode()[::-1].ljust(size, b"0"), dtype=np.uint8) == ord("1")).astype(np.uint8)


def _to_binary(bits: Bits) -> str:
    return "".join(map(str, bits.reshape(-1)[::-1]))
