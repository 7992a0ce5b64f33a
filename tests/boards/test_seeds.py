"""Seeds side by side: which is kept, what is said of the others, and that nothing is left of them."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boards.seeds
from boards.build import measure
from boards.place import Placement, TooLarge
from boards.seeds import MOST_SEEDS, SEEDS, SeedResults, place_seeds
from qtt_hw.children import processors
from rtl_gen.families import device

DEVICE = device("ecp5-25f")
#: MHz of two clocks by seed, or why there are none.
FASTER: dict[int, Any] = {3: (90.0, 70.0), 4: (60.0, 90.0), 5: (71.0, 80.0), 6: (99.0, 71.0)}


@pytest.fixture
def placer(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, Any]], list[int]]:
    """(what comes of each seed) to the seeds that were begun: `place` is one that writes files and reports that."""

    def fake(found: dict[int, Any]) -> list[int]:
        begun: list[int] = []

        def place(work: Path, device: Any, *, seed: int, netlist: Path, progress: Any, **options: Any) -> Placement:
            begun.append(seed)
            assert netlist.is_file() and netlist.parent != work and options["frequency_mhz"] == 50
            progress("place and route", text="Routing")
            (work / "nextpnr.log").write_text(f"log {seed}")
            if isinstance(found[seed], Exception):
                raise found[seed]
            for name in ("placed.config", "report.json"):
                (work / name).write_text(f"{name} {seed}")
            return Placement(dict(zip("ab", found[seed], strict=False)), {"DP16KD": seed}, {})

        monkeypatch.setattr(boards.seeds, "place", place)
        monkeypatch.setattr(boards.seeds, "prepare", lambda *given: None)
        return begun

    return fake


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "netlist.json").write_text("{}")
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_fastest_is_kept_and_the_lowest_of_several(placer: Any, work: Path, processes: int) -> None:
    placer(FASTER)
    told: list[tuple[float, float, str]] = []
    found = place_seeds(
        *(work, DEVICE),
        first=3,
        count=4,
        frequency_mhz=50,
        processes=processes,
        progress=lambda step, done=0, total=0, text="": told.append((done, total, text)),
    )
    assert found.kept == 5 and found.best.used == {"DP16KD": 5}
    results = found.results
    assert [(each.seed, each.fmax_mhz, each.failure) for each in results.tried] == [
        *((3, 70.0, None), (4, 60.0, None), (5, 71.0, None), (6, 71.0, None))
    ]
    assert (results.kept, results.median_mhz, results.least_mhz, results.most_mhz) == (5, 70.5, 60.0, 71.0)
    assert SeedResults.model_validate_json(results.model_dump_json()) == results
    assert contents(work) == {
        "netlist.json": "{}",
        **{"nextpnr.log": "log 5", "placed.config": "placed.config 5", "report.json": "report.json 5"},
    }
    assert not [path for path in work.iterdir() if path.is_dir()]
    assert {text for _, _, text in told} == {f"seed {seed}: Routing" for seed in FASTER}
    assert all(total == 4 and 0 <= done < 4 for done, total, _ in told)
    assert max(done for done, _, _ in told) >= 4 - processes


def test_what_a_seed_cannot_place_does_not_spoil_the_others(placer: Any, work: Path) -> None:
    placer({1: ValueError("nextpnr failed: ERROR: 1"), 2: (50.0,), 3: ValueError("nextpnr failed: ERROR: 3")})
    found = place_seeds(work, DEVICE, count=3, frequency_mhz=50)
    assert found.kept == 2 and contents(work)["nextpnr.log"] == "log 2"
    assert [each.failure for each in found.results.tried] == [
        *("nextpnr failed: ERROR: 1", None, "nextpnr failed: ERROR: 3")
    ]
    assert [each.seed for each in found.results.failures] == [1, 3] and found.results.median_mhz == 50


def test_when_all_fail_the_first_reason_is_said_and_its_log_left(placer: Any, work: Path) -> None:
    placer({number: ValueError(f"nextpnr failed: ERROR: {number}") for number in (7, 8, 9)})
    with pytest.raises(ValueError, match="^nextpnr failed: ERROR: 7$"):
        place_seeds(work, DEVICE, first=7, count=3, frequency_mhz=50)
    assert contents(work) == {"netlist.json": "{}", "nextpnr.log": "log 7"}


def test_too_large_is_so_from_every_seed(placer: Any, work: Path) -> None:
    begun = placer({number: TooLarge("the design does not fit") for number in range(1, 101)})
    with pytest.raises(ValueError, match="^the design does not fit$"):
        place_seeds(work, DEVICE, count=100, frequency_mhz=50, processes=2)
    assert len(begun) < 100 and contents(work) == {"netlist.json": "{}", "nextpnr.log": "log 1"}


def test_designs_without_a_clock_are_all_alike(placer: Any, work: Path) -> None:
    placer({1: (), 2: ()})
    found = place_seeds(work, DEVICE, count=2, frequency_mhz=50)
    results = found.results
    assert found.kept == 1 and [each.failure for each in results.tried] == [None, None]
    assert (results.median_mhz, results.least_mhz, results.most_mhz) == (None, None, None)


def test_as_many_at_a_time_as_there_are_processors(placer: Any, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placer({seed: (50.0,) for seed in range(1, 8)})
    quick, lock, now, most = boards.seeds.place, threading.Lock(), 0, 0

    def slow(*given: Any, **options: Any) -> Placement:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        return quick(*given, **options)

    monkeypatch.setattr(boards.seeds, "place", slow)
    monkeypatch.setattr(boards.seeds, "processors", lambda: 3)
    place_seeds(work, DEVICE, count=7, frequency_mhz=50)
    assert most == 3
    assert processors() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("seed", "seeds", "message"),
    [
        (-1, 1, f"seed must be 0 to {SEEDS - 1}, got -1"),
        (1, 0, f"seeds must be 1 to {MOST_SEEDS}, got 0"),
        (1, 1001, f"seeds must be 1 to {MOST_SEEDS}, got 1001"),
        (SEEDS - 1, 2, f"seeds must be at most {SEEDS - 1}, got 2 from {SEEDS - 1} on"),
    ],
)
def test_seeds_that_are_none_are_refused_before_anything_runs(
    tmp_path: Path, seed: int, seeds: int, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        measure([tmp_path / "missing.v"], "block", seed=seed, seeds=seeds)


COUNTER = """
module counter(input clk, input [15:0] step, output reg [15:0] count);
    always @(posedge clk) count <= (count ^ step) * 3 + step;
