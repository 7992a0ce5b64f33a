"""The results queue on a set of solids under another name."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench import results
from bench.entries import load_queue
from bench.results import main, run_queue
from bench.rows import append_row, rows_of
from qtt_hw.data import Splits
from qtt_hw.training.config import Config
from qtt_hw.training.store import RunStore

TOML = """
[model]
name = "voxtt"
args = { widths = [4, 4], strides = [1, 2], ranks = 2, head = "average" }
[data]
block = 2
options = { classes = 3, per_class = 12 }
[train]
epochs = 1
batch = 8
threads = 1
[teacher]
dense = true
epochs = 1
[quant]
weight_bits = WB
epochs = 1
batch = 8
"""

QUEUE = """
[[run]]
config = "four.toml"
data = "solids:8"
topic = "t"
seeds = [0, 1]
[[run]]
config = "three.toml"
data = "solids:8"
topic = "t"
seeds = [1]
start = "four"
"""


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    (tmp_path / "four.toml").write_text(TOML.replace("WB", "4"))
    (tmp_path / "three.toml").write_text(TOML.replace("WB", "3"))
    path = tmp_path / "queue.toml"
    path.write_text(QUEUE)
    return path


def test_rows_come_once_and_an_interrupted_queue_goes_on(
    queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, runs = tmp_path / "results", tmp_path / "runs"

    class Stop(BaseException):
        pass

    def append_three(path: Path, row: dict) -> None:
        if sum(len(rows_of(file)) for file in folder.glob("*.json")) == 3:
            raise Stop
        append_row(path, row)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(results, "append_row", append_three)
        run_queue(queue, folder, runs, progress=False)
    assert [len(rows_of(folder / f"t-{kind}.json")) for kind in ("dense", "float", "quantized")] == [1] * 3
    told: list[str] = []
    assert run_queue(queue, folder, runs, progress=False, note=told.append) == 4
    assert told[0] == "four seed 1: dense, float, quantized" and len(told) == 6
    rows = rows_of(folder / "t-quantized.json")
    assert [(row["config"], row["seed"]) for row in rows] == [("four", 0), ("four", 1), ("three", 1)]
    for row in rows:
        assert row["test_samples"] == 18 and row["weight_bytes"] > 0 and row["macs"] > 0 and row["epochs"] == 1
        assert row["configuration"]["train"]["seed"] == row["seed"]
        assert {"test_accuracy", "validation_accuracy", "seconds", "versions", "command", "date"} <= set(row)
    dense = {row["seed"]: row["parameters"] for row in rows_of(folder / "t-dense.json")}
    for row in rows:
        assert row["compression"] == round(4 * dense[row["seed"]] / row["weight_bytes"], 2)
    floats = rows_of(folder / "t-float.json")
    assert [row["seed"] for row in floats] == [0, 1] and "weight_bytes" not in floats[0]
    assert run_queue(queue, folder, runs, progress=False) == 0


@pytest.mark.parametrize(
    "text, message",
    [
        ("[[run]]\nconfg = 1\n", "run.0.config: Field required"),
        ('[[run]]\nconfig = "a.toml"\nseeds = []\n', "run.0.seeds: Tuple should have at least 1 item"),
        ('[[run]]\nconfig = "a.toml"\nstart = "b"\n', "a starts from b, which no earlier entry trains"),
        (QUEUE.replace("seeds = [1]", "seeds = [2]"), "three has a seed that four is not trained with"),
        ('[[run]]\nconfig = "a.toml"\nname = "../b"\n', "run.0.name: is part of a file's name: .*, got '../b'"),
        ('[[run]]\nconfig = "a.toml"\ntopic = "/b"\n', "run.0.topic: is part of a file's name: .*, got '/b'"),
        ("[[run]", "Expected"),
    ],
)
def test_queue_errors(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "q.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        load_queue(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_main_reports_errors_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--queue", str(tmp_path / "none.toml")]) == 1
    assert capsys.readouterr().err == f"bench.results: {tmp_path / 'none.toml'}: No such file or directory\n"


def _append(path: Path, name: str) -> None:
    for number in range(20):
        append_row(path, {"name": name, "number": number})


def test_processes_add_rows_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(tmp_path / "r.json", name)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    rows = rows_of(tmp_path / "r.json")
    assert sorted((row["name"], row["number"]) for row in rows) == [(name, n) for name in "abc" for n in range(20)]
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


class Shared:
    """A queue's trainings and rows, done by nobody: notes what was begun; each thread's first waits for the others'."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
        self.trained: list[tuple[str, int]] = []
        self.by: set[str] = set()
        self.begun = threading.Barrier(threads, timeout=60)
        monkeypatch.setattr("qtt_hw.training.train", self.train)
        monkeypatch.setattr(results, "row_of", self.row)

    def train(self, config: Config, splits: Splits, folder: Path, **options: object) -> None:
        with RunStore(folder).held():
            me = threading.current_thread().name
            self.trained.append((config.name, config.train.seed))
            if me not in self.by:
                self.by.add(me)
                self.begun.wait()

    def row(self, kind: str, folder: Path, config: Config, *rest: object) -> dict:
        named = {"config": config.name, "seed": config.train.seed, "test_accuracy": 1.0}
        return {**named, "configuration": config.model_dump(mode="json")}


