"""The site: built without a warning, every link and anchor in it resolves, and nothing in it comes from the network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import DOCS, ROOT

#: Tags whose attribute a browser fetches by itself.
FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
    "link": "href",
}


def is_outside(address: str) -> bool:
    return re.match(r"(https?:)?//", address) is not None


class Page(HTMLParser):
    """Of an HTML page what it fetches, where its links lead, and the names in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        for key in ("id", "name"):
            if found.get(key):
                self.names.add(str(found[key]))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        if tag in FETCHED and found.get(FETCHED[tag]):
            self.fetched.append(str(found[FETCHED[tag]]))


def build(folder: Path, configuration: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder), "-f", str(configuration)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed: pip install 'qtt-hw[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file(), page
    assert not (site / "hooks.py").exists()


def test_every_link_and_anchor_resolves(site: Path) -> None:
    @cache
    def names(path: Path) -> set[str]:
        return Page(path).names

    for path in site.rglob("*.html"):
        if path.name == "404.html":  # whose links are absolute, as it is shown at any depth
            continue
        for link in Page(path).links:
            if re.match(r"[a-z]+:", link) or link == ".":
                continue
            target, _, anchor = unquote(link).partition("#")
            there = (path.parent / target).resolve() if target else path
            assert there.is_file(), f"{path.name}: {link}"
            if anchor and there.suffix == ".html":
                assert anchor in names(there), f"{path.name}: {link}"


def test_nothing_in_it_comes_from_the_network(site: Path) -> None:
    for path in site.rglob("*.html"):
        for address in Page(path).fetched:
            assert not is_outside(address), f"{path.name}: {address}"
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        for address in re.findall(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)", text):
            assert not is_outside("".join(address)), f"{path.name}: {address}"


def test_a_warning_ends_the_build(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'qtt-hw[docs]'")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n[two](#three) [four](five.md)\n", encoding="utf-8")
    validation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("validation:\n")[2].partition("nav:")[0]
    (tmp_path / "mkdocs.yml").write_text(f"site_name: x\nvalidation:\n{validation}", encoding="utf-8")
    done = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode == 1 and "#three" in done.stderr and "five.md" in done.stderr


def test_in_a_browser_it_is_read_and_searched_from_the_disk(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("chromium is not installed: apt install chromium")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((site / "index.html").as_uri())
        page.locator("input.md-search__input").wait_for()
        page.keyboard.press("/")
        page.keyboard.type("requantiser")
        page.locator(".md-search-result__item").first.wait_for(timeout=60_000)
        for width in (1280, 400):
            page.set_viewport_size({"width": width, "height": 900})
            for name in ("index.html", "results.html", "reference/command-line.html", "format.html"):
                page.goto((site / name).as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        browser.close()
    assert not said
    assert all(address.startswith(("file:", "data:", "blob:")) for address in asked)
