"""The results queue: runs described by configurations and seeds, resumed where they stand, one row after the other.

`python -m qtt_hw.results` reads models/queue.toml. Every finished run adds its rows to results/TOPIC-KIND.json, the
kinds being `dense` (the teacher), `float`, `compressed` and `quantized`. A row's test accuracy is read once, when the
row is written, unless the run only chooses something on validation; a row that stands is not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from qtt_hw.data import Splits
from qtt_hw.errors import named
from qtt_hw.files import write_file
from qtt_hw.locks import Busy, locked
from qtt_hw.process import run_command
from qtt_hw.progress import silent
from qtt_hw.reading import read_toml
from qtt_hw.training.config import Config, config_from, load_config
from qtt_hw.training.progress import progress_bar
from qtt_hw.training.sections import Seed
from rtl_gen.identifiers import file_name

__all__ = ["Entry", "append_row", "load_queue", "main", "run_queue"]


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


def rows_of(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: not a results file: expected an object with rows") from None
    return rows


def append_row(path: Path, row: dict[str, Any], key: Sequence[str] = ()) -> None:
    """Add a row at the end, in place of those with the same values under `key`, whoever else adds rows meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock"), path, waiting=lambda text: None):
        others = [old for old in rows_of(path) if not key or any(old.get(name) != row[name] for name in key)]
        write_file(path, json.dumps({"rows": [*others, row]}, indent=1) + "\n")


def _missing(path: Path, config: Config) -> bool:
    """Whether no row stands for this configuration and seed; what a row's does not name has its default."""
    wanted = config.model_copy(update={"source": None})
    return not any(config_from(row["configuration"], str(path)) == wanted for row in rows_of(path))


def run_queue(
    queue: Path,
    results: Path,
    runs: Path,
    *,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    progress: bool = True,
    note: Callable[[str], None] = lambda text: None,
) -> int:
    """Make every row of the queue that does not stand yet; how many were made.

    Several processes can share a queue: what one trains the others leave for later, and wait for in the end.

    Parameters
    ----------
    queue : path
        TOML with [[run]] entries.
    results, runs : path
        Folder of the results files, and of the runs' own folders.
    seeds : sequence of int, optional
        Only these of each entry's seeds.
    only : sequence of str, optional
        Only entries whose title begins with one of these.
    progress : bool
        Draw progress bars.
    note : callable
        Told in one line what begins and what was found.
    """
    entries = load_queue(queue)
    work = _Queue(queue, results, runs, {entry.title: entry for entry in entries}, progress, note)
    pending = [
        (entry, seed)
        for entry in entries
        if only is None or entry.title.startswith(tuple(only))
        for seed in entry.seeds
        if seeds is None or seed in seeds
    ]
    made = 0
    waiting: Callable[[str], None] | None = None
    while pending:
        left: list[tuple[Entry, int]] = []
        for entry, seed in pending:
            if {(before.title, number) for before, number in left} & set(work.needed(entry, seed)):
                left.append((entry, seed))
                continue
            try:
                made += work.rows(entry, seed, waiting)
                waiting = None
            except Busy as busy:
                note(f"{entry.title} seed {seed}: left for later: {busy}")
                left.append((entry, seed))
        # Where others train all that is left, the first of it is waited for.
        waiting = note if len(left) == len(pending) else None
        pending = left
    return made