def test_a_shared_queue_trains_every_run_once(queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, told = Shared(monkeypatch, 2), list[str]()
    made: list[int] = []

    def work() -> None:
        made.append(run_queue(queue, tmp_path / "results", tmp_path / "runs", progress=False, note=told.append))
        standing = {kind: rows_of(tmp_path / "results" / f"t-{kind}.json") for kind in ("dense", "float", "quantized")}
        assert [len(rows) for rows in standing.values()] == [2, 2, 3], "each ends when all rows stand"

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work) for _ in range(2)]:
            done.result(120)
    assert sorted(shared.trained) == [("four", 0), ("four", 1), ("three", 1)] and sum(made) == 7
    assert any("four seed 0: left for later: " in line and f"process {os.getpid()} on" in line for line in told)


def test_a_run_that_is_trained_outside_the_queue_is_waited_for(
    queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, told = Shared(monkeypatch, 1), list[str]()
    folder = tmp_path / "runs" / "four-seed0"
    with ThreadPoolExecutor(1) as pool:
        with RunStore(folder).held():
            done = pool.submit(
                run_queue, queue, tmp_path / "r", tmp_path / "runs", seeds=[0], progress=False, note=told.append
            )
            while not any("waiting for process" in line for line in told):
                assert not done.done()
                time.sleep(0.01)
            assert not shared.trained
        assert done.result(60) == 3
    assert told[0].startswith("four seed 0: dense, float, quantized") and "left for later" in told[1]


def test_a_row_takes_the_place_of_the_one_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    for row in ({"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 1, "b": 3}):
        append_row(path, row, ("a",))
    assert rows_of(path) == [{"a": 2, "b": 2}, {"a": 1, "b": 3}]
    append_row(path, {"a": 2})
    assert len(rows_of(path)) == 3


def test_damaged_results_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps([1]))
    with pytest.raises(ValueError, match=r"r.json: not a results file"):
        append_row(path, {})


def test_rows_from_before_files_had_a_version_are_read_and_newer_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"rows": [{"a": 1}]}))
    append_row(path, {"a": 2})
    assert json.loads(path.read_text()) == {"version": 1, "rows": [{"a": 1}, {"a": 2}]}
    path.write_text(json.dumps({"version": 2, "tables": []}))
    before = path.read_text()
    with pytest.raises(ValueError) as refused:
        append_row(path, {"a": 3})
    assert str(refused.value) == (
        f"{path}: version 2 was written by a newer qtt-hw; this one reads results files of version 1"
    )
    assert path.read_text() == before


def test_committed_results_are_read() -> None:
    for path in (Path(__file__).parents[2] / "results").glob("*.json"):
        content = json.loads(path.read_text())
        assert "rows" not in content or rows_of(path) == content["rows"] != []


def test_an_entry_may_change_its_configuration(queue: Path) -> None:
    queue.write_text(
        '[[run]]\nconfig = "four.toml"\nname = "six"\nwithout = ["teacher"]\n'
        "set = { quant = { weight_bits = 6 }, model = { args = { ranks = 3 } } }\n"
    )
    (entry,) = load_queue(queue)
    config = entry.load(queue.parent)
    assert (entry.title, config.name, config.teacher) == ("six", "six", None)
    assert config.quant is not None and (config.quant.weight_bits, config.quant.epochs) == (6, 1)
    assert config.model.args["ranks"] == 3 and config.model.args["head"] == "average"
    queue.write_text('[[run]]\nconfig = "four.toml"\nset = { quant = { weight_bits = 6 } }\n')
    with pytest.raises(ValueError, match="needs a name of its own"):
        load_queue(queue)