endmodule
"""


def test_seeds_of_nextpnr(tmp_path: Path) -> None:
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    kept = tmp_path / "it's kept"
    several = measure([source], "counter", device="ecp5-12f", seed=4, seeds=3, work=kept)
    alone = {seed: measure([source], "counter", device="ecp5-12f", seed=seed) for seed in (4, several["seed"])}
    tried = {each["seed"]: each["fmax_mhz"] for each in several["seeds"]["tried"]}
    assert list(tried) == [4, 5, 6] and len(set(tried.values())) > 1
    assert several["fmax_mhz"] == max(tried.values()) == several["seeds"]["most_mhz"]
    assert {seed: found["fmax_mhz"] for seed, found in alone.items()} == {seed: tried[seed] for seed in alone}
    assert alone[4]["seeds"]["tried"] == [{"seed": 4, "fmax_mhz": tried[4], "failure": None}]
    achieved = json.loads((kept / "report.json").read_text())["fmax"]
    assert [round(each["achieved"], 2) for each in achieved.values()] == [several["fmax_mhz"]]
    assert (kept / "nextpnr.log").is_file() and not [path for path in kept.iterdir() if path.is_dir()]


SCRIPT = """
import os, sys
from pathlib import Path
import boards.place, boards.seeds
from boards.seeds import place_seeds
from qtt_hw.process import run_command
from rtl_gen.families import device

work = Path(sys.argv[1])
# in nextpnr's place something that lasts, with a child of its own
lasting = "echo $$ > pid; sleep 600 & echo $! > child; wait"
boards.place._command = lambda tool: ["sh", "-c", lasting, "sh"]
boards.seeds.prepare = lambda *given: None
place = lambda: place_seeds(work, device("ecp5-25f"), count=5, frequency_mhz=50, processes=2)
sys.exit(run_command("seeds", lambda: place() and 0))
"""


def gone(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_leaves_nothing(work: Path, number: signal.Signals, default_signals: None) -> None:
    source = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": source}
    child = subprocess.Popen([sys.executable, "-c", SCRIPT, str(work)], env=environment, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while len(files := [*work.glob(".seeds.*/*/child")]) < 2 or not all(file.read_text() for file in files):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        pids = [int(path.read_text()) for path in work.glob(".seeds.*/*/*") if path.name in ("pid", "child")]
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    finally:
        child.kill()
    assert (child.returncode, said.decode()) == (
        128 + number,
        f"seeds: {'interrupted' if number == signal.SIGINT else 'terminated'}\n",
    )
    deadline = time.monotonic() + 10
    while not all(map(gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(pids) == 4 and all(map(gone, pids))
    assert contents(work) == {"netlist.json": "{}"}
