"""The manifest of a BUILD folder: ports, word layouts and predicted cycles, validated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from qtt_hw.reading import read_json
from qtt_hw.versions import MANIFEST
from qtt_hw.window import MOST_CHANNELS, MOST_VALUES
from rtl_gen.families import Family, family_named
from rtl_gen.prediction import Prediction

__all__ = ["InputPort", "Manifest", "OutputPort", "Sources", "Tap", "Wrapper"]

NAME = "manifest.json"


def _plain(name: str) -> str:
    if not name.isprintable() or set(name) & set('/\\"') or name.startswith(".") or not 0 < len(name) <= 200:
        raise ValueError(f"must be a plain name of a file in the folder, got {name!r}")
    return name


#: A file of the folder itself: no path, nothing hidden.
PlainName = Annotated[str, AfterValidator(_plain)]
#: What the Verilog calls something.
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$", max_length=1024)]
#: Cycles: enough for a thousand hours at 100 MHz.
Cycles = Annotated[int, Field(ge=0, le=1 << 48, strict=True)]
#: What a user calls a network or a stage: any text.
Name = Annotated[str, Field(max_length=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


#: Verilog files of the folder.
Files = Annotated[tuple[PlainName, ...], Field(max_length=100)]


class Sources(BaseModel):
    """Verilog files in the folder: those of a simulation, and by the name of an FPGA family those of a synthesis."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Files]

    simulation: Files = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in self.model_extra or {}:
            family_named(name)
        return self

    @classmethod
    def made(cls, targets: Mapping[str, Sequence[str]]) -> Self:
        """By target, as `targets` gives them back."""
        return cls.model_validate(targets)

    @property
    def targets(self) -> dict[str, tuple[str, ...]]:
        """All of them, by "simulation" or the family's name."""
        return {"simulation": self.simulation, **(self.model_extra or {})}

    def of(self, family: Family) -> tuple[str, ...]:
        """What is synthesised for a family; raises ValueError where the design is not of it."""
        files = self.targets.get(family.name, ())
        if not files:
            raise ValueError(f"holds no sources for {family.name}; plan it for a device of that family")
        return files


class InputPort(_Strict):
    """A word is `lanes` lanes of `lane_bits` bits, lane 0 in the low bits; a sample is `words` words."""

    lanes: int = Field(ge=1, le=MOST_CHANNELS, strict=True)
    lane_bits: int = Field(ge=1, le=32, strict=True)
    signed: bool = Field(strict=True)
    words: int = Field(ge=1, le=MOST_VALUES, strict=True)

    @model_validator(mode="after")
    def _sized(self) -> Self:
        if self.lanes * self.words > MOST_VALUES:
            raise ValueError(f"{self.words} words of {self.lanes} lanes, {MOST_VALUES} values are the most")
        return self

    @property
    def bits(self) -> int:
        return self.lanes * self.lane_bits


class Tap(InputPort):
    """A stage's output: `payload` counts in the cycles in which `strobe` is 1."""

    stage: Name
    strobe: Identifier
    payload: Identifier


class OutputPort(_Strict):
    """A word is {last, value}: every logit in order, then one word with last = 1 whose value is the argmax."""

    value_bits: int = Field(ge=1, le=63, strict=True)
    words: int = Field(ge=2, le=MOST_CHANNELS + 1, strict=True)

    @property
    def bits(self) -> int:
        return self.value_bits + 1


class Wrapper(_Strict):
    """What the design stands in for another system; its file is none of `sources`, which are the design's own."""

    kind: Literal["axi-stream"]
    top: Identifier
    source: PlainName


class Manifest(_Strict):
    """What a BUILD folder holds.

    Version 2 predicts the end of every inference; version 1 the latency, and the interval once all are alike.
    """

    version: int
    name: Name
    top: Identifier
    sources: Sources
    model: PlainName
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    plan: PlainName
    input: InputPort
    output: OutputPort
    taps: tuple[Tap, ...] = ()
    predicted: Prediction
    wrapper: Wrapper | None = None
    exchangeable: bool = Field(default=False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _of_a_known_version(cls, given: Any) -> Any:
        if isinstance(given, dict) and "version" in given:
            MANIFEST.check(given["version"])
        return given

    def to_json(self) -> str:
        """The file's text; without what has its default, so that older readers read all that they can."""
        content = self.model_dump(mode="json")
        for name in ("wrapper", "exchangeable"):
            if not content[name]:
                del content[name]
        return json.dumps(content, indent=1) + "\n"

    @staticmethod
    def load(build: Path) -> Manifest:
        """Read build/manifest.json; raises ValueError of one line that names the file and the field.

        Every file that it names must lie in the folder, links followed.
        """
        path = build / NAME
        if not path.is_file():
            raise ValueError(f"{path}: there is no manifest; make the folder with `qtt emit`")
        manifest = read_json(path, Manifest)
        sources = manifest.sources
        for target, names in sources.targets.items():
            if len(set(names)) < len(names):
                raise ValueError(f"{path}: sources.{target}: names a file twice")
        wrappers = () if manifest.wrapper is None else (manifest.wrapper.source,)
        of_designs = (name for names in sources.targets.values() for name in names)
        for name in dict.fromkeys((*of_designs, *wrappers, manifest.model, manifest.plan)):
            file = build / name
            if not file.is_file():
                raise ValueError(f"{path}: names {name}, which is not there")
            if file.resolve().parent != build.resolve():
                raise ValueError(f"{path}: names {name}, which is a link out of the folder")
        return manifest