@dataclass(eq=False)
class _Queue:
    """A queue's file, where its rows and runs stand, and its entries by title."""

    file: Path
    results: Path
    runs: Path
    named: dict[str, Entry]
    progress: bool
    note: Callable[[str], None]
    #: The data read last, by its source and options.
    loaded: dict[str, Splits] = field(default_factory=dict)

    def config(self, entry: Entry, seed: int) -> Config:
        return entry.load(self.file.parent).with_data(entry.data).with_seed(seed)

    def needed(self, entry: Entry, seed: int) -> list[tuple[str, int]]:
        """The runs that an entry's begins with or learns from, of those in the queue: titles and seeds."""
        titles = [entry.start]
        teacher = self.config(entry, seed).teacher
        if teacher is not None and teacher.run is not None:
            titles.append(Path(teacher.run).name.removesuffix(f"-seed{seed}"))
        return [(title, seed) for title in dict.fromkeys(titles) if title is not None and title in self.named]

    def rows(self, entry: Entry, seed: int, waiting: Callable[[str], None] | None) -> int:
        """Make the rows of one run that do not stand yet; how many were made. Busy where another process makes them."""
        from qtt_hw.training import train
        from qtt_hw.training.store import RunStore

        config = self.config(entry, seed)
        origin = None if entry.start is None else self.named[entry.start].load(self.file.parent)
        paths = {kind: self.results / f"{entry.topic}-{kind}.json" for kind in _kinds(config, origin)}
        if not any(_missing(path, config) for path in paths.values()):
            return 0
        name = f"{config.name} seed {seed}"
        folder = self.runs / f"{config.name}-seed{seed}"
        self.runs.mkdir(parents=True, exist_ok=True)
        with locked(self.runs / f".{folder.name}.lock", folder, waiting=waiting):
            wanted = [kind for kind, path in paths.items() if _missing(path, config)]
            if not wanted:
                return 0
            splits = self._data(entry, config)
            if waiting is not None and folder.is_dir():
                with locked(RunStore(folder).lock, folder, waiting=waiting):
                    pass
            self.note(f"{name}: {', '.join(wanted)}")
            start = None if entry.start is None else self.runs / f"{entry.start}-seed{seed}"
            begun = time.strftime("%Y-%m-%d")
            with progress_bar() if self.progress else nullcontext(silent) as bar:
                train(config, splits, folder, start=start, progress=bar)
            for kind in wanted:
                row = _row(kind, folder, config, splits, entry.test) | {
                    "date": begun,
                    "command": self._command(entry, seed),
                    "commit": _commit(),
                }
                append_row(paths[kind], row)
                shown = "test" if entry.test else "validation"
                self.note(f"{name}: {kind} {shown} {row[f'{shown}_accuracy']:.4f}")
        return len(wanted)

    def _data(self, entry: Entry, config: Config) -> Splits:
        key = f"{entry.data} {config.data.model_dump_json()}"
        if key not in self.loaded:
            self.loaded = {key: config.data.load(entry.data)}
        return self.loaded[key]

    def _command(self, entry: Entry, seed: int) -> str:
        """What makes the entry's rows where they do not stand; runs that it begins with or learns from come first."""
        titles = dict.fromkeys([*(title for title, _ in self.needed(entry, seed)), entry.title])
        only = "".join(f" --only {title}" for title in titles)
        return f"python -m qtt_hw.results --queue models/{self.file.name}{only} --seed {seed}"


def _kinds(config: Config, origin: Config | None) -> tuple[str, ...]:
    """The rows that a run makes: those of the phases that it trains and does not take from the run it starts from."""
    kinds = []
    if origin is None:
        if config.teacher is not None and config.teacher.dense:
            kinds.append("dense")
        if config.train.epochs:
            kinds.append("float")
    if config.compress is not None and (
        origin is None or (config.compress, config.tune) != (origin.compress, origin.tune)
    ):
        kinds.append("compressed")
    if config.quant is not None:
        kinds.append("quantized")
    return tuple(kinds)


