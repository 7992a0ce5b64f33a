"""The documents: commands, options, configurations and files that they name exist, and their links lead somewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import qtt_hw
from qtt_hw.cli import main
from qtt_hw.training.config import Config, config_from
from tests.docs.pages import DOCS, ROOT, blocks, commands, pages, prose

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}


@cache
def help_of(verb: str) -> str:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert main([verb, "--help"]) == 0, verb
    return shown.getvalue()


@cache
def hooks() -> ModuleType:
    """docs/hooks.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def anchors(page: Path) -> set[str]:
    """The names of a page's headings, those that are taken from the code included."""
    text = hooks().on_page_markdown(prose(page)) if page.is_relative_to(DOCS) else prose(page)
    found = set()
    for heading in re.findall(r"^#{1,6} (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower()).strip()
        found.add(re.sub(r"[-\s]+", "-", words))
    return found


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose(page))):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.is_file(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.name}: {target}: {sorted(anchors(there))}"


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[two](#one) [three](#two)\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="page.md: #two"):
        test_links_lead_somewhere(page)


COMMANDS = sorted({command for page in PAGES.values() for command in commands(page) if command.startswith("qtt ")})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_and_their_options_exist(command: str) -> None:
    _, verb, *rest = command.split()
    if verb.startswith("-"):
        verb, rest = "--help", [verb, *rest]
    for option in re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(rest)):
        assert re.search(rf"(?<![\w-]){option}\b", help_of(verb)), option


def test_every_verb_and_section_stands_in_the_reference() -> None:
    found = hooks()
    assert {"train", "plan", "cosim", "build", "demo"} <= set(found.verbs())
    shown = found.on_page_markdown((DOCS / "reference" / "command-line.md").read_text(encoding="utf-8"))
    table = re.findall(r"^\| `qtt ([a-z]+)", shown, re.MULTILINE)
    for verb in found.verbs():
        assert f"## qtt {verb}\n" in shown and "Usage: qtt " + verb in shown
        assert verb in table, f"docs/reference/command-line.md: no line of qtt {verb} in its table"
    shown = found.on_page_markdown((DOCS / "reference" / "configuration.md").read_text(encoding="utf-8"))
    for name in Config.model_fields:
        if name != "source":
            assert f"## [{name}]\n" in shown
    assert "| `weight_bits` | whole number from 2 to 8 | `4` |" in shown
    assert "<!-- from the code" not in shown
    with pytest.raises(ValueError, match="no such part, but command line and configuration"):
        found.on_page_markdown("<!-- from the code: nothing -->")


def test_every_public_name_stands_in_the_reference() -> None:
    text = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    named = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    wanted = {f"{getattr(qtt_hw, name).__module__}.{name}" for name in qtt_hw.__all__}
    assert sorted(named) == sorted(wanted), "docs/reference/python.md: a line `::: module.name` for each"


TOML = [(name, block.text) for name, page in PAGES.items() for block in blocks(page, "toml")]


@pytest.mark.parametrize(("name", "text"), TOML, ids=[name for name, _ in TOML])
def test_configurations_are_valid(name: str, text: str) -> None:
    assert config_from(tomllib.loads(text), name).model.name in ("net.py:Net", "voxtt")


def test_the_board_of_the_page_is_one(tmp_path: Path) -> None:
    from boards import load

    (block,) = blocks(DOCS / "how-to" / "board.md", "python")
    assert block.title is not None
    (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    assert load(f"{tmp_path / block.title}:BOARD").name == "my-board"


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_files_that_are_named_are_there(page: Path) -> None:
    packages = [ROOT, *(ROOT / name for name in ("qtt_hw", "rtl_gen"))]
    packages += [folder for package in packages[1:] for folder in package.iterdir()]
    written = {block.title for block in blocks(page)} | {"net.py", "own.toml", "example.py"}
    for name in sorted(set(re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.(?:py|cpp|toml))`", prose(page)))):
        if name.endswith("/x.py") or name in written:  # what is to be added, or the reader's
            continue
        assert any((place / name).is_file() for place in packages), f"{page.name} names {name}"


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES.values():
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"^    make ([\w-]+)|`make ([\w-]+)`", text, re.MULTILINE):
            assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), f"{page.name}: make {''.join(target)}"


def test_the_readme_s_commands_are_those_of_continuous_integration() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^    make (\w+)", readme, re.MULTILINE) == ["demo", "test"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "make test" in script
    assert len(readme.splitlines()) <= 110, "it is read in three minutes"
