"""The reference reports: what lies in the gallery is what the tool writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.conftest import ROOT
from tests.test_report import pdf_text

GALLERY = ROOT / "reports" / "gallery"
REPORTS = sorted(path.parent for path in GALLERY.glob("*/report.json"))

#: How far a fact may lie from the gallery's on another processor, whose sums differ in their last bits.
TOLERANCE = {"AUC (½ is guessing)": 0.01, "Samples told right in ≥ 90% of models": 12, "%": 0.8}


def test_there_is_a_gallery() -> None:
    assert [path.name for path in REPORTS][:1] or pytest.fail("make gallery makes it")
    assert GALLERY / "digits" in REPORTS


@pytest.mark.parametrize("folder", REPORTS, ids=lambda path: str(path.name))
def test_a_reference_report_is_whole(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    jsonschema.validate(report, json.loads((ROOT / "privaudit" / "report" / "schema.json").read_text()))
    html, pdf = (folder / "report.html").read_text(), pdf_text(folder / "report.pdf").replace(" ", "")
    for fact in report["facts"]:
        assert fact["value"] in html
        assert fact["value"].replace(" ", "") in pdf
    assert (folder / "report.html").stat().st_size < 6e6
    assert "samples" not in {section["anchor"] for section in report["sections"]}  # no image of anybody


def number(value: str) -> float:
    return float(value.rstrip("%").replace(",", ""))


@pytest.mark.slow
def test_digits_come_out_again(tmp_path: Path) -> None:
    """The one command that made the gallery's report makes it again, with the same facts."""
    build = (GALLERY / "build.py").read_text()
    copy = tmp_path / "gallery" / "build.py"
    copy.parent.mkdir()
    copy.write_text(build)
    subprocess.run([sys.executable, copy, tmp_path / "work", "", "digits"], check=True, capture_output=True, cwd=ROOT)
    old, new = (
        json.loads((folder / "digits" / "report.json").read_text()) for folder in (GALLERY, tmp_path / "gallery")
    )
    for part in ("title", "subtitle", "glossary", "references", "format"):
        assert new[part] == old[part], "make gallery renews the gallery"
    assert [section["title"] for section in new["sections"]] == [section["title"] for section in old["sections"]]
    assert [answer["question"] for answer in new["overview"]] == [answer["question"] for answer in old["overview"]]
    assert without_numbers(new["finding"]) == without_numbers(old["finding"])
    assert [fact["label"] for fact in new["facts"]] == [fact["label"] for fact in old["facts"]]
    for fact, known in zip(new["facts"], old["facts"], strict=True):
        allowed = TOLERANCE.get(fact["label"], TOLERANCE["%"])
        assert abs(number(fact["value"]) - number(known["value"])) <= allowed, fact["label"]


def without_numbers(value: Any) -> str:
    return re.sub(r"[\d.,]+", "#", json.dumps(value))
