"""The report: the same facts in both renderings, self-contained, inert, and the same bytes each time."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from privaudit.attacks.suite import ATTACKS
from privaudit.report import words
from privaudit.report.figures import draw
from privaudit.report.model import build_report
from privaudit.workflow.render import render_report
from tests.conftest import Run, save_noisy_images


@pytest.fixture(scope="module")
def folder(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of an audit alone: no store beside them."""
    target = tmp_path_factory.mktemp("report") / "audit"
    shutil.copytree(small_audit["root"] / "out" / small_audit["results"]["audit"], target)
    return target


def pdf_text(path: Path) -> str:
    pages = PdfReader(io.BytesIO(path.read_bytes())).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages)).replace("\u200b", "")


def test_both_renderings_hold_the_same_facts(folder: Path) -> None:
    render_report(folder)
    report = json.loads((folder / "report.json").read_text())
    html, pdf = (folder / "report.html").read_text(), pdf_text(folder / "report.pdf")
    squeezed = pdf.replace(" ", "")
    for fact in report["facts"]:
        assert fact["value"] in html
        assert fact["value"].replace(" ", "") in squeezed
    for section in report["sections"]:
        assert section["title"] in html
        assert section["title"].replace(" ", "") in squeezed


def test_numbers_are_those_of_the_results(folder: Path) -> None:
    results = json.loads((folder / "score.json").read_text())
    report = build_report(folder)
    values = [fact.value for fact in report.facts]
    assert f"{results['attacks']['lira']['auc']:.3f}" in values
    table = next(section for section in report.sections if section.anchor == "attacks").tables[0]
    assert table.rows[0][0] == ATTACKS["lira"].title
    assert len(table.rows) == len(ATTACKS) + 1  # and the target


def test_rendering_twice_gives_the_same_bytes(folder: Path) -> None:
    render_report(folder)
    first = {name: (folder / name).read_bytes() for name in ("report.json", "report.html", "report.pdf")}
    render_report(folder)
    assert all((folder / name).read_bytes() == content for name, content in first.items())


def test_the_file_loads_nothing(folder: Path) -> None:
    html = (folder / "report.html").read_text()
    assert "default-src 'none'" in html
    assert "<script" not in html.lower()
    for attribute in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert attribute.startswith(("data:image/svg+xml;base64,", "#"))
    for image in re.findall(r"<img [^>]*>", html):
        assert re.search(r'alt="[^"]{20,}"', image)


def test_the_pdf_is_tagged_and_archival(folder: Path) -> None:
    catalogue: Any = PdfReader(folder / "report.pdf").trailer["/Root"]
    assert catalogue["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in catalogue
    metadata = catalogue["/Metadata"].get_data().decode()
    assert "pdfaid:part" in metadata
    assert "pdfuaid:part" in metadata


def test_hostile_names_are_inert(privaudit: Run, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>.npz"
    names = ["<script>alert('x')</script>", "ظاهر #panic() 🦆 $x$ \\ *b*", "x" * 10_000]
    save_noisy_images(path, class_names=np.array(names))
    done = privaudit(
        "score", "--dataset", path, "--shadows", "4", "--epochs", "1", "--invert", "0", "--store", tmp_path / "s",
        "--out", tmp_path / "o", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert re.fullmatch(r"[a-z0-9-]+", results["audit"])
    html = Path(results["report"]["html"]).read_text()
    assert "<script>" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;" in html
    assert results["report"]["pdf"] is not None, done.stderr
    text = pdf_text(Path(results["report"]["pdf"]))
    assert "alert('x')" in text
    assert "panic()" in text
    assert "[U+1F986]" in text  # no font of the PDF has a duck
    assert results["attacks"]["lira"]["auc_ci"] is None  # two pairs give no interval


def test_a_failed_control_is_the_finding(folder: Path) -> None:
    results = json.loads((folder / "score.json").read_text())
    results["controls"]["negative"]["holds"] = False
    assert "must not be relied on" in words.finding(results, [])[0]


def test_words() -> None:
    assert words.percent(0.0) == "0%"
    assert words.percent(0.00123) == "0.12%"
    assert words.percent(0.0000123) == "0.0012%"
    assert words.percent(0.5) == "50.0%"
    assert words.percent(1.0) == "100%"
    assert words.rate("0.001") == "0.1%"
    assert words.interval(None) == "no interval"
    assert words.clip("x" * 100) == "x" * 59 + "…"
    assert "no clear relation" in words.correlation({"spearman": 0.1, "ci": [-0.1, 0.3], "n": 50})
    assert "rise together" in words.correlation({"spearman": 0.5, "ci": [0.3, 0.6], "n": 50})
    assert not words.is_good_proxy({"ci": [0.1, 0.6]})


def test_figures_are_plain_drawings() -> None:
    svg = draw("histogram", {"values": [0.25, 0.5, 0.75], "counts": [1, 5, 2]})
    assert svg.startswith("<svg")
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert "<script" not in svg
    assert svg == draw("histogram", {"values": [0.25, 0.5, 0.75], "counts": [1, 5, 2]})
