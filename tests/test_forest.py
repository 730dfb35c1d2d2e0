"""The forest plot of the reproduction report draws what results.json holds, where it says that it does."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import matplotlib
import pytest
from matplotlib.figure import Figure

from privaudit.report.content.figure_data import Bars, Forest
from privaudit.report.content.wording import clip
from privaudit.report.drawing.figures import DRAWINGS, STYLE, WIDTH, draw, height_of
from privaudit.report.reproduction.reproduction_texts import TEXTS
from tests.conftest import ROOT

FOLDER = ROOT / "reports" / "gallery" / "reproduction"


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Any]:
    first: dict[str, Any] = json.loads((FOLDER / "report.json").read_text("utf-8"))["sections"][0]
    return first


def test_every_answer_is_drawn_with_its_own_estimate_interval_margin_and_verdict(verdicts: dict[str, Any]) -> None:
    further = {words: protocol for protocol, words in TEXTS.protocols.items()}
    drawn = {}
    for figure in verdicts["figures"]:
        for row in figure["data"]["rows"]:
            title, _, words = row["name"].partition(":" if ":" in row["name"] else ", ")
            protocols = ("", further[words]) if words in further else ("as_in_paper", "controlled")
            for column, cell in zip(figure["data"]["columns"], row["cells"], strict=True):
                for protocol, value, word in zip(protocols, cell["values"], cell["verdicts"], strict=True):
                    if protocol:
                        drawn[title, column.split(" ")[0], protocol] = value, word, row["worth"]
    asked = 0
    for path in FOLDER.glob("*/*/results.json"):
        results = json.loads(path.read_text("utf-8"))
        decided = json.loads((path.parent.parent / "verdicts.json").read_text("utf-8")).get(results["name"], {})
        for protocol, contrast in results["contrasts"].items() if decided else ():
            asked += 1
            if (where := (results["title"], results["about"]["dataset"], protocol)) not in drawn:
                # What was run on no data set: the table of verdicts says so, and no empty scale is drawn.
                assert (contrast, decided[protocol]["verdict"]) == (None, "not run")
                continue
            value, word, worth = drawn[where]
            assert word == decided[protocol]["verdict"]
            if contrast is None:
                assert value is None
                continue
            assert value["value"] == contrast["mean"]
            assert [value["low"], value["high"]] == (contrast["ci"] or [None, None])
            assert protocol == "as_in_paper" or worth == contrast.get("worth_having")
    # Eleven claims twice, two of them a third time, three at two more budgets; on three data sets.
    assert asked == 3 * (22 + 2 + 6)
    # Orders, Tables 5 and 6 and Figure 7, were run under the rule of now on one of them.
    assert len(drawn) == asked


def test_the_words_beside_it_name_every_claim_and_data_set(verdicts: dict[str, Any]) -> None:
    rows = [row for figure in verdicts["figures"] for row in figure["table"]["rows"]]
    assert len(rows) == 3 * (11 + 2 + 6)
    said = " ".join(figure["alternative"] for figure in verdicts["figures"])
    assert all(name in said for name in {row[0] for row in rows} | {row[1] for row in rows})


@pytest.mark.parametrize(("margin", "bands"), [(0.02, 1), (None, 0), (0.0, 0)])
def test_a_margin_is_shaded_only_where_one_was_stated(margin: float | None, bands: int) -> None:
    cell = {"values": [{"value": 0.1, "low": 0.05, "high": 0.2}], "verdicts": ["supported"]}
    row = {"name": "a", "worth": margin, "cells": [cell]}
    drawing = draw("forest", Forest.model_validate({"columns": ["d"], "series": ["s"], "rows": [row]}))
    assert len(re.findall(r"fill: #6b7885; (?:fill-)?opacity: 0.3", drawing)) == bands


def test_what_became_of_unlearning_is_not_cut_and_stands_within_the_picture() -> None:
    """Of several runs, of long names and large counts, each in two lines that run into no other."""
    names = ["shadow-teacher, 72: in part", "bad-teacher, 50,000: not forgotten", f"{clip('m' * 40, 20)}, 1: unclear"]
    rows = [{"name": name, "values": [{"value": 0.9}, {"value": 0.5}, {"value": 0.1}]} for name in names]
    data = Bars.model_validate({"across": "share", "series": ["before", "after", "never trained on"], "rows": rows})
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height_of("shares", data)), layout="constrained")
        DRAWINGS["shares"].draw(figure, data)
        figure.draw_without_rendering()
        labels = figure.axes[0].get_yticklabels()
        assert [label.get_text().replace("\n", ": ") for label in labels] == names
        boxes = [label.get_window_extent() for label in labels]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(below.y1 <= above.y0 for above, below in pairwise(boxes))
