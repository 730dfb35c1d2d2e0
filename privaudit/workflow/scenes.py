"""Scenes of trials: which models they need, and how they are run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privaudit.engines.local import run_jobs
from privaudit.progress import progress
from privaudit.shadow.store import TARGET
from privaudit.unlearning.forget_set import ForgetSet
from privaudit.workflow.bench import Bench
from privaudit.workflow.plan import AuditPlan
from privaudit.workflow.retraining import RetrainJob, retrain_jobs
from privaudit.workflow.trials import Scene, run_scene


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
            run_jobs(run_scene, waiting, plan.arrays, plan.workers, bar)
