"""`--method auto`: retrains where that is short, calibrates where an order is asked for, and says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from privaudit.commands.unlearning.unlearn_auto import only_by_steps
from privaudit.commands.unlearning.unlearn_request import request_of
from privaudit.config import UnlearnSettings
from privaudit.errors import UsageError
from privaudit.results.unlearning.run import Chosen
from privaudit.unlearning.application.method_choice import choose_method, sentence_of
from tests.conftest import Run


def choose(
    method: str = "auto", wanted: str | None = None, seconds: float = 30.0, below: float = 10.0, why: str | None = None
) -> Chosen:
    return choose_method(method, wanted=wanted, exact_seconds=seconds, below=below, not_applicable=why)


def test_what_retrains_in_time_is_retrained_and_the_rest_is_taught() -> None:
    assert choose().method == "retrain"
    assert choose(seconds=599).method == "retrain"
    assert choose(seconds=600).method == "shadow-teacher"
    assert choose(seconds=0.1, below=0).method == "shadow-teacher"
    ordered = choose(wanted="--order risk is asked for, and retraining has none")
    assert ordered.method == "shadow-teacher"
    assert "--order risk is asked for" in ordered.why
    assert sentence_of(ordered) == f"method: shadow-teacher, {ordered.why}"
    assert ordered.to_json() == {
        "by": "auto", "method": "shadow-teacher", "why": ordered.why, "exact_seconds": 30.0, "calibration": None,
    }  # fmt: skip


def test_where_nothing_can_teach_it_is_retrained_with_the_reason() -> None:
    found = choose(wanted="--order risk is asked for", seconds=7200, why="4 shadow models are too few")
    assert found.method == "retrain"
    assert "4 shadow models are too few" in found.why


def test_who_names_a_method_gets_it() -> None:
    found = choose("ga", seconds=1)
    assert (found.by, found.method) == ("user", "ga")


@pytest.mark.parametrize(
    ("changes", "retrains"),
    [
        ({}, True),
        ({"order": "none"}, True),
        ({"order": "risk"}, False),
        ({"descending": True}, False),
        ({"groups": 3}, False),
        ({"u_lira": 4}, False),
    ],
)
def test_an_order_is_whatever_retraining_can_not_have(changes: dict[str, Any], retrains: bool) -> None:
    assert (only_by_steps(UnlearnSettings(**changes)) is None) == retrains


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"passes": 2.0}, "--passes without --method"),
        ({"parameter": ("effort=1",)}, "--effort without --method"),
        ({"tune": True}, "--tune without --method"),
        ({"retrain_below": -1.0}, "retrain_below = -1"),
        ({"retrain_below": 5.0, "method": "ga"}, "is for --method auto"),
        ({"order": "wisdom"}, "wisdom"),
    ],
)
def test_what_auto_can_not_take_is_told(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        request_of(UnlearnSettings(**changes))


def test_a_dry_run_says_what_auto_would_do(privaudit: Run, small_audit: dict[str, Any]) -> None:
    root: Path = small_audit["root"]
    places = ("--store", root / "store", "--out", root / "out", "--workers", "1", "--dry-run", "--json")
    for flags, method in (((), "retrain"), (("--order", "risk"), "shadow-teacher"),
                          (("--retrain-below", "0"), "shadow-teacher")):  # fmt: skip
        done = privaudit("unlearn", *flags, *places)
        assert done.returncode == 0, done.stderr
        planned = json.loads(done.stdout)
        assert planned["method"] == planned["chosen"]["method"] == method
        assert planned["chosen"]["exact_seconds"] > 0
        assert planned["run"].startswith(method)
        assert planned["chosen"]["why"] in done.stderr.replace("\n", " ")
