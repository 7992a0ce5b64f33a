"""Progress is told through one protocol, whatever the work."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import qtt_hw
from qtt_hw.progress import amount, in_words, part_of

ROOT = Path(str(qtt_hw.__file__)).parent.parent


def test_words() -> None:
    assert (amount(3, 12.0), amount(1234567, 12345678), amount(2.5, 0)) == ("3/12", "1234567/12345678", "")
    assert in_words("search") == "search"
    assert in_words("search", text="between 17 and 99 cycles") == "search: between 17 and 99 cycles"
    assert in_words("cosim", 12, 300) == "cosim: 12/300"
    assert in_words("train: float", 1, 3, "loss 0.693") == "train: float: 1/3 loss 0.693"


def test_steps_of_a_part_are_words_about_it() -> None:
    told: list[tuple[str, str]] = []
    part = part_of(lambda step, done=0, total=0, text="": told.append((step, text)), "plan")
    part("search", text="the foldings of every stage")
    part("depths of FIFOs", 1, 3)
    assert told == [("plan", "search: the foldings of every stage"), ("plan", "depths of FIFOs: 1/3")]


def _parameters(path: Path) -> Iterator[tuple[str, str, str | None]]:
    """(function, annotation, default) of every parameter of a file that is named progress."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        plain = [*node.args.posonlyargs, *node.args.args]
        defaults = [*[None] * (len(plain) - len(node.args.defaults)), *node.args.defaults, *node.args.kw_defaults]
        for argument, default in zip([*plain, *node.args.kwonlyargs], defaults, strict=True):
            if argument.arg == "progress":
                assert argument.annotation is not None, f"{path}: {node.name}"
                yield node.name, ast.unparse(argument.annotation), None if default is None else ast.unparse(default)


@pytest.mark.parametrize("package", ["qtt_hw", "rtl_gen", "sim", "boards"])
def test_all_that_tell_progress_take_the_one_protocol_and_are_silent_unless_asked(package: str) -> None:
    found = 0
    for path in (ROOT / package).rglob("*.py"):
        for function, annotation, default in _parameters(path):
            if function != "run_queue":  # whose bars are drawn or not
                assert (annotation, default or "silent") == ("Progress", "silent"), f"{path}: {function}"
            found += 1
    assert found
