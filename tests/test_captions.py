"""What a report says of its figures is what they show, and what may be typed comes out of the PDF as it went in."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from privaudit import api
from privaudit.report import audit_comparison
from privaudit.report.content.elements import Answer, Figure, Report, Section, Table
from privaudit.report.content.figure_data import Histogram, Pictures
from privaudit.report.document import build_content
from privaudit.report.drawing import line_styles
from privaudit.report.drawing.figures import DRAWINGS, QUIET, draw, table_behind
from privaudit.report.pdf import render_pdf
from privaudit.report.sections import summary
from privaudit.results.measures import Difference
from tests.conftest import ROOT
from tests.test_compare import write_signals

GALLERY = sorted((ROOT / "reports" / "gallery").glob("*/report.json"))

CURVE = {"fpr": [0.001, 0.01, 0.1, 1.0], "tpr": [0.002, 0.02, 0.2, 1.0]}

#: A small figure of each kind that draws a line where nothing was found.
_WITH_A_LINE: dict[str, dict[str, Any]] = {
    "roc": {"curves": dict.fromkeys(("LiRA", "RMIA", "gap", "loss"), CURVE)},
    "histogram": {"values": [0.25, 0.5, 0.75], "counts": [1, 2, 1]},
    "scatter": {"panels": [{"title": "shift", "x": [0.1, 0.9], "y": [0.0, 1.0]}]},
    "bars": {"across": "risk", "guessing": 0.5, "rows": [{"name": "a", "values": [{"value": 0.4}]}]},
    "forest": {
        "columns": ["digits"],
        "series": ["controlled"],
        "rows": [
            {
                "name": "a claim",
                "worth": 0.02,
                "cells": [{"values": [{"value": 0.1, "low": 0.0, "high": 0.2}], "verdicts": ["supported"]}],
            }
        ],
    },
    "inversion-placement": {
        "titles": {"low": "MI-low", "high": "MI-high"},
        "groups": {"low": {"psnr": [15.0, 25.0], "nn_margin": [-0.1, 0.3]}},
    },
}
WITH_A_LINE = {kind: DRAWINGS[kind].data.model_validate(data) for kind, data in _WITH_A_LINE.items()}


def dashes(svg: str) -> list[tuple[str, float, list[float]]]:
    """Colour, width and dashes of every stroke of a drawing that has dashes."""
    found = []
    for style in re.findall(r'style="([^"]*stroke-dasharray[^"]*)"', svg):
        parts = dict(part.split(": ", 1) for part in style.strip("; ").split("; "))
        pattern = [float(number) for number in re.split(r"[ ,]+", parts["stroke-dasharray"])]
        found.append((parts["stroke"], float(parts.get("stroke-width", "1")), pattern))
    return found


def word_for(width: float, pattern: list[float]) -> str:
    """What anybody would call a line: dotted where what is drawn is no longer than it is wide."""
    drawn = [length / width for length in pattern[::2]]
    if max(drawn) < 1.5:
        return "dotted"
    return "dashed" if min(drawn) >= 3 else "dash-dotted"


@pytest.mark.parametrize("kind", list(WITH_A_LINE))
def test_the_line_that_a_caption_names_is_the_line_that_is_drawn(kind: str) -> None:
    strokes = dashes(draw(kind, WITH_A_LINE[kind]))
    drawn = {word_for(width, pattern) for colour, width, pattern in strokes if colour == QUIET}
    said = line_styles.DASHED.word if kind == "inversion-placement" else line_styles.NOTHING[kind].word
    assert drawn == {said}
    curves = {word_for(width, pattern) for colour, width, pattern in strokes if colour != QUIET}
    assert said not in curves or kind != "roc", "a curve could be taken for guessing"


def test_captions_of_a_report_name_the_lines_that_its_figures_draw(tmp_path: Path) -> None:
    done = api.score(signals=write_signals(tmp_path / "some.npz", 1.0), out=tmp_path / "out")
    sections = build_content(tmp_path / "out" / done["audit"]).report.sections
    named = 0
    for figure in (figure for section in sections for figure in section.figures):
        drawn = {
            word_for(width, pattern)
            for colour, width, pattern in dashes(draw(figure.kind, figure.data))
            if colour == QUIET
        }
        said = set(re.findall(r"([a-z-]*(?:dotted|dashed)) line", figure.caption))
        assert said == drawn, figure.caption
        named += len(said)
    assert named >= 3


def test_every_curve_has_a_style_of_its_own() -> None:
    patterns = [tuple(pattern) for colour, _, pattern in dashes(draw("roc", WITH_A_LINE["roc"])) if colour != QUIET]
    assert len(set(patterns)) == 3, "beside the solid one"


def figures_in(path: Path) -> list[Figure]:
    report = json.loads(path.read_text("utf-8"))
    return [
        Figure(kind, found["caption"], found["alternative"], DRAWINGS[kind].data.model_validate(found["data"]))
        for section in report["sections"]
        for found in section["figures"]
        for kind in [found["kind"]]
    ]


def said_in(table: Table) -> str:
    return " | ".join([*table.columns, *(cell for row in table.rows for cell in row)])


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.parent.name)
def test_no_key_of_the_data_reaches_a_reader(path: Path) -> None:
    """Of every figure of the reference reports: its table is told in words."""
    for figure in figures_in(path):
        said = said_in(table_behind(figure))
        assert not re.search(r"[a-z]_[a-z]|\b(ci|nn|panels|x|y)\b", said), (figure.kind, said)


def test_every_kind_of_figure_has_a_table_of_its_own_or_brings_one() -> None:
    for kind, data in WITH_A_LINE.items():
        table = table_behind(Figure(kind, "", "", data))
        assert table.rows
        assert all(len(row) == len(table.columns) for row in table.rows), kind
    without = [kind for kind, drawing in DRAWINGS.items() if drawing.tabulate is None]
    assert without == ["people", "naming", "rightness", "pictures", "inversion-pictures"]
    with pytest.raises(ValueError, match="brings its own table"):
        table_behind(Figure("pictures", "", "", Pictures(rows=[])))


@pytest.mark.parametrize("steps", [16, 20, 24, 32, 48, 64, 100, 128, 256])
def test_bins_of_risk_hold_equally_many_of_its_steps(steps: int) -> None:
    """One sample at each of the values 0, 1/S, …, 1: every row tells of as many, but perhaps the last."""
    data = Histogram(values=[step / steps for step in range(steps + 1)], counts=[1] * (steps + 1))
    rows = table_behind(Figure("histogram", "", "", data)).rows
    counts = [int(count) for _, count in rows]
    assert len(rows) <= 20
    assert sum(counts) == steps + 1
    assert len(set(counts[:-1])) == 1
    assert counts[-1] <= counts[0]
    bounds = [[float(part.rstrip("%")) / 100 for part in said.split(" to ")] for said, _ in rows]
    for ends in bounds:
        assert all(abs(end * steps - round(end * steps)) < 0.001 * steps for end in ends), "a bound is a value of risk"


def test_gaps_in_risk_do_not_shift_its_bins() -> None:
    values = np.array([0, 3, 5, 6, *range(9, 28), 30, 32]) / 32
    data = Histogram(values=values.tolist(), counts=[1] * len(values))
    rows = table_behind(Figure("histogram", "", "", data)).rows
    assert rows[0] == ["0% to 6.25%", "1"]
    assert rows[1] == ["9.38% to 15.6%", "2"]
    assert sum(int(count) for _, count in rows) == len(values)


NAME = "a-data-set-of-a-very-long-name-cnn-with-three-stages-1a2b3c4d"
TYPED = [
    "privaudit score --dataset digits --network cnn --shadows 32 --recipe fast --epochs 40 --batch-size 128 "
    "--learning-rate 0.05 --weight-decay 0.0005 --augment none --statistic margin --seed 0 --device cpu",
    f"privaudit unlearn --audit {NAME} --method ga --forget random:10% --order risk --groups 5 --stage-retain fixed",
    f"privaudit verify {NAME}",
    "https://example.org/a/long/address-with-hyphens/and-more/of-them/until-it-is-long-enough-to-break.html",
    "unlearn/shadow-teacher-risk-descending-random-10-0a1b2c3d/metrics.json",
    "0123456789abcdef" * 4,
    "-5.25",
    "U-LiRA",
]


def test_what_is_typed_survives_copying_from_the_pdf() -> None:
    """No sign between letters, none lost: in paragraphs, in wide and in narrow columns, in facts and titles."""
    narrow = Table("Narrow", ["A", "B", "C", "D", "E"], [[text, NAME, text, NAME, text] for text in TYPED])
    section = Section("s", NAME, TYPED, [Table(NAME, ["What", "Which"], [["Command", text] for text in TYPED]), narrow])
    report = Report(NAME, f"{NAME} · 5 samples", [f"Of {NAME} nothing is told."], [], [section], notices=TYPED[:2])
    pages = PdfReader(io.BytesIO(render_pdf(report.to_json(), [[]]))).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert not set(text) & set("\u200b\u00ad\u2060\u2010\u2011")
    assert not re.search(r"\w-\s*\n", text), "a hyphen at a line's end is dropped by who copies it"
    squeezed = re.sub(r"\s+", "", text)
    for typed in TYPED:
        # In the paragraph, the wide column and three narrow ones.
        assert squeezed.count(re.sub(r"\s+", "", typed)) >= 5, typed
    in_lines = re.sub(r"\s+", " ", text)
    for typed in (TYPED[0], TYPED[2], TYPED[5], NAME):
        assert typed in in_lines, "what fits into a line is whole there"


def test_no_interval_is_not_called_a_95_percent_interval() -> None:
    assert summary._bounds(None) == "no interval"
    assert summary._bounds((0.4, 0.6)) == "95% interval 0.400–0.600"
    found = Difference(a=0.5, b=0.6, difference=0.1, ci=None)
    assert audit_comparison._fact("AUC", found).note == "A 50.0%, B 60.0%; no interval"
    assert audit_comparison._fact("AUC", found.model_copy(update={"ci": (0.0, 0.2)})).note.endswith(
        "; 95% interval +0.00 to +20.0 points"
    )


@pytest.mark.parametrize(("questions", "page"), [(5, 0), (16, 0), (24, 1)])
def test_the_answers_of_page_one_end_on_it_or_the_contents_follow_them(questions: int, page: int) -> None:
    """Where they are a little too long the letters get smaller; what fits in none leaves no empty page."""
    overview = [Answer(f"Question {one}?", ["An answer of a line and a half. " * 6] * 2) for one in range(questions)]
    report = Report("Report", "Some samples", ["Found. " * 40], [], [Section("s", "S", ["Said."])], overview=overview)
    pages = [one.extract_text() for one in PdfReader(io.BytesIO(render_pdf(report.to_json(), [[]]))).pages]
    assert f"Question {questions - 1}?" in pages[page]
    assert "Contents" in pages[1]
