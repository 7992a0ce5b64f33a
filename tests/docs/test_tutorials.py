"""The tutorials: their files are written, their commands called in order, and what they show is what comes out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, blocks

TUTORIALS = DOCS / "tutorials"


def shell(command: str, folder: Path) -> str:
    """What a command line prints on stdout; the environment's programs and this checkout are found by their names."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def plain(line: str) -> str:
    """A line without its figures, which change with versions and machines, and with single spaces."""
    return " ".join(re.sub(r"[-+]?\d(?:[\d .,]*\d)?", "#", line).split())


def shown_in_order(text: str, printed: str, where: str) -> None:
    """Every line of a page's text begins a line that was printed, behind the one before it."""
    lines = iter(plain(line) for line in printed.splitlines())
    for wanted in map(plain, text.splitlines()):
        assert any(line.startswith(wanted) for line in lines), f"{where}: {wanted!r} is not printed: {printed}"


def run(page: Path, folder: Path, *, steps: int | None = None) -> str:
    """All of a tutorial, or its first console blocks; what the last one printed."""
    script = "\n".join(block.text for block in blocks(page, "python") if block.title is None)
    if script:
        (folder / "example.py").write_text(script, encoding="utf-8")
    printed, done = "", 0
    for block in blocks(page):
        if block.title is not None:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            if done == steps:
                break
            printed, done = "", done + 1
            for line in block.text.splitlines():
                assert line.startswith("$ "), line
                printed += shell(line.removeprefix("$ "), folder)
        elif block.language == "text":
            shown_in_order(block.text, printed, page.name)
    return printed


@pytest.mark.long
def test_own_module_runs_from_module_and_data_to_an_equal_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    page = TUTORIALS / "own-module.md"
    assert blocks(page, "console")[0].text == "$ python example.py\n"
    printed = run(page, tmp_path, steps=1)
    found = re.search(r"^(\d\.\d+) of (\d+) test samples", printed, re.MULTILINE)
    assert found is not None and float(found[1]) > 0.8 and int(found[2]) == 40
    assert {"own.npz", "own.qtt", "own-build"} <= {path.name for path in tmp_path.iterdir()}
    # LUTs depend on what was trained, and so on the machine.
    line = r"^(\d+ cycles, \d+ DSP, \d+ block RAM), (\d+) LUT$"
    (there, luts), (said, luts_said) = (re.findall(line, text, re.MULTILINE)[0] for text in (printed, page.read_text()))
    assert there == said and abs(int(luts) - int(luts_said)) <= 0.03 * int(luts)


@pytest.mark.long
@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*.md")), ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(page: Path, tmp_path: Path) -> None:
    try:
        run(page, tmp_path)
    finally:
        for started in tmp_path.glob("*.pid"):  # in the background, where the page did not come to its end
            with suppress(ProcessLookupError):
                os.kill(int(started.read_text()), signal.SIGTERM)


def test_what_a_tutorial_shows_has_to_be_printed() -> None:
    shown_in_order("video, frozen\n  weights 5 592 bytes\n", "video, frozen\n\n  weights    1 234 bytes  \n", "page")
    with pytest.raises(AssertionError, match="is not printed"):
        shown_in_order("  equal  yes\n", "  equal   NO\n", "page")
    with pytest.raises(AssertionError, match="is not printed"):
        shown_in_order("two\none\n", "one\ntwo\n", "page")
