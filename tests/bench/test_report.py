"""The command that a benchmark's row names makes it again in another checkout."""

import re
import sys
from pathlib import Path

import pytest

from bench.report import command


def test_a_command_is_a_module_of_bench_with_results_and_data_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QTT_DATA", "/mine/data")
    given = ["/mine/tree/bench/proof.py", "a.qtt", "--data", "/mine/data/mnist", "--set", "a b", "-o", "/tmp/p.json"]
    monkeypatch.setattr(sys, "argv", given)
    wanted = "python -m bench.proof a.qtt --data $QTT_DATA/mnist --set 'a b' -o results/p.json"
    assert command(Path("/tmp/p.json")) == wanted


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "results").glob("*.json")), ids=lambda p: p.stem)
def test_no_row_names_a_path_of_the_machine_that_made_it(path: Path) -> None:
    commands = re.findall(r'"command": "(.*)"', path.read_text(encoding="utf-8"))
    assert not [line for line in commands if re.search(r"(^|[\s='])(/|~|\.\./)", line)]