def test_a_process_may_take_some_entries_of_a_queue(queue: Path, tmp_path: Path) -> None:
    told: list[str] = []
    assert run_queue(queue, tmp_path / "r", tmp_path / "runs", only=["fo"], seeds=[1], progress=False, note=told.append)
    assert told[0].startswith("four seed 1") and not any("three" in line for line in told)
    (row,) = rows_of(tmp_path / "r" / "t-quantized.json")
    assert row["command"] == "python -m bench.results --queue models/queue.toml --only four --seed 1"


def test_an_entry_that_only_chooses_does_not_read_the_test_set(
    queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.write_text('[[run]]\nconfig = "four.toml"\ndata = "solids:8"\ntopic = "t"\nseeds = [0]\ntest = false\n')
    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("qtt_hw.training.testing.float_accuracy", None)
        patch.setattr("qtt_hw.evaluation.evaluate", None)
        assert run_queue(queue, tmp_path / "r", tmp_path / "runs", progress=False, note=told.append) == 3
    for kind in ("dense", "float", "quantized"):
        (row,) = rows_of(tmp_path / "r" / f"t-{kind}.json")
        assert 0 <= row["validation_accuracy"] <= 1
        assert not [name for name in row if name.startswith("test_")]
    assert told[-1].startswith("four seed 0: quantized validation 0.")


def test_a_run_makes_the_rows_of_the_phases_it_trains(tmp_path: Path) -> None:
    dense = (
        TOML.replace("[teacher]\ndense = true\nepochs = 1\n", "")
        .replace("ranks = 2", "dense = true")
        .replace("WB", "4")
    )
    compress = "\n[compress]\nepochs = 1\npairs = 1\n"
    (tmp_path / "dense.toml").write_text(dense[: dense.index("[quant]")])
    (tmp_path / "codes.toml").write_text(dense[: dense.index("[quant]")] + compress)
    (tmp_path / "coded.toml").write_text(dense + compress)
    scratch = dense[: dense.index("[quant]")].replace("epochs", "epochs = 0 #") + compress
    (tmp_path / "scratch.toml").write_text(scratch)
    (tmp_path / "taught.toml").write_text(scratch + '[teacher]\nrun = ["runs/dense-seed0", "runs/floating-seed0"]\n')
    (tmp_path / "floating.toml").write_text(dense + 'codebook = "dqc"\nactivations = "float"\n')
    path = tmp_path / "queue.toml"
    path.write_text(
        "".join(
            f'[[run]]\nconfig = "{name}.toml"\ndata = "solids:8"\ntopic = "t"\nseeds = [0]\n{start}\n'
            for name, start in (
                ("dense", ""),
                ("codes", 'start = "dense"'),
                ("coded", 'start = "codes"'),
                ("scratch", ""),
                ("floating", ""),
                ("taught", ""),
            )
        )
    )
    run_queue(path, tmp_path / "results", tmp_path / "runs", progress=False)
    names = {
        kind: [row["config"] for row in rows_of(tmp_path / "results" / f"t-{kind}.json")]
        for kind in ("float", "compressed", "quantized")
    }
    trained = {
        "float": ["dense", "floating"],
        "compressed": ["codes", "scratch", "taught"],
        "quantized": ["coded", "floating"],
    }
    assert names == trained
    rows = rows_of(tmp_path / "results" / "t-compressed.json")
    for row in rows:
        assert row["macs"] > 0 and row["parameters"] > 0
    begin = "python -m bench.results --queue models/queue.toml"
    assert [row["command"] for row in rows] == [
        f"{begin} --only dense --only codes --seed 0",
        f"{begin} --only scratch --seed 0",
        f"{begin} --only dense --only floating --only taught --seed 0",
    ]


def test_rows_of_all_rotations_have_the_vote_and_graphs_stand_in_the_row(tmp_path: Path) -> None:
    text = TOML.replace("WB", "4").replace("[teacher]\ndense = true\nepochs = 1\n", "")
    (tmp_path / "four.toml").write_text(
        text.replace("block = 2\n", 'block = 2\naugmentation = { rotation = "W", turns = 12 }\n')
    )
    path = tmp_path / "queue.toml"
    path.write_text('[[run]]\nconfig = "four.toml"\ndata = "solids:8"\ntopic = "t"\nseeds = [0]\n')
    folder = tmp_path / "results"
    assert run_queue(path, folder, tmp_path / "runs", graphs=True, progress=False) == 2
    for kind in ("float", "quantized"):
        (row,) = rows_of(folder / f"t-{kind}.json")
        assert 0 <= row["test_accuracy_voted"] <= 1 and 0 <= row["validation_balanced"] <= 1
        assert row["configuration"]["train"]["graphs"] and row["command"].endswith("--only four --seed 0 --graphs")
