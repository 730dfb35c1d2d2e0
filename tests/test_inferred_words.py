"""What reports and the terminal say of what was inferred: no surer than the intervals, and nothing cut short."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from privaudit.report.brief.plain import AGAINST_GUESSING
from privaudit.report.content.figure_data import Bar, Bars, Estimate
from privaudit.report.content.inferred import attribute_wording, class_wording
from privaudit.report.content.texts import terms
from privaudit.report.drawing.figure_tables import table_of_bars
from privaudit.report.drawing.fonts import plain
from privaudit.report.sections.threat_models import settings_wording
from privaudit.results.audit.attribute_results import Advantage
from privaudit.results.audit.class_results import ClassResults
from privaudit.results.measures import Share


def rebuilt(recovered: float, identified: float, labels: float | None = None) -> Any:
    return SimpleNamespace(
        recovered=Share(rate=recovered, ci=(0.0, 0.109), n=32),
        identified=Share(rate=identified, ci=(0.138, 0.631), n=32),
        labels=labels,
    )


@pytest.fixture
def settings() -> Any:
    setting = SimpleNamespace(name="batch-8", together=8)
    outcome = SimpleNamespace(setting=setting, attacked=rebuilt(0, 0.344, 0.5), null=rebuilt(0, 0.094))
    return SimpleNamespace(
        outcomes=[outcome], reference=40, outcome=lambda name: outcome if name == "batch-8" else None
    )


def test_who_is_picked_out_of_a_sum_is_told_with_its_interval_and_beside_chance(settings: Any) -> None:
    sentence = settings_wording.mixed(settings)
    assert "of 34.4% (13.8–63.1%; by chance 9.40%) enough is left to pick them out among 40" in str(sentence)
    # Nothing is recovered, and that is not all that the terminal says.
    assert settings_wording.lines(settings)[1].endswith("0% (0–10.9%) (0%); 34.4% (13.8–63.1%) (9.40%); 50.0%")


def test_an_advantage_without_spread_shows_no_interval_of_no_width() -> None:
    said = attribute_wording.points(Advantage(seen=0.0, unseen=0.0, advantage=0.0, ci=(0.0, 0.0)))
    assert said == "+0.0 points (the same without any pair of models)"


@pytest.mark.parametrize(("low", "by_chance"), [(-0.022, True), (0.01, False)])
def test_the_brief_says_where_chance_would_explain_a_guess(low: float, by_chance: bool) -> None:
    best = Advantage(seen=0.422, unseen=0.333, advantage=0.089, ci=(low, 0.2))
    column = SimpleNamespace(column="size", primary=best, without={"imputation": SimpleNamespace(rate=0.359)})
    results: Any = SimpleNamespace(columns=[column])
    assert ("which chance would explain" in attribute_wording.in_brief(results)) is by_chance


def test_what_is_not_shown_of_classes_is_not_said_to_be_shown() -> None:
    unsure = {"auc": 0.5, "auc_ci": (0.4, 0.6), "nearest_member": 0.5, "nearest_member_ci": None}
    unsure |= {"to_members": 1.0, "to_others": 1.0, "recognised": {"rate": 1.0, "ci": None, "n": 8}}
    about = dict.fromkeys(("models", "classes", "held_out", "components", "steps"), 8)
    results = ClassResults.model_validate(
        {"audit": "a", "of": "features", "weight": 0.1, "found": unsure, "null": {}, "by_class": [], "pictures": ""}
        | about
    )
    assert results.leaks is False
    for said in (class_wording.verdict(results), class_wording.in_brief(results)):
        assert "not shown to be" in said
    assert AGAINST_GUESSING["holds"] == "not seen to be better than guessing"


def test_names_in_the_figure_of_classes_are_whole_and_an_area_keeps_its_letters() -> None:
    short = terms("classes.short")
    assert short.keys() == terms("classes.nulls").keys()
    assert [plain(name) for name in short.values()] == list(short.values())
    rows = [Bar(name=name, values=[Estimate(value=0.5)]) for name in short.values()]
    assert table_of_bars("", Bars(across="AUC of nearness", of="Guess", rows=rows)).columns[1] == "AUC of nearness"
