"""Scenes of trials: which models they need, and how they are run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from privaudit.audit.plan import AuditPlan
from privaudit.engines.base import Report, run_jobs
from privaudit.results.base import write_result
from privaudit.results.unlearning.ledger import Spent
from privaudit.results.unlearning.trials import TrialResult
from privaudit.runtime.progress import progress
from privaudit.shadow.trainer import AuditArrays, one_thread
from privaudit.trials.order_comparison import DO_NOTHING, RETRAIN
from privaudit.trials.treatment import Scene, Treatment
from privaudit.trials.trial_evaluation import TrialJudge
from privaudit.unlearning.application.problem import Bench, UnlearningProblem
from privaudit.unlearning.application.retrained_models import RetrainJob, retrain_jobs
from privaudit.unlearning.application.run_method import run_method
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
    of_seed = retrain_jobs(plan, forget, bench.without(forget.rows), seed, 2)
    trainings, original = list(of_seed), bench.target
    if own_target:
        original = plan.store.folder / "retrained" / f"target-{seed}.safetensors"
        everyone = np.arange(len(bench.table))
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
    problem = UnlearningProblem.of(scene.bench, arrays, scene.forget, scene.seed, original=scene.original)
    with one_thread(scene.bench.specification.hardware):
        judge = TrialJudge(scene, problem)
        for done, treatment in enumerate(scene.missing(), start=1):
            write_result(scene.path(treatment), _result_of(scene, problem, treatment, judge))
            report(float(done))


def _result_of(scene: Scene, problem: UnlearningProblem, treatment: Treatment, judge: TrialJudge) -> TrialResult:
    if isinstance(treatment.request, str):
        path = {DO_NOTHING: scene.original, RETRAIN: scene.retrained[1]}[treatment.request]
        nothing = Spent(forget_steps=0, forget_steps_run=0, retain_steps_run=0)
        return judge.of(problem.load(path), nothing, (0.0, 0.0), taught=False)
    began = time.process_time()
    model, run = run_method(problem, replace(treatment.request, seed=scene.seed), watched=False)
    took = round(run.seconds, 3), round(time.process_time() - began, 3)
    return judge.of(model, run.ledger, took, taught=run.taught)
