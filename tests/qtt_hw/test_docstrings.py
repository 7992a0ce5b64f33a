"""The public names' docstrings: their sections, every parameter by name, and examples that run as they stand."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest

import qtt_hw

MODELS = Path(__file__).parents[2] / "models"


def sections(name: str) -> dict[str, str]:
    """The text of a docstring's numpydoc sections, by title; what stands before the first is under ''."""
    text = inspect.cleandoc(getattr(qtt_hw, name).__doc__ or "")
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def documented(text: str) -> list[str]:
    """The names that a Parameters section describes, in order."""
    entries = [line.split(" : ")[0] for line in re.findall(r"^\S.*$", text, re.MULTILINE)]
    return [name.strip().lstrip("*") for entry in entries for name in entry.split(",")]


def doctests(name: str) -> list[doctest.DocTest]:
    """Those of a public name, its methods included."""
    found = getattr(qtt_hw, name)
    tests = doctest.DocTestFinder(exclude_empty=True).find(found, name, globs={})
    return [test for test in tests if test.examples]


@pytest.mark.parametrize("name", qtt_hw.__all__)
def test_a_docstring_says_what_it_computes_and_names_every_parameter(name: str) -> None:
    found = sections(name)
    assert found[""].splitlines()[0].endswith("."), "the first line is a sentence"
    signature = inspect.signature(getattr(qtt_hw, name))
    assert documented(found.get("Parameters", "")) == list(signature.parameters)
    if inspect.isfunction(getattr(qtt_hw, name)):
        assert found.get("Returns", "").strip()
    raised = re.findall(r"^(?:[\w.]+\.)?(\w+): ", found["Examples"], re.MULTILINE)
    assert all(error in found["Raises"] for error in raised if error.endswith("Error")), "what the examples raise"


@pytest.mark.parametrize("name", qtt_hw.__all__)
def test_a_docstring_has_an_example_that_runs(name: str) -> None:
    examples = doctest.DocTestParser().get_examples(sections(name)["Examples"])
    running = [example for example in examples if not example.options.get(doctest.SKIP)]
    assert any(not example.source.startswith(("import ", "from ")) for example in running)


@pytest.mark.parametrize("name", qtt_hw.__all__)
def test_the_examples_hold(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder but for the committed models, as `models`."""
    (tmp_path / "models").symlink_to(MODELS)
    monkeypatch.chdir(tmp_path)
    for test in doctests(name):
        said: list[str] = []
        result = doctest.DocTestRunner().run(test, out=said.append)
        assert not result.failed, "".join(said)
