"""A headless Chromium of the system, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.conftest import ROOT

#: Set to anything, a browser that is not there fails the tests instead of skipping them.
DEMANDED = "PRIVAUDIT_DEMAND_BROWSER"

#: Where ``make browser`` puts axe-core.
AXE = ROOT / "build" / "node_modules" / "axe-core" / "axe.min.js"


def absent(what: str) -> NoReturn:
    """Skip, or fail where a browser is demanded."""
    reason = f"{what} is not here: make browser brings it (as root, on Debian)"
    if os.environ.get(DEMANDED):
        pytest.fail(reason)
    pytest.skip(reason)


def find_chromium() -> str:
    """The system's Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return found
    absent("Chromium")


def find_axe() -> str:
    """The source of axe-core."""
    if not AXE.is_file():
        absent("axe-core")
    return AXE.read_text("utf-8")


@contextmanager
def opened_browser() -> Iterator[Any]:
    """A headless Chromium that can reach nothing but files."""
    from playwright.sync_api import sync_playwright

    executable = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, everything that it said on the console, and every request that it made."""

    def __init__(
        self, browser: Any, path: Path, *, width: int = 1100, height: int = 900, scheme: str = "light"
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.absolute().as_uri())

    def requests_beyond(self, path: Path) -> list[str]:
        """Requests for anything but the file itself and what it holds."""
        return [url for url in self.asked if url != path.absolute().as_uri() and not url.startswith("data:")]
