"""The report: the same facts in both renderings, self-contained, inert, and the same bytes each time."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pdfua
import pytest
from pypdf import PdfReader

from privaudit.attacks.suite import ATTACKS
from privaudit.errors import PrivauditError, StoreError
from privaudit.report.content import wording
from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.content.figure_data import Histogram, Panels
from privaudit.report.document import build_content
from privaudit.report.drawing import figures
from privaudit.report.drawing.figures import draw
from privaudit.report.pdf import TypesettingError
from privaudit.report.schema import schema
from privaudit.report.sections import summary
from privaudit.report.write import render_report
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import Result, read_result
from privaudit.results.measures import Correlation
from privaudit.results.unlearning.trials import OrderResults, OrderVerdict
from tests.conftest import ROOT, Run, save_noisy_images
from tests.test_unlearning_words import attack, run_of


@pytest.fixture(scope="module")
def folder(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of an audit alone: no store beside them."""
    target = tmp_path_factory.mktemp("report") / str(small_audit["results"]["audit"])
    shutil.copytree(small_audit["root"] / "out" / target.name, target)
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
    report = build_content(folder).report
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


@pytest.mark.parametrize("failure", [TypesettingError("no PDF: typst failed"), StoreError("no space left")])
def test_no_older_pdf_stays_beside_a_newer_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: PrivauditError
) -> None:
    copied = shutil.copytree(folder, tmp_path / folder.name)
    assert render_report(copied)["pdf"] is not None

    def fail(*_: object) -> bytes:
        raise failure

    monkeypatch.setattr("privaudit.report.write.render_pdf", fail)
    with suppress(StoreError):
        assert render_report(copied)["pdf"] is None
    assert not list(copied.glob("report.pdf*"))


def test_the_file_loads_nothing(folder: Path) -> None:
    html = (folder / "report.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    head, _data, *scripts = re.split(r"<script[^>]*>", html)
    assert not re.search(r"\b(?:eval|fetch|import|XMLHttpRequest|WebSocket|innerHTML|outerHTML)\b", "".join(scripts))
    digests = [hashlib.sha256(script.split("</script>")[0].encode()).digest() for script in scripts]
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    assert len(scripts) == 2
    assert f"script-src {allowed};" in policy[1]  # and so they run, and nothing else does
    assert not re.search(r"\son\w+=|\sstyle=", head)
    for attribute in re.findall(r'(?:src|href)="([^"]*)"', head):
        assert attribute.startswith(("data:image/svg+xml;base64,", "#")) or attribute == "data:,"
    for image in re.findall(r"<img [^>]*>", head):
        assert re.search(r'alt="[^"]{20,}"', image)


def test_every_figure_has_a_table(folder: Path) -> None:
    figures = [figure for section in build_content(folder).report.sections for figure in section.figures]
    assert len(figures) >= 4
    for figure in figures:
        assert figure.table is not None
        assert figure.table.rows
        assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)


