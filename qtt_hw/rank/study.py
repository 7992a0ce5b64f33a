"""Searches over ranks as Optuna studies: kept in a file or a database, resumed, and shared by several processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

__all__ = ["Found", "open_storage", "search"]

#: Trials that a Gaussian process begins with at random.
STARTUP = 10
#: Beyond so many trials a Gaussian process is slow, and tree-structured estimators take over.
MOST_GAUSSIAN = 100

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Found:
    """A trial that was evaluated: its values by the objective's order, and what it was tried with."""

    ranks: dict[str, int]
    values: tuple[float, ...]
    number: int


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
    try:
        if "://" in text:
            return RDBStorage(text)
        path = Path(text)
        if path.is_dir():
            raise ValueError(f"{path}: is a folder; give the name of a journal file")
        if path.is_file() and path.stat().st_size and not path.read_bytes()[:1] == b"{":
            raise ValueError(f"{path}: is not a journal of studies")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return JournalStorage(JournalFileBackend(text))
    except ValueError:
        raise
    except Exception as error:  # of the database's driver, whichever it is
        raise ValueError(f"{text}: cannot be opened as a study storage: {' '.join(str(error).split())}") from None


def _sampler(trials: int, seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if trials <= MOST_GAUSSIAN:
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP, deterministic_objective=True)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True)


def _found(trial: FrozenTrial) -> Found:
    return Found({name: int(value) for name, value in trial.params.items()}, tuple(trial.values), trial.number)


def search(
    name: str,
    space: Mapping[str, tuple[int, int]],
    evaluate: Callable[[dict[str, int]], Sequence[float]],
    directions: Sequence[Direction],
    trials: int,
    *,
    first: Sequence[Mapping[str, int]] = (),
    storage: BaseStorage | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Found]:
    """Evaluate ranks until the study has so many trials, and give those that no other beats, in order of number.

    A study of that name in the storage goes on where it stands; processes that search it at the same time share its
    trials. Ranks that were evaluated before are not evaluated again, their values are looked up.

    Parameters
    ----------
    name : str
    space : mapping of str to (int, int)
        Inclusive ranges.
    evaluate : callable
        The objective's values for some ranks.
    directions : sequence of "minimize" or "maximize"
        Of each value.
    trials : int
        Of the whole study, those of other processes and of before included.
    first : sequence of mappings, optional
        Ranks to try before any others, when the study is new.
    storage : BaseStorage, optional
        Of `open_storage`; memory when left out.
    seed : int
    progress : callable, optional
        Told (trials done, trials wanted) after each.
    """
    if not space:
        raise ValueError(f"study {name}: there is no rank to choose")
    for key, (low, high) in space.items():
        if not 1 <= low <= high:
            raise ValueError(f"study {name}: {key} has no rank from {low} to {high}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name, storage=storage, directions=list(directions), load_if_exists=storage is not None
    )
    begun = len(study.trials)
    # Processes that join later draw other numbers.
    study.sampler = _sampler(trials, seed + begun)
    if begun == 0:
        for ranks in first:
            study.enqueue_trial(dict(ranks), skip_if_exists=True)

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        ranks = {key: trial.suggest_int(key, low, high) for key, (low, high) in space.items()}
        for before in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if before.params == ranks:
                return tuple(before.values)
        return tuple(float(value) for value in evaluate(ranks))

    def done() -> int:
        return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))

    while done() < trials:
        study.optimize(objective, n_trials=1)
        if progress is not None:
            progress(done(), trials)
    return sorted((_found(trial) for trial in study.best_trials), key=lambda found: found.number)
