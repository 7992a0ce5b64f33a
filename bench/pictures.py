"""The pictures of the documentation: a report of the committed ModelNet10 network, opened in the system's Chromium.

    python -m bench.pictures -o docs/images

They show what `qtt report` makes of it for 1 000 frames a second; nothing is measured.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from qtt_hw.report.make import report

#: As the page names it: by its path in the repository.
MODEL = Path("models/voxtt-modelnet10.qtt")
#: Of the window, in pixels, at which everything is drawn.
WIDTH, HEIGHT = 1200, 860


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images"), help="folder of the pictures")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        page = Path(folder) / "report.html"
        report(MODEL, page, fps=1000)
        for path in taken(page, output):
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def taken(page: Path, output: Path) -> list[Path]:
    """Pictures of a report's head with a unit chosen, and of where its cycles go."""
    from playwright.sync_api import sync_playwright

    hardware, cycles = output / "report-hardware.png", output / "report-cycles.png"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        opened.goto(page.as_uri())
        # The line of links stays where the page begins, not over what is pictured.
        opened.add_style_tag(
            content="nav { position: static !important; } .canvas, .detail { height: 560px !important; }"
        )
        opened.locator("[data-unit='3']").click()
        opened.mouse.move(2, 2)
        opened.evaluate("window.scrollTo(0, 0); document.querySelector('.canvas').scrollTop = 0")
        legend = opened.locator(".keys").bounding_box()
        assert legend is not None
        height = legend["y"] + legend["height"] + 16
        opened.screenshot(path=hardware, clip={"x": 0, "y": 0, "width": WIDTH, "height": height}, full_page=True)
        timeline = opened.locator("#cycles-timeline .card")
        timeline.screenshot(path=cycles)
        browser.close()
    return [hardware, cycles]


if __name__ == "__main__":
    main()
