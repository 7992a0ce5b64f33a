"""Searches over ranks as Optuna studies: kept in a file or a database, resumed, and shared by several processes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from qtt_hw.files import append_lines
from qtt_hw.locks import locked
from qtt_hw.progress import Progress, silent

__all__ = ["Found", "Searched", "Values", "open_storage", "search"]

#: Trials that a Gaussian process begins with at random.
STARTUP = 10
#: Beyond so many trials a Gaussian process is slow, and tree-structured estimators take over.
MOST_GAUSSIAN = 100
#: The constraint of a trial: above 0 where it was out of bounds.
BOUNDS = "bounds"

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Found:
    """A trial that was evaluated: its values by the objective's order, and what it was tried with."""

    ranks: dict[str, int]
    values: tuple[float, ...]
    number: int


@dataclass(frozen=True)
class Searched:
    """What a study has found.

    Attributes
    ----------
    best : tuple of Found
        What no other trial beats, in order of number; none that was outside its bounds, unless all were.
    trials : int
        Evaluated so far, by all processes.
    """

    best: tuple[Found, ...]
    trials: int


@dataclass(frozen=True)
class Values:
    """A trial's values, and whether it keeps within bounds that are no objective."""

    of: tuple[float, ...]
    allowed: bool = True


#: How a journal's lines begin.
_JOURNAL = b'{"op_code"'


