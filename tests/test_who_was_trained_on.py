"""Which samples a reference model was trained on, and which a shadow model unlearned: read where it happens."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit.audit.reopening import reopen_plan
from privaudit.commands.unlearning.unlearn import run_unlearn
from privaudit.commands.unlearning.unlearn_inputs import with_scores
from privaudit.config import UnlearnSettings
from privaudit.evaluation import u_lira
from privaudit.shadow.store import AuditStore
from privaudit.shadow.trainer import train_with_new_seeds
from privaudit.trials.run_trials import prepare_scene
from privaudit.unlearning.application import retrained_models
from privaudit.unlearning.application.retrained_models import retrain_job, retrain_jobs
from privaudit.unlearning.application.run_method import run_method
from privaudit.unlearning.requests.forget_set import ForgetSet
from tests.conftest import unlearn_anyway

NO_REPORT = {"html": "report.html", "pdf": None}


@pytest.fixture(scope="module")
def audit(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained-on")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    return root


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privaudit.commands.unlearning.unlearn.render_report", lambda *_: NO_REPORT)


def settings(root: Path, **changes: Any) -> UnlearnSettings:
    return UnlearnSettings(store=root / "store", out=root / "out", workers=1, **{"method": "ga"} | changes)


def plan_of(root: Path) -> Any:
    (folder,) = (path for path in (root / "store").iterdir() if (path / "audit.json").is_file())
    base = settings(root).base
    return reopen_plan(AuditStore(root / "store", folder.name), base)


def forgotten_by(results: dict[str, Any]) -> Any:
    return pd.read_parquet(Path(results["folder"]) / "forgetting.parquet")["sample_id"].to_numpy()


@pytest.mark.parametrize("method", ["ga", "retrain"])
def test_no_reference_model_is_trained_on_what_is_forgotten(
    audit: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Any] = []

    def noting(specification: Any, samples: Any, members: Any, *rest: Any) -> Any:
        trained.append(np.asarray(members))
        return train_with_new_seeds(specification, samples, members, *rest)

    monkeypatch.setattr(retrained_models, "train_with_new_seeds", noting)
    wanted = settings(audit, method=method, seed=41 + len(method), reference="retrain", forget="random:40")
    results = unlearn_anyway(lambda: run_unlearn(wanted))
    everyone, forgotten = np.arange(len(plan_of(audit).data)), forgotten_by(results)
    assert len(trained) == 2
    assert len(forgotten) == 40
    for members in trained:
        assert np.array_equal(np.sort(members), np.setdiff1d(everyone, forgotten))


def test_a_retrained_models_weights_know_nothing_of_the_forgotten(audit: Path, tmp_path: Path) -> None:
    """Whatever these samples and their labels are, the file comes out the same."""
    plan = plan_of(audit)
    forget = ForgetSet(np.arange(0, 60, 3), scattered=True)
    (job,) = retrain_jobs(plan, forget, np.setdiff1d(np.arange(len(plan.data)), forget.rows), 5, 1)
    inputs, labels = plan.arrays.pool_inputs.copy(), plan.arrays.pool_labels.copy()
    inputs[forget.rows] = 0
    labels[forget.rows] = (labels[forget.rows] + 1) % plan.specification.classes
    written = []
    for name, arrays in (("a", plan.arrays), ("b", replace(plan.arrays, pool_inputs=inputs, pool_labels=labels))):
        path = tmp_path / f"{name}.safetensors"
        retrain_job(replace(job, path=path), arrays, lambda _: None)
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_the_models_of_a_comparison_saw_what_they_should(audit: Path, tmp_path: Path) -> None:
    opened = with_scores(plan_of(audit), next((audit / "out").glob("*/score.json")).parent)
    plan, table = opened.plan, opened.bench.table
    forget = ForgetSet(np.arange(10), scattered=True)
    scene, trainings = prepare_scene(plan, opened.bench, forget, 3, own_target=True, folder=tmp_path)
    members = {job.path: job.members for job in trainings}
    assert np.array_equal(members[scene.original], np.arange(len(table)))
    for path in scene.retrained:
        assert np.array_equal(members[path], np.arange(10, len(table)))


def test_u_lira_unlearns_what_each_shadow_model_saw(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[Any] = []

    def noting(problem: Any, request: Any, **named: Any) -> Any:
        problems.append(problem)
        assert not problem.is_of_target, "the score table's losses are the target's, and no shadow model's"
        return run_method(problem, request, **named)

    monkeypatch.setattr(u_lira, "run_method", noting)
    wanted = settings(audit, learning_rate=0.0, forget="random:60", u_lira=4, seed=8, reference="shadow")
    results = unlearn_anyway(lambda: run_unlearn(wanted))
    forgotten, plan = forgotten_by(results), plan_of(audit)
    keep = plan.store.read_design()[:4, : len(plan.data)]
    assert [one.original.name for one in problems] == [f"{model:04d}.safetensors" for model in range(4)]
    for saw, (forget, retain) in zip(keep, ((one.forget.rows, one.retain) for one in problems), strict=True):
        members = np.flatnonzero(saw)
        assert np.array_equal(np.sort(forget), np.intersect1d(members, forgotten))
        assert np.array_equal(np.sort(retain), np.setdiff1d(members, forgotten))
        assert 0 < len(forget) < len(forgotten)
