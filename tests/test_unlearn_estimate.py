"""What unlearning is said to cost before it starts; and a dry run says only that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privaudit.audit.cost.stopwatch import Cost
from privaudit.audit.reopening import reopen_plan
from privaudit.commands.unlearning import unlearn_estimate
from privaudit.commands.unlearning.compare_orders import plan_compare_orders
from privaudit.commands.unlearning.unlearn import plan_unlearn
from privaudit.commands.unlearning.unlearn_estimate import Speed, Work, estimate_run
from privaudit.commands.unlearning.unlearn_inputs import with_scores
from privaudit.commands.unlearning.unlearn_request import request_of
from privaudit.config import UnlearnSettings
from privaudit.errors import StoreError
from privaudit.shadow.store import AuditStore
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.retrained_models import retrain_jobs
from privaudit.unlearning.requests.forget_set import ForgetSet
from tests.conftest import Run

NO_REPORT = {"html": "report.html", "pdf": None}


@pytest.fixture(scope="module")
def audit(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("estimate")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    return root


def settings(root: Path, **changes: Any) -> UnlearnSettings:
    return UnlearnSettings(store=root / "store", out=root / "out", workers=1, **{"method": "ga"} | changes)


def files_of(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_dry_run_says_what_it_would_cost_and_leaves_everything(audit: Path, privaudit: Run) -> None:
    before = files_of(audit)
    places = ("--store", audit / "store", "--out", audit / "out", "--workers", "1")
    done = privaudit("unlearn", "--method", "rl", "--seed", "5", "--dry-run", "--json", *places)
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert (planned["method"], planned["forget"], planned["to_train"], planned["is_there"]) == ("rl", 30, 2, False)
    parts = ("retraining", "tuning", "unlearning", "u_lira", "measuring")
    assert planned["seconds"] == pytest.approx(sum(planned[f"{part}_seconds"] for part in parts), abs=0.3)
    assert planned["tuning_seconds"] == planned["u_lira_seconds"] == 0
    assert planned["alternative"]["exact"]
    assert planned["alternative"]["seconds"] > 0
    assert planned["memory_bytes"] > 1e8
    assert files_of(audit) == before


def test_every_part_is_foretold(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for module in ("commands.unlearning.unlearn", "commands.unlearning.compare_orders"):
        monkeypatch.setattr(f"privaudit.{module}.talk", said.append)
    before = files_of(audit)
    plain = plan_unlearn(settings(audit, method="rl", seed=5))
    more = plan_unlearn(settings(audit, method="rl", seed=5, tune=True, u_lira=4))
    assert more.to_train == plain.to_train + 1  # the model without the held-out set
    assert (more.tuning_seconds or 0) > 0
    assert (more.u_lira_seconds or 0) > 0
    exact = plan_unlearn(settings(audit, method="retrain", seed=5))
    assert (exact.to_train, exact.unlearning_seconds) == (2, 0)
    # The plan says it, and once is enough.
    assert plain.alternative is not None
    assert plain.alternative.seconds > 0
    assert not any("exact alternative" in line for line in said)
    compared = plan_compare_orders(settings(audit, method="rl", forget="random:10"), 2)
    assert (compared.trials, compared.to_train, compared.seeds) == (12, 6, 2)
    assert files_of(audit) == before
    shutil.rmtree(audit / "out", ignore_errors=True)
    with pytest.raises(StoreError, match="no scores"):
        plan_unlearn(settings(audit))


def test_the_estimate_is_the_sum_of_its_parts(small_audit: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """At speeds that are given: a millisecond of training and a tenth of it to ask, a sample; a method of 3 s."""
    root = small_audit["root"]
    (folder,) = (path for path in (root / "store").iterdir() if (path / "audit.json").is_file())
    base = settings(root).base
    audit = with_scores(reopen_plan(AuditStore(root / "store", folder.name), base), root / "out" / folder.name)
    plan = audit.plan
    speed = Speed(Cost(1e-3, 2e-3), Cost(1e-4, 2e-4), Cost(3, 6))
    monkeypatch.setattr(unlearn_estimate, "measure_speed", lambda *_: speed)
    forget = ForgetSet(np.arange(30), scattered=True)
    problem = UnlearningProblem.of(audit.bench, plan.arrays, forget, 0)
    jobs = retrain_jobs(plan, forget, problem.retain, 99, 2)
    found = estimate_run(plan, problem, request_of(settings(root)), Work(jobs, u_lira_models=4))
    epochs = plan.specification.recipe.epochs
    assert found.one_model.processor == pytest.approx(1e-3 * len(problem.retain) * epochs)
    assert found.one_model.wall == pytest.approx(2e-3 * len(problem.retain) * epochs)
    assert found.parts["retraining"].wall == pytest.approx(2 * found.one_model.wall)  # one worker, one after the other
    assert found.parts["unlearning"] == Cost(3, 6)
    assert found.parts["u_lira"].wall == pytest.approx(4 * (3 + 30 * 2e-4))
    assert found.total.wall == pytest.approx(sum(part.wall for part in found.parts.values()))
    assert found.busy == pytest.approx(0.5)
    assert "the machine is busy" in found.sentences(is_exact=False)[-1]