def _row(kind: str, folder: Path, config: Config, splits: Splits, test: bool) -> dict[str, Any]:
    """One row, after reading the test set once where `test` says so."""
    from qtt_hw.training import TrainResult, float_model
    from qtt_hw.training.sections import QuantSection
    from qtt_hw.training.store import RunStore
    from qtt_hw.training.testing import float_accuracy
    from qtt_hw.training.untrained import untrained_graph

    result = TrainResult.model_validate_json(RunStore(folder).result.read_text(encoding="utf-8"))
    phase = {"dense": "teacher", "compressed": "compress" if config.tune is None else "tune"}.get(kind, kind)
    name = phase if phase in result.phases else f"{phase}0"
    model = None if kind == "quantized" else float_model(folder, phase="compressed" if name == "compress" else name)
    row: dict[str, Any] = {
        "config": config.name,
        "seed": result.seed,
        "validation_accuracy": result.phases[name].validation_accuracy,
    }
    if test and kind == "quantized":
        row |= _quantized(folder, config, splits)
    elif test and model is not None:
        whole, unseen = float_accuracy(model, splits, config.data.input_spec(splits))
        row |= {"test_accuracy": whole, "test_accuracy_unseen": unseen}
    if test:
        row["test_samples"] = len(splits.test)
    if kind == "quantized":
        row["calibrated_validation_accuracy"] = result.calibrated_accuracy
        if result.phases[name].crossings is not None:
            row["crossings"] = result.phases[name].crossings
    made = result.phases[name].compressed
    if kind == "compressed":
        row["ranks"] = result.phases["compress"].compressed.ranks  # type: ignore[union-attr]
    if model is not None:
        # Of integers in their default formats: a quantised phase whose activations stay in float cannot be frozen.
        spec = config.data.input_spec(splits)
        row["macs"] = untrained_graph(model, spec, splits.labels, QuantSection(), config.name).macs()
    return row | {
        "parameters": result.phases[name].parameters if made is None else made.parameters,
        "epochs": result.phases[name].epochs,
        "seconds": result.phases[name].seconds,
        "accelerator": result.accelerator,
        "versions": result.versions,
        "configuration": result.config,
    }


def _quantized(folder: Path, config: Config, splits: Splits) -> dict[str, Any]:
    """Test accuracy and sizes: of the integer model, or with quantised weights where the rest stays in float.

    `code_bytes` is the weights alone, as codes, with their centroids where codes stand for those.
    """
    from qtt_hw.evaluation import evaluate
    from qtt_hw.lower.freeze import freeze
    from qtt_hw.training import load_run
    from qtt_hw.training.testing import float_accuracy

    prepared, _, spec, labels = load_run(folder)
    codes = {"code_bytes": -(-prepared.code_bits // 8)}
    if prepared.floating:
        whole, unseen = float_accuracy(prepared, splits, spec)
        return {"activations": "float", "test_accuracy": whole, "test_accuracy_unseen": unseen, **codes}
    graph = freeze(prepared, spec, labels, config.name)
    found = evaluate(graph, splits)
    return {
        "test_accuracy": found.accuracy,
        "test_accuracy_unseen": found.accuracy_unseen,
        "weight_bytes": found.weight_bytes,
        "compression": round(4 * _dense_parameters(config, splits) / found.weight_bytes, 2),
        "macs": graph.macs(),
        **codes,
    }


def _dense_parameters(config: Config, splits: Splits) -> int:
    """Parameters of the float network with a dense layer in place of every tensor train."""
    from qtt_hw.training.network import build_model

    spec, classes = config.data.input_spec(splits), len(splits.labels)
    try:
        model = build_model(config, spec, classes, 0, dense=True)
    except ValueError:  # a network without tensor trains has no such choice
        model = build_model(config, spec, classes, 0)
    return sum(parameter.numel() for parameter in model.parameters())


def _commit() -> str | None:
    """The source tree's commit, where it is one."""
    try:
        command = ["git", "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m qtt_hw.results", description="Run the queue of measured results.")
    parser.add_argument("--queue", type=Path, default=Path("models/queue.toml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, action="append", help="only this seed (may be repeated)")
    parser.add_argument("--only", metavar="TITLE", action="append", help="only entries that begin so (may be repeated)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    given = parser.parse_args(arguments)

    def work() -> None:
        from qtt_hw.training.environment import keep_freed_memory

        keep_freed_memory()
        run_queue(
            given.queue,
            given.results,
            given.runs,
            seeds=given.seed,
            only=given.only,
            progress=not given.quiet,
            note=lambda text: print(text, file=sys.stderr, flush=True),
        )

    return run_command("qtt_hw.results", work, whole=arguments is None)


if __name__ == "__main__":
    sys.exit(main())
