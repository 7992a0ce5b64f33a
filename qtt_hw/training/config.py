"""The training configuration: a TOML file, validated, with every error on one line that names the file and the key.

`base = "other.toml"` at its top takes another file's values wherever this one says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from qtt_hw.data import Splits
from qtt_hw.errors import named, short
from qtt_hw.near import no_network
from qtt_hw.options import NETWORKS
from qtt_hw.reading import check_depth, read_toml
from qtt_hw.training.sections import (
    CompressSection,
    DataConfig,
    ModelConfig,
    Optimisation,
    OrientationConfig,
    QuantSection,
    Section,
    TeacherConfig,
    TrainConfig,
)

__all__ = ["Config", "config_from", "configuration", "load_config"]

#: Configurations that may stand above each other.
MOST_BASES = 16


class Config(Section):
    """A whole run; `tune` trains the compressed network on.

    `source` is the file that it was read from, against which relative paths are resolved.
    """

    model: ModelConfig
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    teacher: TeacherConfig | None = None
    orientation: OrientationConfig | None = None
    compress: CompressSection | None = None
    tune: Optimisation | None = None
    quant: QuantSection | None = None
    source: Path | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _tuned(self) -> Self:
        if self.tune is not None and self.compress is None:
            raise ValueError("tune trains what compress has made; without a [compress] section there is none")
        if self.tune is not None and self.compress is not None and self.compress.bits is not None:
            raise ValueError("tune would train codes away; leave it out, or compress without bits and add [quant]")
        return self

    @model_validator(mode="after")
    def _oriented(self) -> Self:
        how = self.data.augmentation.augmentation()
        if self.orientation is None:
            return self
        if self.train.graphs:
            raise ValueError("orientation: its classifier is trained outside of CUDA graphs; leave train.graphs out")
        if how.plane is None:
            raise ValueError("orientation tells how a sample was turned; data.augmentation has no rotation")
        if any(how.flips[axis] for axis in how.plane):
            raise ValueError("orientation: a flip in the plane of rotation changes it; set its flips to 0")
        return self

    @property
    def folder(self) -> Path:
        return self.source.parent if self.source is not None else Path()

    @property
    def name(self) -> str:
        return self.source.stem if self.source is not None else self.model.name

    def with_seed(self, seed: int) -> Config:
        return self.model_copy(update={"train": self.train.model_copy(update={"seed": seed})})

    def with_data(self, source: Splits | str | Path) -> Config:
        """What the [data] section leaves to the source filled in."""
        return self.model_copy(update={"data": self.data.resolved(source)})

    def with_paths(self, paths: dict[str, str]) -> Config:
        """Contracted along these paths, by layer; other layers keep theirs."""
        merged = {**self.model.paths, **paths}
        return self.model_copy(update={"model": self.model.model_copy(update={"paths": merged})})

    def changed(self, name: str, changes: dict[str, Any], without: Sequence[str] = ()) -> Config:
        """Another configuration of its own name, with some values changed and some sections left out.

        Parameters
        ----------
        name : str
        changes : dict
            As deep as needed: {"quant": {"weight_bits": 4}}.
        without : sequence of str
            Sections.
        """
        content = _merged(self.model_dump(mode="json", exclude_unset=True), changes)
        for section in without:
            content.pop(section, None)
        return config_from(content, name, self.folder / f"{name}.toml")


def _merged(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(content)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def load_config(path: str | Path) -> Config:
    """The configuration of a TOML file, over that of another one if it names a `base`.

    Raises
    ------
    ValueError
        One line that names the file and the key, for a syntax error, an unknown key or a value out of range.
    """
    path = Path(path)
    return config_from(_content(path, ()), str(path), path.resolve())


def configuration(source: str | Path) -> Config:
    """The configuration of a TOML file, or defaults around a zoo network or `file.py:Net`."""
    text = str(source)
    if text.endswith(".toml"):
        return load_config(text)
    if ".py:" in text:
        file, _, network = text.rpartition(":")
        path = Path(file)
        model = ModelConfig(name=f"{path.name}:{network}")
        return Config(model=model, quant=QuantSection(), source=path.with_suffix(".toml"))
    if text not in NETWORKS:
        raise no_network(text, NETWORKS, "a .toml")
    return Config(model=ModelConfig(name=text), quant=QuantSection())


def _content(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """A file's values over those of its base, which stands relative to it; `above` are the files that lead here."""
    content = read_toml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str) or not base.isprintable():
        raise ValueError(f"{path}: base: expected the name of a file, got {short(repr(base))}")
    below = path.parent / base
    if below.resolve() in (above := (*above, path.resolve())):
        raise ValueError(f"{path}: base: {base} leads back to this file")
    if len(above) > MOST_BASES:
        raise ValueError(f"{path}: base: more than {MOST_BASES} files, each the base of another")
    return _merged(_content(below, above), content)


def config_from(content: dict[str, Any], where: str, source: Path | None = None) -> Config:
    """The configuration of a parsed TOML document or a dumped configuration."""
    with named(where, Config):
        if "source" in content:
            raise ValueError("source: is not known")
        check_depth(content)
        return Config.model_validate({**content, "source": source})
