"""The report's words that depend on no figure: the Markdown files in ``report/texts``, each text below its name.

``## limits.always`` begins an entry. What follows is its text, a paragraph each, or a list of terms: a line with the
term, and below it ``: its meaning``.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files as resources


@cache
def entries() -> dict[str, list[str]]:
    """Return every text by its name, a string a paragraph."""
    folder = resources("privaudit.report").joinpath("texts")
    found = [re.split(r"^## (\S+)$", file.read_text("utf-8"), flags=re.MULTILINE)[1:] for file in folder.iterdir()]
    return {
        name: [part.strip() for part in re.split(r"\n{2,}", content) if part.strip()]
        for parts in found
        for name, content in zip(parts[::2], parts[1::2], strict=True)
    }


def texts(name: str) -> list[str]:
    """Return the paragraphs of an entry."""
    return [" ".join(part.split()) for part in entries()[name]]


def text(name: str) -> str:
    """Return an entry of one paragraph."""
    (found,) = texts(name)
    return found


def terms(name: str) -> dict[str, str]:
    """Return the meanings of an entry by its terms."""
    pairs = (part.split("\n: ", 1) for part in entries()[name])
    return {term: " ".join(meaning.split()) for term, meaning in pairs}
