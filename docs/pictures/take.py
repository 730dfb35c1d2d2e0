"""Take the pictures at the head of the README from a reference report: ``make screenshots``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
#: Few colours make small files; a page has few.
COLOURS = 128


def save(page: Page, name: str, clip: dict[str, float]) -> None:
    """One part of the page as a small PNG."""
    shot = page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(HERE / name, optimize=True)


def take(report: Path, chromium: str) -> None:
    """Page 1, and the explorer with a sample chosen on a dark screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1060, "height": 900}, color_scheme="light")
        page.goto(report.absolute().as_uri())
        save(page, "report.png", {"x": 0, "y": 0, "width": 1060, "height": 1180})
        page = browser.new_page(viewport={"width": 1060, "height": 900}, color_scheme="dark")
        page.goto(report.absolute().as_uri())
        page.locator(".viewport tbody tr[data-position]").nth(4).click()
        page.mouse.move(0, 0)
        box = page.locator("section.explorer").bounding_box()
        assert box is not None
        save(page, "explorer.png", {"x": 0, "y": box["y"] + page.evaluate("scrollY"), "width": 1060, "height": 1010})
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]), sys.argv[2])
