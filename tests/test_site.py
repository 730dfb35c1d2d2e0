"""The documentation as a site: every page is in its menu, links hold, a search finds, nothing is from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import privaudit
from tests.conftest import ROOT
from tests.pages import anchors_of

DOCS = ROOT / "docs"
SITE: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))

#: Made from docstrings.
API = "python.md"


def menu(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, dict):
            for below in entry.values():
                yield from [below] if isinstance(below, str) else menu(below)
        else:
            yield entry


def test_every_page_is_in_the_menu_once() -> None:
    pages = list(menu(SITE["nav"]))
    assert len(set(pages)) == len(pages)
    own = {page for page in pages if not page.startswith("project/")}
    assert own == {page.name for page in DOCS.glob("*.md")} | {API}
    assert all((ROOT / page.removeprefix("project/")).is_file() for page in set(pages) - own)


def test_nothing_of_the_site_is_asked_of_the_network() -> None:
    """Fonts come from Google, and stars of a repository from GitHub, unless they are left out."""
    assert SITE["theme"]["font"] is False
    assert {"repo_url", "extra_javascript", "extra_css", "extra"} & set(SITE) == set()
    assert "```mermaid" not in "".join(page.read_text("utf-8") for page in DOCS.glob("*.md"))


class Page(HTMLParser):
    """What a page loads, what it links to, and what may be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given.get("id") or "", given.get("name") or ""}
        if tag == "a" and given.get("href"):
            self.linked.append(str(given["href"]))
        elif tag != "link" or given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded += [str(given[name]) for name in ("src", "href", "srcset") if given.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("material", "griffe"):
        pytest.importorskip(module, reason="pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.slow
def test_links_hold_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    # Reports of the gallery are pages of their own, which their own tests look at.
    read = {path: Page(path) for path in site.rglob("*.html") if not (path.parent / "report.json").exists()}
    pages = {path: page for path, page in read.items() if path.name not in ("report.html", "404.html")}
    pages[site / "report.html"] = read[site / "report.html"]
    assert len(pages) > 25
    for path, page in pages.items():
        assert not [url for url in page.loaded if urlsplit(url).netloc], path
        for url in page.loaded + page.linked:
            target, anchor = urlsplit(url), unquote(urlsplit(url).fragment)
            if target.scheme or target.netloc:
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            assert file.is_relative_to(site.resolve()), f"{path.name}: {url}"
            assert file.exists(), f"{path.name}: {url}"
            if anchor and file in pages:
                assert anchor in pages[file].anchors or anchor.startswith("__"), f"{path.name}: {url}"


@pytest.mark.slow
def test_headings_are_named_as_in_the_repository(site: Path) -> None:
    for page in sorted(DOCS.glob("*.md")):
        name = "index" if page.name == "README.md" else page.stem
        assert anchors_of(page) <= Page(site / f"{name}.html").anchors, page.name


@pytest.mark.slow
def test_a_search_finds_and_the_api_is_whole(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))["docs"]
    found = {entry["location"].partition("#")[0] for entry in index if "clopper" in entry["text"].lower()}
    assert "methods.html" in found
    titles = {entry["title"] for entry in index if entry["location"].startswith("python.html#")}
    assert {f"privaudit.{name}" for name in privaudit.__all__ if name != "__version__"} <= titles
    (score,) = [entry["text"] for entry in index if entry["title"] == "privaudit.score"]
    assert "Number of shadow models; they come in pairs." in score
    assert "ScoreAnswer" in score
