"""Scenes of trials: which models they need, and how they are run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from privaudit.audit.plan import AuditPlan
from privaudit.engines.base import Report, run_jobs
from privaudit.runtime import files
from privaudit.runtime.progress import progress
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import AuditArrays, load_model, one_thread
from privaudit.training.loop import Samples
from privaudit.trials.order_comparison import DO_NOTHING, RETRAIN
from privaudit.trials.treatment import Scene, Treatment
from privaudit.trials.trial_evaluation import TrialJudge
from privaudit.unlearning.application.retrained_models import RetrainJob, retrain_jobs
from privaudit.unlearning.application.run_method import Bench, run_method
from privaudit.unlearning.requests.forget_set import ForgetSet


def prepare_scene(
    plan: AuditPlan, bench: Bench, forget: ForgetSet, seed: int, own_target: bool, folder: Path
) -> tuple[Scene, list[RetrainJob]]:
    """A scene without treatments, and the models that must be trained before it can be run.

    Parameters
    ----------
    own_target
        Whether the seed gets an original model of its own; else all seeds unlearn from the audit's target.
    folder
        Where results of trials go.
    """
    everyone = np.arange(len(bench.table))
    of_seed = retrain_jobs(plan, forget, np.setdiff1d(everyone, forget.rows), seed, 2)
    trainings, original = list(of_seed), plan.store.model(TARGET)
    if own_target:
        original = plan.store.folder / "retrained" / f"target-{seed}.safetensors"
        trainings.insert(0, RetrainJob(original, everyone, plan.specification, ("seed-target", seed)))
    scene = Scene(seed, bench, forget, folder, original, (of_seed[0].path, of_seed[1].path), own_target, ())
    return scene, trainings


def run_trials(scenes: list[Scene], plan: AuditPlan) -> None:
    """Run every treatment of every scene that is not done yet; all models are trained already."""
    waiting = [scene for scene in scenes if scene.missing()]
    if waiting:
        trials = sum(len(scene.missing()) for scene in waiting)
        with progress(f"unlearning, {trials} trials", float(trials)) as bar:
            run_jobs(run_scene, waiting, plan.arrays, plan.engine, bar)


def run_scene(scene: Scene, arrays: AuditArrays, report: Report) -> None:
    """Run the treatments of a scene that are missing, and write down each as soon as it is done."""
    specification = scene.bench.specification
    device = specification.hardware.device
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, device)
    test = Samples.from_arrays(arrays.test_inputs, arrays.test_labels, device)
    with one_thread(specification.hardware):
        judge = TrialJudge(scene, pool, test)
        for done, treatment in enumerate(scene.missing(), start=1):
            model, facts = _treat(scene, treatment, pool, test)
            path = scene.path(treatment)
            files.write_json(path, judge.of(model, treatment) | facts)
            files.seal(path)
            report(float(done))


def _treat(scene: Scene, treatment: Treatment, pool: Samples, test: Samples) -> tuple[nn.Module, dict[str, Any]]:
    specification, request = scene.bench.specification, treatment.request
    facts: dict[str, Any] = {"seed": scene.seed, "n": len(scene.forget.rows)}
    if isinstance(request, str):
        path = {DO_NOTHING: scene.original, RETRAIN: scene.retrained[1]}[request]
        spent = {"forget_steps": 0, "forget_steps_run": 0, "retain_steps_run": 0, "stopped": None}
        return load_model(specification, path), facts | spent | {"seconds": 0.0, "processor_seconds": 0.0}
    retain = np.setdiff1d(np.arange(len(scene.bench.table)), scene.forget.rows)
    began = time.process_time()
    model, run = run_method(
        scene.bench,
        replace(request, seed=scene.seed),
        lambda: load_model(specification, scene.original),
        scene.forget.rows,
        retain,
        (pool, test),
        scattered=scene.forget.scattered,
        is_target=not scene.own_target,
        watched=False,
    )
    ledger = run.ledger.to_json()
    facts |= {key: ledger[key] for key in ("forget_steps", "forget_steps_run", "retain_steps_run", "stopped")}
    return model, facts | {
        "seconds": round(run.seconds, 3),
        "processor_seconds": round(time.process_time() - began, 3),
    }