class _Journal(JournalFileBackend):
    """A journal of which a writer that was cut off leaves no part of a line.

    Optuna's own would write on behind that part, and its lock stays behind a killed process for half a minute, or for
    ever where the path is relative.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path).absolute()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "\n".join(json.dumps(log, separators=(",", ":")) for log in logs)
        with locked(self._path.with_name(f".{self._path.name}.lock"), self._path, waiting=lambda text: None):
            append_lines(self._path, lines)


def open_storage(where: str | Path | None) -> BaseStorage | None:
    """The storage of studies: a journal file, a database at a URL, or None for memory.

    Parameters
    ----------
    where : path or str, optional
        "postgresql://...", "sqlite:///file.db" and the like are URLs; anything else is the path of a journal file,
        which is made if it is not there. Both may be shared by processes, the URL by machines.

    Raises
    ------
    ValueError
        Naming the storage that cannot be opened.
    """
    if where is None:
        return None
    text = str(where)
    path = None if "://" in text else Path(text)
    if path is not None and path.is_dir():
        raise ValueError(f"{path}: is a folder; give the name of a journal file")
    if path is not None and path.is_file() and not _is_journal(path):
        raise ValueError(f"{path}: is not a journal of studies, and is not written into; choose another name")
    try:
        if path is None:
            return RDBStorage(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return JournalStorage(_Journal(text))
    except Exception as error:  # of the database's driver or the journal's reader, whichever it is
        raise ValueError(f"{text}: cannot be opened as a study storage: {' '.join(str(error).split())}") from None


def _is_journal(path: Path) -> bool:
    """Whether a file is empty or begins as a journal does, of which the first line may have been cut off."""
    with path.open("rb") as stream:
        head = stream.read(len(_JOURNAL))
    return _JOURNAL.startswith(head)


class _Sampler(BaseSampler):
    """A new sampler for every trial, seeded by the trial's number, which the storage gives but once.

    So processes that search at the same time draw different numbers, and a study that was cut off draws those that it
    would have drawn.
    """

    def __init__(self, trials: int, seed: int) -> None:
        self.trials, self.seed = trials, seed
        self._of: tuple[int, BaseSampler] | None = None

    def _sampler(self, trial: FrozenTrial) -> BaseSampler:
        if self._of is None or self._of[0] != trial.number:
            seed = int(np.random.SeedSequence((self.seed, trial.number)).generate_state(1)[0])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._of = trial.number, self._made(seed)
        return self._of[1]

    def _made(self, seed: int) -> BaseSampler:
        if self.trials > MOST_GAUSSIAN:
            return optuna.samplers.TPESampler(seed=seed, multivariate=True)
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP, deterministic_objective=True)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler(trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler(trial).before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._sampler(trial).after_trial(study, trial, state, values)


def _found(trial: FrozenTrial) -> Found:
    return Found({name: int(value) for name, value in trial.params.items()}, tuple(trial.values), trial.number)


def _values(trial: FrozenTrial) -> Sequence[float] | Values:
    """What a trial was evaluated to."""
    values = tuple(trial.values)
    return Values(values, trial.constraints[BOUNDS] <= 0.0) if BOUNDS in trial.constraints else values


def search(
    name: str,
    space: Mapping[str, tuple[int, int]],
    evaluate: Callable[[dict[str, int]], Sequence[float] | Values],
    directions: Sequence[Direction],
    trials: int,
    *,
    first: Sequence[Mapping[str, int]] = (),
    storage: BaseStorage | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Searched:
    """Evaluate ranks until the study has so many trials, and give those that no other beats.

    A study of that name in the storage goes on where it stands; processes that search it at the same time share its
    trials. Ranks that were evaluated before are not evaluated again, their values are looked up.

    Parameters
    ----------
    name : str
    space : mapping of str to (int, int)
        Inclusive ranges.
    evaluate : callable
        The objective's values for some ranks, as `Values` where ranks may be out of bounds.
    directions : sequence of "minimize" or "maximize"
        Of each value.
    trials : int
        Of the whole study, those of other processes and of before included.
    first : sequence of mappings, optional
        Ranks to try before any others.
    storage : BaseStorage, optional
        Of `open_storage`; memory when left out.
    seed : int
    progress : Progress
        Told after each trial how many are done.
    """
    if not space:
        raise ValueError(f"study {name}: there is no rank to choose")
    for key, (low, high) in space.items():
        if not 1 <= low <= high:
            raise ValueError(f"study {name}: {key} has no rank from {low} to {high}")
    with _quiet():
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            sampler=_Sampler(trials, seed),
            directions=list(directions),
            load_if_exists=storage is not None,
        )
        return _evaluated(study, space, evaluate, trials, first, progress)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna says nothing but errors, and afterwards what it said before."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _evaluated(
    study: Study,
    space: Mapping[str, tuple[int, int]],
    evaluate: Callable[[dict[str, int]], Sequence[float] | Values],
    trials: int,
    first: Sequence[Mapping[str, int]],
    progress: Progress,
) -> Searched:
    """The study after so many trials."""

    def trials_in(*states: TrialState) -> list[FrozenTrial]:
        return study.get_trials(deepcopy=False, states=states)

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        ranks = {key: trial.suggest_int(key, low, high) for key, (low, high) in space.items()}
        known = [before for before in trials_in(TrialState.COMPLETE) if before.params == ranks]
        found = _values(known[0]) if known else evaluate(ranks)
        if isinstance(found, Values):
            trial.set_constraint(BOUNDS, 0.0 if found.allowed else 1.0)
        return tuple(float(value) for value in (found.of if isinstance(found, Values) else found))

    def done() -> int:
        return len(trials_in(TrialState.COMPLETE))

    def enqueue(*states: TrialState) -> bool:
        """Enqueue what was to be tried first and stands in none of these states; whether there was any."""
        known = [trial.params or trial.system_attrs.get("fixed_params") for trial in trials_in(*states)]
        missing = [dict(ranks) for ranks in first[:trials] if dict(ranks) not in known]
        for ranks in missing:
            study.enqueue_trial(ranks)
        return bool(missing)

    enqueue(TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
    # One that was cut off stays as if it ran: by now it does not.
    while done() < trials or enqueue(TrialState.COMPLETE, TrialState.WAITING):
        study.optimize(objective, n_trials=1)
        progress("ranks", min(done(), trials), trials)
    best = study.best_trials or trials_in(TrialState.COMPLETE)
    return Searched(tuple(sorted(map(_found, best), key=lambda found: found.number)), done())
