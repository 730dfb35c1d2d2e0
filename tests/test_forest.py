"""The forest plot of the reproduction report draws what results.json holds, where it says that it does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from privaudit.report.content.figure_data import Forest
from privaudit.report.drawing.figures import draw
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
            value, word, worth = drawn[results["title"], results["about"]["dataset"], protocol]
            asked += 1
            assert word == decided[protocol]["verdict"]
            if contrast is None:
                assert value is None
                continue
            assert value["value"] == contrast["mean"]
            assert [value["low"], value["high"]] == (contrast["ci"] or [None, None])
            assert protocol == "as_in_paper" or worth == contrast.get("worth_having")
    # Eleven claims twice, two of them a third time, three at two more budgets; on three data sets.
    assert asked == len(drawn) == 3 * (22 + 2 + 6)


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
