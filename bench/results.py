"""The results queue: runs described by configurations and seeds, resumed where they stand, one row after the other.

`python -m bench.results` reads models/queue.toml. Every finished run adds its rows to results/TOPIC-KIND.json, the
kinds being `dense` (the teacher), `float`, `compressed` and `quantized`. A row's test accuracy is read once, when the
row is written, unless the run only chooses something on validation; a row that stands is not made again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from bench.entries import Entry, load_queue
from bench.rows import append_row, commit, is_missing, kinds_of, row_of
from qtt_hw.data import Splits
from qtt_hw.locks import Busy, locked
from qtt_hw.options import ACCELERATOR, ACCELERATORS
from qtt_hw.process import run_command
from qtt_hw.progress import silent
from qtt_hw.training.config import Config
from qtt_hw.training.progress import progress_bar

__all__ = ["main", "run_queue"]


def run_queue(
    queue: Path,
    results: Path,
    runs: Path,
    *,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    accelerator: str = ACCELERATOR,
    graphs: bool = False,
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
    accelerator : "cpu" or "cuda"
    graphs : bool
        Run float phases as CUDA graphs, where a configuration can; its rows say so.
    progress : bool
        Draw progress bars.
    note : callable
        Told in one line what begins and what was found.
    """
    entries = load_queue(queue)
    work = _Queue(queue, results, runs, {entry.title: entry for entry in entries}, accelerator, graphs, progress, note)
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
    accelerator: str
    graphs: bool
    progress: bool
    note: Callable[[str], None]
    #: The data read last, by its source and options.
    loaded: dict[str, Splits] = field(default_factory=dict)

    def config(self, entry: Entry, seed: int) -> Config:
        config = entry.load(self.file.parent)
        if self.graphs and config.orientation is None:
            config = config.changed(entry.title, {"train": {"graphs": True}})
        return config.with_data(entry.data).with_seed(seed)

    def needed(self, entry: Entry, seed: int) -> list[tuple[str, int]]:
        """The runs that an entry's begins with or learns from, of those in the queue: titles and seeds."""
        found = [] if entry.start is None else [(entry.start, seed)]
        teacher = self.config(entry, seed).teacher
        for run in () if teacher is None else teacher.runs:
            title, _, number = Path(run).name.rpartition("-seed")
            if number.isdecimal():
                found.append((title, int(number)))
        return [each for each in dict.fromkeys(found) if each[0] in self.named]

    def rows(self, entry: Entry, seed: int, waiting: Callable[[str], None] | None) -> int:
        """Make the rows of one run that do not stand yet; how many were made. Busy where another process makes them."""
        from qtt_hw.training import train
        from qtt_hw.training.store import RunStore

        config = self.config(entry, seed)
        origin = None if entry.start is None else self.named[entry.start].load(self.file.parent)
        paths = {kind: self.results / f"{entry.topic}-{kind}.json" for kind in kinds_of(config, origin)}
        if not any(is_missing(path, config) for path in paths.values()):
            return 0
        name = f"{config.name} seed {seed}"
        folder = self.runs / f"{config.name}-seed{seed}"
        self.runs.mkdir(parents=True, exist_ok=True)
        with locked(self.runs / f".{folder.name}.lock", folder, waiting=waiting):
            wanted = [kind for kind, path in paths.items() if is_missing(path, config)]
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
                train(config, splits, folder, start=start, accelerator=self.accelerator, progress=bar)
            for kind in wanted:
                row = row_of(kind, folder, config, splits, entry.test) | {
                    "date": begun,
                    "command": self._command(entry, seed),
                    "commit": commit(),
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
        runs = [*self.needed(entry, seed), (entry.title, seed)]
        only = "".join(f" --only {title}" for title in dict.fromkeys(title for title, _ in runs))
        seeds = "".join(f" --seed {number}" for number in sorted({number for _, number in runs}))
        where = "" if self.accelerator == ACCELERATOR else f" --accelerator {self.accelerator}"
        where += " --graphs" if self.graphs else ""
        return f"python -m bench.results --queue models/{self.file.name}{only}{seeds}{where}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.results", description="Run the queue of measured results.")
    parser.add_argument("--queue", type=Path, default=Path("models/queue.toml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, action="append", help="only this seed (may be repeated)")
    parser.add_argument("--only", metavar="TITLE", action="append", help="only entries that begin so (may be repeated)")
    parser.add_argument("--accelerator", choices=ACCELERATORS, default=ACCELERATOR, help="what trains")
    parser.add_argument("--graphs", action="store_true", help="float phases as CUDA graphs")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    given = parser.parse_args(arguments)

    def work() -> None:
        from qtt_hw.process import keep_freed_memory

        keep_freed_memory()
        run_queue(
            given.queue,
            given.results,
            given.runs,
            seeds=given.seed,
            only=given.only,
            accelerator=given.accelerator,
            graphs=given.graphs,
            progress=not given.quiet,
            note=lambda text: print(text, file=sys.stderr, flush=True),
        )

    return run_command("bench.results", work, whole=arguments is None)


if __name__ == "__main__":
    sys.exit(main())
