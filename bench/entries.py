"""A queue's file: which configurations are run, with which seeds, from which runs, and under which names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from qtt_hw.errors import named
from qtt_hw.reading import read_toml
from qtt_hw.training.config import Config, load_config
from qtt_hw.training.sections import Seed
from rtl_gen.identifiers import file_name

__all__ = ["Entry", "load_queue"]


class Entry(BaseModel):
    """One configuration of the queue.

    `config` is relative to the queue's file; `set` changes some of its values and `without` leaves sections out, under
    a `name` of its own; `start` names the entry whose float models, of the same seed, a quantised run begins with.
    With `test = false` the test set is not read: for runs that only choose something.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: str
    name: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    without: tuple[str, ...] = ()
    data: str = "modelnet10"
    topic: str = "modelnet10"
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1)
    start: str | None = None
    test: bool = True

    @model_validator(mode="after")
    def _named(self) -> Entry:
        if (self.set or self.without) and self.name is None:
            raise ValueError("an entry that changes its configuration needs a name of its own")
        return self

    @field_validator("name", "topic")
    @classmethod
    def _within_their_folders(cls, value: str | None) -> str | None:
        if value is not None and file_name(value) != value:
            raise ValueError(f"is part of a file's name: letters, digits, '.', '-' and '_', got {value!r}")
        return value

    @property
    def title(self) -> str:
        """What its runs and rows are called."""
        return self.name or Path(self.config).stem

    def load(self, folder: Path) -> Config:
        """The configuration, changed as asked for."""
        config = load_config(folder / self.config)
        return config.changed(self.title, self.set, self.without) if self.name is not None else config


class _Entries(BaseModel):
    model_config = ConfigDict(extra="forbid")

    run: tuple[Entry, ...] = ()


def load_queue(path: Path) -> tuple[Entry, ...]:
    """The entries of a queue file, every `start` among the entries before it."""
    content = read_toml(path)
    with named(path):
        queue = _Entries.model_validate(content)
    seen: dict[str, Entry] = {}
    for entry in queue.run:
        if entry.start is not None:
            if entry.start not in seen:
                raise ValueError(f"{path}: {entry.title} starts from {entry.start}, which no earlier entry trains")
            if not set(entry.seeds) <= set(seen[entry.start].seeds):
                raise ValueError(f"{path}: {entry.title} has a seed that {entry.start} is not trained with")
        seen[entry.title] = entry
    return queue.run
