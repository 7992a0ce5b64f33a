"""Studies: kept, resumed, shared by two processes, and refused in one line."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

import optuna
import pytest

from qtt_hw.rank.study import Found, Values, open_storage, search

SPACE = {"a": (1, 9), "b": (1, 9)}


def both(ranks: dict[str, int]) -> tuple[float, float]:
    """An error that falls with the ranks, and a cost that rises."""
    return 1.0 / (ranks["a"] * ranks["b"]), float(ranks["a"] + 2 * ranks["b"])


def run(storage: Path | None, trials: int, told: list | None = None, **options: object) -> list[Found]:
    def evaluate(ranks: dict[str, int]) -> tuple[float, float]:
        if told is not None:
            told.append(dict(ranks))
        return both(ranks)

    found = search(
        "two",
        SPACE,
        evaluate,
        ["minimize", "minimize"],
        trials,
        storage=open_storage(storage),
        **options,  # type: ignore[arg-type]
    )
    assert found.trials >= trials
    return list(found.best)


def test_the_front_is_what_nothing_beats() -> None:
    told: list[dict[str, int]] = []
    found = run(None, 15, told, first=[{"a": 9, "b": 9}])
    assert told[0] == {"a": 9, "b": 9}
    tried = {tuple(both(ranks)) for ranks in told}
    best = {v for v in tried if not any(o != v and o[0] <= v[0] and o[1] <= v[1] for o in tried)}
    assert {item.values for item in found} == best
    assert all(item.values == both(item.ranks) for item in found)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_a_study_goes_on_where_it_stands(tmp_path: Path, kind: str) -> None:
    where = tmp_path / "study.journal" if kind == "journal" else f"sqlite:///{tmp_path}/study.db"
    told: list[dict[str, int]] = []
    run(where, 4, told)  # type: ignore[arg-type]
    assert len(told) == 4
    reports: list[tuple[object, ...]] = []
    found = run(where, 7, told, progress=lambda *report: reports.append(report))  # type: ignore[arg-type]
    assert len(told) <= 7 and reports == [("ranks", done, 7) for done in (5, 6, 7)]
    assert run(where, 7, told) == found and len(reports) == 3  # type: ignore[arg-type]


def _work(where: str, mine: str, begun: Barrier) -> None:
    def evaluate(ranks: dict[str, int]) -> tuple[float, float]:
        if not Path(mine).exists():
            begun.wait(timeout=120)  # in the first trial of each: neither finishes the study before the other came
        with Path(mine).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {ranks['a']} {ranks['b']}\n")
        return both(ranks)

    search("two", SPACE, evaluate, ["minimize", "minimize"], 14, storage=open_storage(where))


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    where, logs = str(tmp_path / "study.journal"), [str(tmp_path / f"{i}.log") for i in range(2)]
    context = multiprocessing.get_context("spawn")
    begun = context.Barrier(2)
    workers = [context.Process(target=_work, args=(where, log, begun)) for log in logs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    lines = [Path(log).read_text().splitlines() for log in logs]
    assert all(lines), "both took part"
    # Each may have been in the middle of a trial when the other one finished the last.
    assert len(lines[0]) + len(lines[1]) <= 15
    tried = [tuple(line.split()[1:]) for log in lines for line in log]
    # Two Gaussian processes with the same trials behind them may agree on a point; draws at random do not.
    assert len(set(tried)) >= len(tried) - 3, "neither repeats what the other draws"
    told: list[dict[str, int]] = []
    front = run(Path(where), 14, told)
    assert not told and all(item.values == both(item.ranks) for item in front)


def test_a_study_that_is_cut_off_in_its_first_trial_tries_what_comes_first(tmp_path: Path) -> None:
    where, first = tmp_path / "study.journal", [{"a": 9, "b": 9}, {"a": 1, "b": 1}]

    def cut_off(ranks: dict[str, int]) -> tuple[float, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search("two", SPACE, cut_off, ["minimize", "minimize"], 4, first=first, storage=open_storage(where))
    told: list[dict[str, int]] = []
    run(where, 4, told, first=first)
    assert len(told) == 4 and {"a": 9, "b": 9} in told and {"a": 1, "b": 1} in told


def test_a_journal_that_was_cut_in_its_last_line_goes_on(tmp_path: Path) -> None:
    where = tmp_path / "study.journal"
    told: list[dict[str, int]] = []
    run(where, 4, told)
    whole = where.read_bytes()
    for cut in (1, 2, len(whole.splitlines()[-1])):  # the line feed alone, and up to one byte of the line
        where.write_bytes(whole[:-cut])
        told.clear()
        found = run(where, 5, told)
        assert 1 <= len(told) <= 2, "what the cut line said is done again, and the fifth"
        assert run(where, 5, told) == found
    assert [path.name for path in tmp_path.iterdir()] == ["study.journal"]


def test_a_full_disk_names_the_journal_and_leaves_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "study.journal"
    run(where, 2)
    whole = where.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left on device") as error:
        patch.setattr(os, "fsync", full)
        run(where, 3)
    assert error.value.filename == str(where) and where.read_bytes() == whole
    run(where, 3)


def test_optuna_speaks_as_before() -> None:
    before = optuna.logging.get_verbosity()
    run(None, 1)
    assert optuna.logging.get_verbosity() == before != optuna.logging.ERROR


def test_trials_are_drawn_by_their_number() -> None:
    whole: list[dict[str, int]] = []
    run(None, 14, whole)
    again: list[dict[str, int]] = []
    run(None, 14, again)
    assert whole == again


def test_what_is_out_of_bounds_is_not_on_the_front_unless_everything_is() -> None:
    def bounded(limit: float) -> list[Found]:
        def evaluate(ranks: dict[str, int]) -> Values:
            values = both(ranks)
            return Values(values, values[1] <= limit)

        return list(search("b", SPACE, evaluate, ["minimize", "minimize"], 14).best)

    found = bounded(12.0)
    assert found and all(item.values[1] <= 12.0 for item in found)
    assert len(bounded(0.0)) == 14


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("hello\n")
    with pytest.raises(ValueError, match=r"other.txt: is not a journal of studies"):
        open_storage(tmp_path / "other.txt")
    with pytest.raises(ValueError, match="is a folder; give the name of a journal file"):
        open_storage(tmp_path)
    (tmp_path / "pretty.json").write_text('{\n "a": 1\n}\n')
    wrong = ("sqlite:////no/such/folder/x.db", "nosuchdatabase://host/db", "postgresql://host:port/db")
    with pytest.raises(ValueError, match=r"pretty.json: is not a journal of studies"):
        open_storage(tmp_path / "pretty.json")
    for where in wrong:
        with pytest.raises(ValueError, match="cannot be opened as a study storage") as error:
            open_storage(where)
        assert "\n" not in str(error.value) and str(error.value).startswith(where)
    with pytest.raises(ValueError, match="study s: there is no rank to choose"):
        search("s", {}, both, ["minimize"], 1)
    with pytest.raises(ValueError, match="study s: a has no rank from 3 to 2"):
        search("s", {"a": (3, 2)}, both, ["minimize"], 1)


@pytest.mark.parametrize("content", ['{"my": "only copy"}', '{"op": 1}', "{", "notes"])
def test_a_file_that_is_no_journal_is_refused_untouched(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    if content == "{":  # a journal whose first line was cut off
        assert open_storage(path) is not None
        return
    with pytest.raises(ValueError, match=r"mine\.json: is not a journal of studies, and is not written into"):
        open_storage(path)
    assert path.read_text() == content
