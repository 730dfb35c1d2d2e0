"""The report's texts: each is used, and each that is used is there."""

from __future__ import annotations

import re

from privaudit.report.content.texts import entries, terms, text, texts
from tests.conftest import ROOT

CODE = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "privaudit").rglob("*.py")))
USED = {name: kind for kind, name in re.findall(r'\b(texts?|terms)\(f?["\']([a-z.{}-]+)["\']', CODE)}
#: One of two, as the figures have it.
USED |= dict.fromkeys(re.findall(r'\btext\(\s*"([a-z.-]+)" if ', CODE), "text")
USED |= dict.fromkeys(re.findall(r'\btext\([^()]* else "([a-z.-]+)"\)', CODE), "text")
#: Columns of the explorer, by the table that it shows.
USED |= {f"explorer.{of}": "terms" for of in re.findall(r'columns_of\(\w+, "([a-z]+)"\)', CODE)}
del USED["explorer.{of}"]


def test_every_text_is_used_and_every_used_one_is_there() -> None:
    assert set(USED) == set(entries())


def test_every_text_is_what_it_is_used_as() -> None:
    read = {"text": text, "texts": texts, "terms": terms}
    assert all(read[kind](name) for name, kind in USED.items())
    assert all(meaning for name, kind in USED.items() if kind == "terms" for meaning in terms(name).values())
