"""Reports as a person opens them: in a browser without a network, at two widths, light and dark, and clicked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qtt_hw

MODELS = Path(__file__).parents[2] / "models"
#: Widths of a desk's and of a pocket's screen, in pixels.
WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, without a head."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium; on Debian: apt install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'qtt-hw[dev]'")
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def modelnet10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the committed network's BUILD at 1 000 frames a second."""
    folder = tmp_path_factory.mktemp("modelnet10")
    qtt_hw.emit(
        MODELS / "voxtt-modelnet10.qtt", folder / "build", qtt_hw.plan(MODELS / "voxtt-modelnet10.qtt", fps=1000)
    )
    before = time.process_time()
    found = qtt_hw.report(folder / "build", folder / "report.html")
    # Of this process alone, whatever else the machine does; with the bitstream's search left out there is no other.
    assert time.process_time() - before < 20
    assert found.bytes == (folder / "report.html").stat().st_size < 8_000_000
    return folder / "report.html"


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network with branches; slow, so that it is planned in seconds."""
    path = tmp_path_factory.mktemp("residual") / "report.html"
    found = qtt_hw.report(MODELS / "resnet20-cifar10.qtt", path, fps=100, neighbours=False)
    assert found.bytes < 8_000_000
    return path


class Opened:
    """A page with all that it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str = "light"):
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.set_default_timeout(300_000)  # on a busy machine a page of megabytes takes its time
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def drawn(self) -> list[int]:
        """How many paths, bars, cells and points each figure has; none of one that was not drawn."""
        marks = ".scatterlayer path, .barlayer path, .heatmaplayer image, .plot image, canvas, .pie path, .treemap path"
        return self.page.eval_on_selector_all(
            ".chart", f"all => all.map(one => one.querySelectorAll('{marks}').length)"
        )

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.parametrize("which", [pytest.param("modelnet10", marks=pytest.mark.long), "residual"])
def test_a_report_opens_offline_at_two_widths(which: str, browser: Any, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(which)
    for width, scheme in zip(WIDTHS, ("light", "dark"), strict=True):
        opened = Opened(browser, path, width, scheme)
        assert opened.complaints == [] and opened.requests == [path.as_uri()]
        drawn = opened.drawn()
        assert len(drawn) >= 5 and min(drawn) > 0
        assert opened.overflow() <= 0
        _chooses(opened.page)
        if which == "residual" and width == WIDTHS[0]:
            _shows_forks_and_fifos(opened.page)
        assert opened.complaints == [] and opened.requests == [path.as_uri()] and opened.overflow() <= 0
        opened.page.close()


def _chooses(page: Any) -> None:
    """Each kind of unit is told of when it is clicked, by mouse or by keyboard, and let go of when clicked again."""
    detail = page.locator(".detail > article:visible")
    assert page.locator(".detail > article:visible h3").inner_text() != "Input"
    unit = page.locator("[data-unit='1']")
    unit.click()
    assert detail.count() == 1 and "layer" in detail.inner_text() and "ring of inputs" in detail.inner_text()
    assert unit.get_attribute("class") == "unit chosen"
    unit.click()
    assert detail.get_attribute("id") == "unit-none"
    last = page.locator("[data-unit]").last
    last.focus()
    page.keyboard.press("Enter")
    assert page.locator(".detail > article:visible h3").inner_text() == "Argmax"


def _shows_forks_and_fifos(page: Any) -> None:
    """Of nine blocks, each of which begins with a fork and ends with a sum."""
    assert page.locator("svg.network text", has_text="FIFO").count() == 9
    page.locator("[data-unit]", has=page.locator(".fifo")).first.click()
    told = page.locator(".detail > article:visible").inner_text()
    assert "FIFO before stages." in told and "the least at full rate" in told
    assert page.locator("circle.fork").count() == 9
