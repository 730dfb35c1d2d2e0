"""Estimates: from real steps, for the machine as it is, and said when it is busy."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from privaudit.audit.cost.audit_estimate import Estimate, estimate, makespan
from privaudit.audit.cost.stopwatch import Cost, Measured, measure
from privaudit.audit.inversion.inversion_plan import measured, plan_inversion
from privaudit.audit.inversion.inversion_stage import InversionStage
from privaudit.audit.inversion.unfinished_searches import unfinished
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.config import read_settings
from privaudit.inversion.proxies import ITERATIONS
from privaudit.shadow.trainer import one_thread
from privaudit.training.loop import Samples, train
from tests.conftest import Run


def plan_of(dataset: Path | str, store: Path, **flags: object) -> AuditPlan:
    settings = {"dataset": str(dataset), "shadows": 8, "epochs": 4, "workers": 1, "store": store, "out": store}
    return plan_audit(read_settings(settings | flags, None))


def test_jobs_fill_the_workers_in_turn() -> None:
    costs = [Cost(2 * seconds, seconds) for seconds in (3.0, 1.0, 1.0, 1.0, 2.0)]
    assert makespan(costs, 1) == Cost(16.0, 8.0)
    assert makespan(costs, 2) == Cost(10.0, 5.0)  # 3 and 2, beside 1, 1 and 1
    assert makespan(costs, 9) == Cost(6.0, 3.0)
    assert makespan([], 2) == Cost(0.0, 0.0)


def test_training_is_measured_by_real_steps(small_npz: Path, tmp_path: Path) -> None:
    """In the processor's seconds, which do not depend on what else runs: the same training costs what was foreseen."""
    plan = plan_of(small_npz, tmp_path)
    found = measure(plan, None, (), 1)
    assert 0 < found.busy() <= 1
    assert found.memory > 50e6  # torch alone takes more
    arrays, hardware = plan.arrays, plan.specification.hardware
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, hardware.device)
    recipe = plan.specification.recipe.model_copy(update={"epochs": 60})
    with one_thread(hardware):
        start = time.process_time()
        train(plan.specification.build("x"), pool, np.arange(150), recipe, 0, hardware)
        taken = time.process_time() - start
    assert found.training.processor * 150 * 60 == pytest.approx(taken, rel=0.7)


def test_what_is_asked_for_is_what_is_counted(small_npz: Path, tmp_path: Path) -> None:
    """Every tier of the inversions is measured; twice the epochs are twice the training; nothing is left behind."""
    plan = plan_of(small_npz, tmp_path / "s", invert=12)
    inversion = plan_inversion(plan)
    assert inversion is not None
    pending = unfinished(InversionStage(plan, inversion, measured(plan, inversion, keep=False)))
    counts = {(one.tier, one.steps): one.count for one in pending}
    assert counts == {
        ("proxies", ITERATIONS + 1): 12,
        ("proxies", 1): 288,
        ("features", inversion.features.steps): 24,
        ("matching", inversion.attack.steps): 12 * 2 * inversion.attack.restarts,
    }
    jobs = plan.jobs(plan.design(8))
    cost = estimate(plan, jobs, inversion, keep=False)
    assert (cost.models, cost.searches) == (9, sum(counts.values()))
    assert cost.inverting.processor > 0
    assert cost.total.wall == pytest.approx(cost.training.wall + cost.inverting.wall + cost.scoring.wall)
    weights = sum(4 * part.numel() for part in plan.specification.build("x").parameters())
    assert cost.disk_bytes > 9 * weights
    assert cost.smallest_fpr == pytest.approx(10 / (8 * 300 / 2))
    assert not (tmp_path / "s").exists()


def test_nothing_is_measured_where_nothing_is_to_be_done(
    small_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privaudit.audit.cost.audit_estimate.measure", None)
    cost = estimate(plan_of(small_npz, tmp_path), [], None, keep=False)
    assert (cost.models, cost.training, cost.inverting) == (0, Cost(0.0, 0.0), Cost(0.0, 0.0))


def test_what_is_finished_is_not_foreseen_again(small_npz: Path, tmp_path: Path) -> None:
    """Searches of the groups too, whom the results of earlier searches name."""
    plan = plan_of(small_npz, tmp_path, invert_at="init")
    inversion = plan_inversion(plan)
    assert inversion is not None
    quick = replace(
        inversion,
        attack=inversion.attack.model_copy(update={"steps": 2, "restarts": 1}),
        features=inversion.features.model_copy(update={"steps": 2}),
    )
    stage = InversionStage(plan, quick, measured(plan, quick, keep=True))
    features = stage.features()
    assert features is not None
    curved, read = stage.run(stage.curvature()), stage.run(features)
    stage.run(stage.norms())
    (left,) = unfinished(stage)
    assert (left.tier, left.count, left.steps) == ("matching", 2 * 2 * inversion.group, 2)
    rows = np.sort(np.concatenate(stage.pick_groups(read, curved)))
    stage.run(stage.matching(rows))
    assert unfinished(stage) == []
    lost = stage.jobs(stage.matching(rows))[0]
    lost.path.unlink()
    assert [one.jobs for one in unfinished(stage)] == [(len(lost.rows),)]


def test_what_is_finished_is_announced_as_such(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    command = ["score", "--dataset", small_npz, "--shadows", "4", "--epochs", "2", "--out", tmp_path / "o"]
    command += ["--store", tmp_path / "s", "--invert", "1"]
    assert privaudit(*command).returncode == 0
    done = privaudit(*command, "--dry-run", "--json")
    again = json.loads(done.stdout)
    assert {again[name] for name in ("to_train", "to_invert", "training_seconds", "inversion_seconds")} == {0}
    assert "every one is finished already" in done.stderr


def test_a_busy_machine_is_said() -> None:
    step = Cost(1e-3, 4e-3)
    assert Measured(step, step, {}, 1, 0).busy() == pytest.approx(0.25)
    idle = Estimate(9, 100, Cost(60.0, 60.0), Cost(30.0, 30.0), Cost(5.0, 5.0), 1.0, 10**9, 0, 10**6, 0.01)
    assert not any("busy" in sentence for sentence in idle.sentences())
    busy = replace(idle, training=Cost(60.0, 240.0), inverting=Cost(30.0, 120.0), scoring=Cost(5.0, 20.0), busy=0.25)
    said = " ".join(busy.sentences())
    assert "together about 6 min 20 s" in said
    assert "got 25% of their cores" in said
    assert "Left alone it would take about 1 min 35 s" in said


@pytest.mark.slow
def test_the_estimate_comes_true(privaudit: Run, tmp_path: Path) -> None:
    """Within a factor of 1.5 on a machine whose load does not change meanwhile."""
    command = ["score", "--dataset", "digits", "--shadows", "8", "--store", tmp_path / "s", "--out", tmp_path / "o"]
    foreseen = json.loads(privaudit(*command, "--dry-run", "--json").stdout)
    start = time.monotonic()
    done = privaudit(*command)
    taken = time.monotonic() - start
    assert done.returncode == 0, done.stderr
    assert 1 / 1.5 < taken / foreseen["seconds"] < 1.5
    written = sum(path.stat().st_size for path in (tmp_path / "s").rglob("*") if path.is_file())
    assert 1 / 1.5 < written / foreseen["disk_bytes"] < 1.5
