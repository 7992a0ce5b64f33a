"""The manifest of a BUILD folder: ports, word layouts and predicted cycles, validated."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qtt_hw.errors import one_line

__all__ = ["InputPort", "Manifest", "OutputPort", "Predicted", "Sources", "Tap"]

NAME = "manifest.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sources(_Strict):
    """Verilog files by target, relative to the folder."""

    simulation: tuple[str, ...]
    ecp5: tuple[str, ...] = ()


class InputPort(_Strict):
    """A word is `lanes` lanes of `lane_bits` bits, lane 0 in the low bits; a sample is `words` words."""

    lanes: int = Field(ge=1)
    lane_bits: int = Field(ge=1, le=32)
    signed: bool
    words: int = Field(ge=1)

    @property
    def bits(self) -> int:
        return self.lanes * self.lane_bits


class Tap(InputPort):
    """A stage's output: `payload` counts in the cycles in which `strobe` is 1."""

    stage: str
    strobe: str
    payload: str


class OutputPort(_Strict):
    """A word is {last, value}: every logit in order, then one word with last = 1 whose value is the argmax."""

    value_bits: int = Field(ge=1, le=63)
    words: int = Field(ge=2)

    @property
    def bits(self) -> int:
        return self.value_bits + 1


class Predicted(_Strict):
    """Cycles with source and sink never stalling."""

    interval: int
    latency: int


class Manifest(_Strict):
    """What a BUILD folder holds."""

    version: Literal[1]
    name: str
    top: str
    sources: Sources
    model: str
    digest: str
    plan: str
    input: InputPort
    output: OutputPort
    taps: tuple[Tap, ...] = ()
    predicted: Predicted

    @staticmethod
    def load(build: Path) -> Manifest:
        """Read build/manifest.json; raises ValueError of one line that names the file and the field."""
        path = build / NAME
        if not path.is_file():
            raise ValueError(f"{path}: there is no manifest; make the folder with `qtt emit`")
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise one_line(error, str(path)) from None
        for name in (*manifest.sources.simulation, manifest.model):
            if not (build / name).is_file():
                raise ValueError(f"{build / name}: named by the manifest, but not there")
        return manifest
