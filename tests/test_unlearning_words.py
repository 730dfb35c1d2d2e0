"""What is said of an unlearning run: no more than it shows, and of retraining that it is exact."""

from __future__ import annotations

from typing import Any

import pytest

from privaudit.report.content import wording
from privaudit.report.content.outcome_wording import with_outcome
from privaudit.report.content.unlearning_wording import finding, of_guard, summary
from privaudit.report.sections import summary as overview
from privaudit.results.unlearning.run import UnlearnResults
from privaudit.trials.order_comparison import compare
from tests.test_evaluation import comparison
from tests.test_sides import bare_results

#: Training and test samples are alike, as far as anybody looked.
NOTHING_DOUBTED = bare_results()


def attack(auc: float, low: float, high: float) -> dict[str, Any]:
    return {"auc": auc, "auc_ci": [low, high], "tpr_at_fpr": {}, "tpr_ci": {}, "smallest_fpr": 0.01}


def run_of(
    method: str, tow: float | None, nothing: float | None, floor: float | None, **changes: Any
) -> UnlearnResults:
    area, lower = attack(0.7, 0.65, 0.75), attack(0.55, 0.5, 0.6)
    parts = {"forget": 0.9, "retain": 1.0, "test": 0.9}
    models = ("original", "unlearned", "retrained")
    run: dict[str, Any] = {
        "run": f"{method}-none-random-10-01234567",
        "method": method,
        "order": "none",
        "descending": False,
        "groups": None,
        "parameters": None if method == "retrain" else {},
        "sequencing": None,
        "forget": 144,
        "forget_specification": "random:10%",
        "notes": [],
        "reference": "retrained model",
        "shadows": 16,
        "statistic": "margin",
        "stopped": None,
        "seconds": {"unlearning": 1.0, "retraining": 1.0},
        "forget_steps": 0, "forget_steps_run": 0, "retain_steps_run": 0,
        "tow": tow,
        "tow_do_nothing": nothing,
        "noise_floor": floor,
        "accuracy": dict.fromkeys(models, parts),
        "reaudit": {name: {"forget": lower if name != "original" else area, "retain": area} for name in models},
        "risk_vs_difficulty": {key: {"spearman": 0.4, "ci": [0.3, 0.5], "n": 30} for key in wording.DIFFICULTIES},
        "forgotten": {"means": "LiRA says it was never seen", "share": 0.0, "before": 0.0},
        "exposure": {
            "called_members": {"original": {"forget": 0.8}, "unlearned": {"forget": 0.4}, "retrained": {"forget": 0.4}},
            "retained_change": {
                "unlearned": {"mean": 0.1, "ci": [0.05, 0.15], "rose": 0.6},
                "retrained": {"mean": 0.1, "ci": [0.05, 0.15], "rose": 0.6},
            },
            "most_exposed": [
                {"sample_id": 7, "class_name": "a", "original": -1.0, "unlearned": 1.0, "retrained": 0.5}
            ],
        },
    }  # fmt: skip
    return UnlearnResults.model_validate(run | changes)


def test_retraining_is_exact_whatever_a_measure_says() -> None:
    """Digits: ToW .871 against .999 for doing nothing, where two retrained models are .871 apart."""
    run = run_of("retrain", 0.871, 0.999, 0.871)
    said = finding(run)
    assert "exact by construction" in said
    assert "noise floor" in said
    assert "ToW can't tell methods apart" in said
    assert "closer" not in said
    page = " ".join(summary(run))
    assert "closer" not in page
    # It never saw them: that LiRA still calls some of them trained-on is the attack's error.
    assert "0.0% of them count as forgotten" not in page
    assert "takes 60.0% of them for never seen, and took 20.0% before" in page
    assert "by another retraining it moved" in page
    # Where doing nothing is further away than another retraining, that is said.
    assert "doing nothing is further away" in finding(run_of("retrain", 0.98, 0.6, 0.98))
    assert finding(run_of("retrain", None, None, None)).endswith("whatever a measure says of it.")


