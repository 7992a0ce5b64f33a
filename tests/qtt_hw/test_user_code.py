"""A user's file: loaded whatever is in it, and every fault of it told in one line with its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import boards
from qtt_hw.data import load
from qtt_hw.freezing import check_source
from qtt_hw.user_code import call, load_module, load_name, running

DATACLASSES = """from __future__ import annotations
from dataclasses import dataclass, field, replace
from typing import ClassVar
import numpy as np
from torch import nn
import boards

@dataclass
class Sizes:
    kind: ClassVar[str] = "sizes"
    widths: list[int] = field(default_factory=lambda: [4])

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv3d(1, Sizes().widths[0], 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 27, 2))

@dataclass
class Dataset:
    x: np.ndarray = field(default_factory=lambda: np.arange(40 * 27, dtype=np.uint8).reshape(40, 3, 3, 3))
    y: np.ndarray = field(default_factory=lambda: np.arange(40) % 2)

@dataclass(frozen=True)
class Mine(boards.Board):
    revision: ClassVar[int] = 2

Board = replace(boards.load("ulx3s-85f"), name="mine")
"""


def test_dataclasses_with_postponed_annotations(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(DATACLASSES)
    assert check_source(f"{path}:Net", (1, 5, 5, 5)).supported
    assert len(load(f"{path}:Dataset").train) == 32
    assert boards.load(f"{path}:Board").name == "mine"


def test_it_is_executed_anew_and_as_it_stands_now(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    for value in (1, 2):  # within one tick of the file's time, and of the same size
        path.write_text(f"value = {value}")
        assert load_name(path, "value") == value
    assert not list(tmp_path.glob("__pycache__"))


def test_files_and_helpers_of_the_same_name_in_two_folders(tmp_path: Path) -> None:
    modules = []
    for name in ("a", "b"):
        (tmp_path / name / "parts").mkdir(parents=True)
        (tmp_path / name / "helper.py").write_text(f"value = '{name}'")
        (tmp_path / name / "parts" / "__init__.py").write_text(f"value = '{name}'")
        (tmp_path / name / "own.py").write_text(
            "import helper, parts\nvalue = helper.value + parts.value\n"
            "def late():\n    import helper\n    return helper.value"
        )
        modules.append(load_module(tmp_path / name / "own.py"))
        assert call(tmp_path / name / "own.py", "late") == name
    assert [module.value for module in modules] == ["aa", "bb"]
    assert modules[0].__name__ != modules[1].__name__ and str(tmp_path / "a") not in sys.path


def test_a_module_that_was_imported_before_is_not_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept_helper.py").write_text("")
    (tmp_path / "own.py").write_text("import kept_helper\nvalue = kept_helper")
    monkeypatch.syspath_prepend(tmp_path)
    import kept_helper  # type: ignore[import-not-found]

    for _ in range(2):
        assert load_name(tmp_path / "own.py", "value") is kept_helper is sys.modules["kept_helper"]
    monkeypatch.delitem(sys.modules, "kept_helper")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", r"1: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("\n\nx = 1 / 0", r"3: ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError\nf()", r"2: KeyError: without a message"),
        ("x = (", r"1: SyntaxError: '\(' was never closed"),
        ("def f():\nx = 1", r"2: IndentationError: expected an indented block"),
        ("import sys\nsys.exit(0)", r"2: SystemExit: 0"),
        ("class Odd(BaseException): pass\nraise Odd('two\\nlines')", r"2: Odd: two lines"),
        ("def f(): f()\nf()", r"1: RecursionError: maximum recursion depth exceeded"),
        ("import warnings\nwarnings.warn('old', DeprecationWarning)", r"2: DeprecationWarning: old"),
    ],
)
def test_whatever_it_raises_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    before = dict(sys.modules)
    with pytest.raises(ValueError, match=f"^{path}:{message}") as error:
        load_module(path)
    assert "\n" not in str(error.value)
    assert not [name for name in set(sys.modules) - set(before) if name.startswith("qtt_user")]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_bytes(b"x = '\xff'\0")
    with pytest.raises(ValueError, match=rf"^{path}(:\d+)?: (SyntaxError|ValueError): "):
        load_module(path)


def test_what_is_not_there_is_named_with_what_comes_nearest(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("class Network: pass\nnumber = 3\ndef fails(a):\n    a += 1\n    raise OSError(2, 'gone')")
    for missing, message in ((tmp_path / "none.py", "no such file"), (tmp_path, "is a folder; expected a Python file")):
        with pytest.raises(ValueError, match=f"^{missing}: {message}$"):
            load_name(missing, "Network")
    (tmp_path / "own.txt").write_text("x = 1")
    with pytest.raises(ValueError, match="own.txt: is not called as a Python file is"):
        load_module(tmp_path / "own.txt")
    with pytest.raises(ValueError, match=f"^{path}: has no class or function Netwrok; did you mean Network\\?$"):
        load_name(path, "Netwrok")
    with pytest.raises(ValueError, match=f"^{path}: has no class or function quite_else$"):
        load_name(path, "quite_else")
    with pytest.raises(ValueError, match=f"^{path}:number: is a int, expected a class or a function$"):
        call(path, "number")
    other = tmp_path / "network.py"
    other.write_text("from torch import nn\nnet = nn.Sequential(nn.Flatten())")
    with pytest.raises(ValueError, match=f"^{other}:net: is a Sequential, expected a class or a function$"):
        call(other, "net")
    with pytest.raises(
        ValueError, match=rf"^{path}:fails: TypeError: fails\(\) got an unexpected keyword argument 'b'"
    ):
        call(path, "fails", b=1)
    with pytest.raises(ValueError, match=rf"^{path}:5: fails: FileNotFoundError: \[Errno 2\] gone$"):
        call(path, "fails", a=1)


def test_an_interruption_stays_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), running(tmp_path / "own.py"):
        raise KeyboardInterrupt
