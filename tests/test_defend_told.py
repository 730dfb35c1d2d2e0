"""What `privaudit defend` promises beforehand, and shows where a rate can't be told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from privaudit.audit.plan import plan_audit
from privaudit.cli.commands.defend import _print_boundary, _print_output
from privaudit.commands.defence import variations
from privaudit.commands.defence.boundary import Walk
from privaudit.commands.defence.defend import plan_defence
from privaudit.commands.defence.output_measures import why_unmeasured
from privaudit.commands.defence.variations import Variation, read_sweep, varied_settings
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.report.defence.defence_document import _warnings
from privaudit.results.defence_results import BoundaryMeasure
from privaudit.results.measures import Attack

ASKED: dict[str, Any] = {"dataset": "digits", "samples": 200, "network": "mlp-narrow", "device": "cpu"}


def test_a_walk_that_no_stored_model_can_be_asked_for_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    few: dict[str, Any] = ASKED | {"shadows": 4, "store": tmp_path / "s", "out": tmp_path / "o", "workers": 1}
    (tmp_path / "sweep.toml").write_text("[half]\nepochs = 2\n", "utf-8")
    with pytest.raises(UsageError, match=r"--boundary 20: .* 4 shadow models are too few, 6 are needed"):
        plan_defence(AuditSettings(**few), set(few), None, tmp_path / "sweep.toml", Walk(20, 50))
    forest = plan_audit(AuditSettings(**ASKED | {"network": None, "estimator": "random-forest", "shadows": 8}))
    assert "the store keeps answers" in str(why_unmeasured(forest))
    assert why_unmeasured(plan_audit(AuditSettings(**ASKED | {"shadows": 8}))) is None


def test_minutes_of_inversion_are_the_audited_models_own_affair(tmp_path: Path) -> None:
    plan = plan_audit(AuditSettings(**ASKED | {"invert_settings": "realistic", "reconstruct_classes": "yes"}))
    varied = varied_settings(plan, Variation("fewer", "", {"epochs": 3}))
    assert (varied.invert_settings, varied.reconstruct_classes) == ("best-case", "no")
    (tmp_path / "sweep.toml").write_text('[a]\ninvert-settings = "realistic"\n', "utf-8")
    with pytest.raises(UsageError, match="it is the same for every variation"):
        read_sweep(tmp_path / "sweep.toml")


def test_a_promise_that_is_audited_already_is_no_variation_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variations, "PRIVATE_LIBRARY", "torch")  # Is there, as Opacus would be.
    recipe = SimpleNamespace(privacy=SimpleNamespace(epsilon=7.998))
    plan: Any = SimpleNamespace(specification=SimpleNamespace(pretrained=None, recipe=recipe))
    found: list[Variation] = []
    skipped: list[str] = []
    variations._private(plan, found, skipped)
    assert [one.changes for one in found] == [{"epsilon": 1.0}]
    assert skipped == ["DP-SGD at ε = 8: it is audited with ε 7.998."]


def test_where_a_rate_is_not_resolved_the_area_is_shown_with_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    sure = Attack(auc=0.6, auc_ci=(0.55, 0.65), tpr_at_fpr={"0.01": None}, tpr_ci={}, smallest_fpr=0.1)
    unsure = sure.model_copy(update={"auc_ci": None})
    row: Any = SimpleNamespace(title="the label alone", adaptive=sure, halving=None)
    _print_output(row, "0.01")
    walk = BoundaryMeasure(samples=10, queries=50, seconds=1.0, attacks={"distance": sure, "margin": unsure})
    _print_boundary(walk, "0.01")
    told = capsys.readouterr().out
    assert "AUC 0.600" in told.splitlines()[0]
    assert "AUC 0.600 (0.550–0.650)" in told
    assert "AUC 0.600 (no interval)" in told


def test_what_is_warned_of_stands_in_the_report_once() -> None:
    """Near-duplicates of the data are those of every variation."""
    rows: list[Any] = [
        SimpleNamespace(title="as it was", warnings=["near-duplicates"]),
        SimpleNamespace(title="fewer", warnings=["near-duplicates", "odd models"]),
        SimpleNamespace(title="dropout", warnings=["odd models", "near-duplicates"]),
    ]
    assert _warnings(rows) == ["All of them: Warning: near-duplicates.", "fewer; dropout: Warning: odd models."]