def test_its_tables_and_page_one_say_so_too() -> None:
    run = run_of("retrain", 0.871, 0.999, 0.871)
    asked = {answer.question: " ".join(answer.answer) for answer in overview._before_and_after(NOTHING_DOUBTED, [run])}
    forgotten = asked["How exposed are the forgotten, before and after?"]
    assert "exact by construction" in forgotten
    assert "beyond the intervals" not in forgotten
    assert "retrained once more" in forgotten
    approximate = overview._before_and_after(NOTHING_DOUBTED, [run_of("ga", 0.9, 0.8, 0.95)])[0].answer[0]
    assert "lower than before beyond the intervals; retrained without them 0.550" in approximate


@pytest.mark.parametrize(
    ("tow", "nothing", "floor", "wanted"),
    [
        (0.99, 0.999, 0.871, "can't be told"),
        (0.999, 0.871, 0.871, "can't be told"),  # doing nothing is just as far away as a second retraining
        (0.9, 0.6, 0.98, "left the model closer to a retrained model than"),
        (0.6, 0.6, 0.98, "left the model no closer to a retrained model than"),
        (0.9, 0.6, None, "left the model closer to a retrained model than"),
        (None, None, None, "no retrained model to hold the result against"),
    ],
)
def test_closer_is_said_only_where_doing_nothing_lies_beyond_the_noise(
    tow: float | None, nothing: float | None, floor: float | None, wanted: str
) -> None:
    said = finding(run_of("ga", tow, nothing, floor))
    assert wanted in said
    if "can't be told" in wanted:
        assert "left the model" not in said


def test_a_comparison_of_orders_says_where_nothing_can_show() -> None:
    runs = comparison(0.0, 0.001)
    assert "nothing here for an order to show in" not in compare(runs, "risk").verdict.sentence
    runs.loc[runs["arm"] == "do-nothing", "tow"] = 0.99
    assert "nothing here for an order to show in" in compare(runs, "risk").verdict.sentence


def test_what_a_run_came_to_leads_wherever_it_is_told() -> None:
    """The same sentence on page 1, at the head of the section and as the finding; a rejected run is never praised."""
    said = "RUINED: ga destroyed what the model is to keep. The model is rejected: nothing is removed."
    run = run_of("ga", 0.9, 0.8, 0.95, outcome="ruined", outcome_evidence={"name": "ruined", "sentence": said})
    assert run.is_rejected
    assert finding(run) == said
    assert summary(run)[-1] == said
    assert "No guard watched the run" in " ".join(summary(run))
    first = overview._before_and_after(NOTHING_DOUBTED, [run])[0]
    assert first.question == "Was anything unlearned?"
    assert first.answer == [f"Gradient ascent (ga). {said}"]
    told = with_outcome(run_of("ga", 0.9, 0.8, 0.95))
    assert told.outcome == "unclear"
    assert told.outcome_evidence is not None
    assert "an earlier version" in told.outcome_evidence.sentence
    exact = with_outcome(run_of("retrain", 0.9, 0.8, 0.9))
    assert exact.outcome == "exact"
    assert not exact.is_rejected


def test_what_a_guard_did_is_said() -> None:
    guard = {
        "watched": {"retained": 256, "validation": 180},
        "held_out": False,
        "looks": 8,
        "halvings": 1,
        "undone": [{"at": 60, "why": "accuracy on validation samples fell from 0.926 to 0.848", "forget_steps": 60}],
        "forget_steps_undone": 60,
        "stopped": None,
    }
    said = str(of_guard(run_of("ga", 0.9, 0.8, 0.95, guard=guard)))
    for part in ("256 retained and 180 validation", "taught by the method too", "back 1 time, 60", "to its end"):
        assert part in said
    assert "nothing had to be taken back" in str(of_guard(run_of("ga", 0.9, 0.8, 0.95, guard=guard | {"undone": []})))
    assert of_guard(run_of("retrain", 0.9, 0.8, 0.95)) is None
    # Earlier versions had neither guards nor outcomes.
    assert of_guard(run_of("ga", 0.9, 0.8, 0.95)) is None