def test_the_published_schema_holds(folder: Path) -> None:
    published = json.loads((ROOT / "privaudit" / "report" / "schema.json").read_text())
    assert published == schema(), "make schema writes it anew"
    report = json.loads((folder / "report.json").read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(report, published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report | {"format": 1}, published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report | {"facts": [{"label": "AUC"}]}, published)


def test_page_one_answers_or_says_not_measured(folder: Path) -> None:
    asked = {answer.question: " ".join(answer.answer) for answer in build_content(folder).report.overview}
    assert "Not measured" in asked["Can inputs be rebuilt from gradients?"]
    assert "No:" in asked["Was anything unlearned?"]
    assert "2 of 2" in asked["Do the controls hold?"]
    table = pd.read_parquet(folder / "scores.parquet")
    worst = table.loc[table["rank"] == 1, "sample_id"].item()
    assert f"samples {worst} (class" in asked["Who is most exposed?"]


def test_page_one_has_room_for_what_others_measure(folder: Path, tmp_path: Path) -> None:
    """Inversion, unlearning and the verdict on orders fill their slots where the results are there."""
    results = read_result(folder / "score.json", ScoreResults)
    table = pd.read_parquet(folder / "scores.parquet")
    table["inversion_success"] = np.where(table["rank"] <= 10, 0.75, np.nan)
    area, lower = attack(0.7, 0.65, 0.75), attack(0.55, 0.5, 0.6)
    again = {"original": {"forget": area, "retain": area}, "unlearned": {"forget": lower, "retain": None}}
    run = run_of("ga", None, None, None, forget=30, reaudit=again)
    verdict = OrderVerdict(
        claim="not supported", over_one_shot="not supported", sentence="Order by risk: not supported."
    )
    orders = [
        OrderResults(
            seeds=9, arms={}, contrasts=(), verdict=verdict, method="ga", order="risk", forget=30,
            forget_specification="random:30", own_target=True, same_forget_set=False, same_budget=True,
        )
    ]  # fmt: skip
    asked = {answer.question: " ".join(answer.answer) for answer in summary.answers(results, table, [run], orders)}
    assert "10 (100%) came back" in asked["Can inputs be rebuilt from gradients?"]
    assert "lower than before beyond the intervals" in asked["How exposed are the forgotten, before and after?"]
    assert "can't tell" in asked["And the retained?"]
    assert asked["Did the order of unlearning matter?"] == "Order by risk: not supported."
    harder = "Are samples at high risk harder to unlearn?"
    assert "forgettability +0.40" in asked[harder]
    few = {key: {"spearman": 1.0, "ci": None, "n": 3} for key in wording.DIFFICULTIES}
    run = run_of("ga", None, None, None, forget=3, risk_vs_difficulty=few)
    asked = {answer.question: " ".join(answer.answer) for answer in summary.answers(results, table, [run], orders)}
    assert "3 forgotten samples are too few to tell" in asked[harder]


def test_the_pdf_is_tagged_and_archival(folder: Path) -> None:
    catalogue: Any = PdfReader(folder / "report.pdf").trailer["/Root"]
    assert catalogue["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in catalogue
    metadata = catalogue["/Metadata"].get_data().decode()
    assert "pdfaid:part" in metadata
    assert "pdfuaid:part" in metadata


def test_a_new_kind_of_figure_needs_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn a panel at a time, gets a table, and is left out where it shows samples that nobody asked for."""

    class Row(Result):
        title: str
        values: list[float]

    class Rows(Panels):
        panels: list[Row]

    def dots(figure: Any, data: Rows) -> None:
        figure.subplots().plot(data.panels[0].values)

    def listed(caption: str, data: Rows) -> Table:
        return Table(caption, ["Panel", "Dots"], [[panel.title, str(len(panel.values))] for panel in data.panels])

    monkeypatch.setitem(figures.DRAWINGS, "dots", figures.Drawing(Rows, dots, listed, shows_samples=True))
    data = Rows(panels=[Row(title="first", values=[3.0, 1.0, 2.0]), Row(title="second", values=[5.0])])
    section = Section("dots", "Dots", figures=[Figure("dots", "Some dots.", "Some dots.", data)])
    assert len(figures.drawings(section.figures[0])) == 2
    table = figures.with_tables([section])[0].figures[0].table
    assert table is not None
    assert table.rows == [["first", "3"], ["second", "1"]]
    assert figures.without_samples([section])[0].figures == []


def test_a_validator_finds_no_fault_in_the_pdf(folder: Path) -> None:
    """The part of PDF/UA-1 that a program without a Java machine can check; docs/report.md says what that leaves."""
    checked = pdfua.validate(str(folder / "report.pdf"))
    assert [str(finding) for finding in checked.findings] == []


HOSTILE = [
    "<script>alert('x')</script>",
    "ظاهر #panic() 🦆 $x$ \\ *b*",
    "x" * 10_000,
    "abc\u202edcba\x1b[31m",
    "漢字 שלום",
]


def test_hostile_names_are_inert(privaudit: Run, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>.npz"
    labels = np.arange(300) % len(HOSTILE)
    save_noisy_images(path, class_names=np.array(HOSTILE), y_train=labels)
    done = privaudit(
        "score", "--dataset", path, "--shadows", "4", "--epochs", "1", "--invert", "0", "--store", tmp_path / "s",
        "--out", tmp_path / "o", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert re.fullmatch(r"[a-z0-9-]+", results["audit"])
    html = Path(results["report"]["html"]).read_text()
    assert html.count("<script") == 3  # the data, the explorer and what folds
    assert html.count("</script") == 3
    assert "<img src=x" not in html
    assert "&lt;script&gt;" in html
    assert "x" * 100 not in html  # cut, not shown whole
    assert "\u202e" not in html
    assert "[U+202E]" in html
    assert "漢字 שלום" in html
    assert results["report"]["pdf"] is not None, done.stderr
    text = pdf_text(Path(results["report"]["pdf"]))
    assert "alert('x')" in text
    assert "panic()" in text
    assert "[U+1F986]" in text  # no font of the PDF has a duck
    assert "[U+202E]" in text
    assert "[U+6F22]" in text
    assert results["attacks"]["lira"]["auc_ci"] is None  # two pairs give no interval


def test_a_failed_control_is_the_finding(folder: Path) -> None:
    results = json.loads((folder / "score.json").read_text())
    results["controls"]["negative"]["holds"] = False
    assert "must not be relied on" in wording.finding(ScoreResults.model_validate(results), [])[0]


def test_words() -> None:
    assert wording.percent(0.0) == "0%"
    assert wording.percent(0.00123) == "0.12%"
    assert wording.percent(0.0000123) == "0.0012%"
    assert wording.percent(0.5) == "50.0%"
    assert wording.percent(1.0) == "100%"
    assert wording.rate("0.001") == "0.1%"
    assert wording.interval(None) == "no interval"
    assert wording.clip("x" * 100) == "x" * 59 + "…"
    assert "no clear relation" in wording.correlation(Correlation(spearman=0.1, ci=(-0.1, 0.3), n=50))
    assert "rise together" in wording.correlation(Correlation(spearman=0.5, ci=(0.3, 0.6), n=50))
    assert not wording.is_good_proxy(Correlation(spearman=0.4, ci=(0.1, 0.6), n=50))


def test_figures_are_plain_drawings() -> None:
    data = Histogram(values=[0.25, 0.5, 0.75], counts=[1, 5, 2])
    svg = draw("histogram", data)
    assert svg.startswith("<svg")
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert "<script" not in svg
    assert svg == draw("histogram", data)
