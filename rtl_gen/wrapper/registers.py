"""The register map of a design behind AXI: one definition, of which RTL, C header, Python class and page are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from qtt_hw.version import __version__
from rtl_gen.manifest import Manifest

__all__ = ["ACCESS", "ADDRESS_BITS", "DIGEST_WORDS", "REGISTERS", "Access", "Field", "Register", "constants"]

#: What a field does when it is written.
Access = Literal["r", "rw", "w1", "w1c", "add"]
ACCESS: dict[Access, str] = {
    "r": "read only; what is written is ignored",
    "rw": "keeps what is written",
    "w1": "a 1 that is written acts once; reads 0",
    "w1c": "set by the hardware; a 1 that is written clears it",
    "add": "what is written is added; reads what is left",
}
#: Bits of an address in bytes: all registers lie within it.
ADDRESS_BITS = 8
#: Words of the model's digest.
DIGEST_WORDS = 8
#: "QTTH" in memory; the map's own version, which grows in its low half where registers are added.
MAGIC, MAP_VERSION = 0x48545451, 0x0001_0000


@dataclass(frozen=True)
class Field:
    """Neighbouring bits of a register.

    Parameters
    ----------
    name : str
        Empty where it is the whole register.
    low, bits : int
    access : str
        Of ACCESS.
    text : str
    reset : int
        Of a field that keeps what is written.
    """

    name: str
    low: int
    bits: int
    access: Access
    text: str
    reset: int = 0

    @property
    def mask(self) -> int:
        return ((1 << self.bits) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """32 bits at an address.

    Parameters
    ----------
    name : str
    offset : int
        In bytes from the base address.
    text : str
    fields : tuple of Field
        Other bits read 0.
    """

    name: str
    offset: int
    text: str
    fields: tuple[Field, ...]


def _whole(name: str, offset: int, text: str, access: Access = "r") -> Register:
    return Register(name, offset, text, (Field("", 0, 32, access, text),))


REGISTERS = (
    _whole("ID", 0x00, f"0x{MAGIC:08x}: there is such a block at this address"),
    _whole("MAP_VERSION", 0x04, "of this register map: the major one in the upper half, the minor one in the lower"),
    _whole("GENERATOR", 0x08, "the version of qtt-hw: major in the highest byte, minor in the next, then patch"),
    Register(
        "CONTROL",
        0x0C,
        "what is let in",
        (
            Field("FREE_RUN", 0, 1, "rw", "every sample is let in; at 0 only as many as START says", 1),
            Field("BATCHES", 1, 1, "rw", "a packet may hold several samples: one may end without tlast", 0),
            Field(
                "SOFT_RESET",
                8,
                1,
                "w1",
                "drops all samples inside, and clears START, ERRORS, SAMPLES and CYCLES. Stop source and sink before: "
                "a packet that is under way is cut, and the next word that comes begins a sample",
            ),
        ),
    ),
    _whole("START", 0x10, "so many samples more are let in, where not all are", "add"),
    Register(
        "STATUS",
        0x14,
        "what goes on",
        (
            Field("BUSY", 0, 1, "r", "a sample has begun whose answer has not left"),
            Field("RESETTING", 1, 1, "r", "nothing is let in yet, some cycles long behind a reset"),
            Field("FILLING", 2, 1, "r", "zeros are put in the place of words that a packet lacked"),
            Field("DROPPING", 3, 1, "r", "words are dropped that a packet has too many"),
        ),
    ),
    Register(
        "ERRORS",
        0x18,
        "what was wrong with packets; the answers to those samples have tuser = 1",
        (
            Field("EARLY", 0, 1, "w1c", "tlast came before a sample's last word: zeros took the place of what lacked"),
            Field("LATE", 1, 1, "w1c", "no tlast came with a sample's last word: all words up to it were dropped"),
            Field("KEEP", 2, 1, "w1c", "a word had a tkeep bit at 0: it was taken as a whole word nevertheless"),
        ),
    ),
    _whole("SAMPLES", 0x1C, "whose answers have left since the reset, those of faulty packets included"),
    _whole(
        "CYCLES",
        0x20,
        "of the last inference that has ended: to its last output word, from its first input word, or from the end of "
        "the one before where that came later",
    ),
    _whole("LATENCY", 0x24, "predicted: CYCLES of an inference that begins in an idle design and never waits"),
    _whole("INPUT_WORDS", 0x28, "of a sample"),
    _whole("OUTPUT_WORDS", 0x2C, "of an answer: the logits, then the class with tlast"),
    *(
        _whole(f"DIGEST{word}", 0x40 + 4 * word, f"of the model: hexadecimal digits {8 * word} to {8 * word + 7}")
        for word in range(DIGEST_WORDS)
    ),
)


def constants(manifest: Manifest) -> dict[str, int]:
    """The values of the registers that are constants of a design, by name."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", __version__)
    major, minor, patch = (int(part) for part in found.groups()) if found else (0, 0, 0)
    return {
        "ID": MAGIC,
        "MAP_VERSION": MAP_VERSION,
        "GENERATOR": (major & 0xFF) << 24 | (minor & 0xFF) << 16 | patch & 0xFFFF,
        "LATENCY": min(manifest.predicted.latency, 0xFFFF_FFFF),
        "INPUT_WORDS": manifest.input.words,
        "OUTPUT_WORDS": manifest.output.words,
        **{f"DIGEST{word}": int(manifest.digest[8 * word : 8 * word + 8], 16) for word in range(DIGEST_WORDS)},
    }
