"""`privaudit unlearn --compare-orders`: does the order matter, at one budget, over seeds?"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privaudit import files
from privaudit.engines.base import run_jobs
from privaudit.errors import UsageError
from privaudit.evaluation.order_comparison import compare, same_budget
from privaudit.progress import progress, readable_time, talk
from privaudit.ranking import score_of
from privaudit.shadow.store import TARGET, open_audit
from privaudit.unlearning.forget_set import choose_forget_set
from privaudit.workflow.arms import SeedJob, arm_name, arms_of, missing_arms, result_path, seed_job
from privaudit.workflow.bench import Bench, Request
from privaudit.workflow.plan import AuditPlan, reopen_plan
from privaudit.workflow.render import render_report
from privaudit.workflow.retraining import (
    LONGEST_RETRAINING,
    RetrainJob,
    expected_seconds,
    retrain_jobs,
    train_missing,
)
from privaudit.workflow.teachers import check_applicable
from privaudit.workflow.unlearn import UnlearnSettings, demand_target, request_of, scored
from privaudit.workflow.unlearn_run import takes_order

DEFAULT_SEEDS = 3
RESULTS = "results.json"
FOLDER = "compare-orders"


def run_compare_orders(settings: UnlearnSettings, seeds: int) -> dict[str, Any]:
    """Run every arm on every seed, or find what was done before; return what ``--json`` prints.

    Every seed has a forget set of its own and two retrained models of its own, and where training them all takes at
    most ten minutes an original model of its own.
    """
    request = _checked(settings)
    store = open_audit(settings.base.store, settings.audit)
    plan = reopen_plan(store, settings.base)
    out = settings.base.out / store.audit
    with store.locked():
        demand_target(store)
        plan, table = scored(plan, out)
        one = expected_seconds(plan, len(plan.data))
        if settings.reference == "auto" and one > LONGEST_RETRAINING:
            raise UsageError(
                f"a comparison needs {2 * seeds} retrained models, about {readable_time(one)} each",
                hint="--reference retrain to train them all the same.",
            )
        own_target = one * seeds / plan.workers <= LONGEST_RETRAINING
        name = _name(plan, settings, table, request, own_target)
        folder = out / FOLDER / name
        jobs, trainings = _jobs(plan, settings, table, request, seeds, own_target, folder)
        talk(
            f"comparing orders of {request.method} over {seeds} seeds: {len(trainings)} models to train at about "
            f"{readable_time(one)} each, unless they are there; "
            + ("each seed has its own original model" if own_target else "all seeds unlearn from the audit's target")
        )
        train_missing(trainings, plan)
        waiting = [job for job in jobs if missing_arms(job)]
        if waiting:
            arms = sum(len(missing_arms(job)) for job in waiting)
            with progress(f"unlearning in {arms} arms", float(arms)) as bar:
                run_jobs(seed_job, waiting, plan.arrays, plan.engine, bar)
        results = _results(plan, settings, request, jobs, folder, own_target)
        return results | {"report": render_report(out), "folder": str(folder)}


def _checked(settings: UnlearnSettings) -> Request:
    request = request_of(settings)
    if request is None or not takes_order(request.method):
        raise UsageError(
            f"--compare-orders with --method {settings.method}: it is handed no forget samples one after another",
            hint="Compare orders of ga, rl, neggrad-plus, bad-teacher, …",
        )
    if request.sequencing.order in ("none", "random"):
        raise UsageError(
            f"--compare-orders --order {request.sequencing.order}: that is one of the arms which an order is compared "
            "with",
            hint="For example --order risk.",
        )
    if request.sequencing.pace == "self-paced" or request.sequencing.budget != "matched":
        raise UsageError(
            "--compare-orders compares at one budget: --pace self-paced and --budget per-stage spend another",
            hint="Leave them out.",
        )
    for flag, given in (("--tune", settings.tune), ("--u-lira", settings.u_lira is not None)):
        if given:
            raise UsageError(
                f"--compare-orders does not take {flag}",
                hint="Give every arm the same parameters: --learning-rate, --passes, --parameter.",
            )
    if settings.reference == "shadow":
        raise UsageError(
            "--compare-orders is measured in ToW, which needs retrained models", hint="--reference retrain"
        )
    return request


def _jobs(
    plan: AuditPlan,
    settings: UnlearnSettings,
    table: pd.DataFrame,
    request: Request,
    seeds: int,
    own_target: bool,
    folder: Path,
) -> tuple[list[SeedJob], list[RetrainJob]]:
    bench = Bench.of(plan, table)
    jobs, trainings = [], []
    for seed in range(settings.seed, settings.seed + seeds):
        forget = choose_forget_set(settings.forget, table, plan.data.class_names, seed)
        check_applicable(request.method, forget, plan.shadows, request.parameters)
        score_of(table.iloc[forget.rows], request.sequencing.order)
        everyone = np.arange(len(table))
        of_seed = retrain_jobs(plan, forget, np.setdiff1d(everyone, forget.rows), seed, 2)
        original = plan.store.model(TARGET)
        if own_target:
            original = plan.store.folder / "retrained" / f"target-{seed}.safetensors"
            trainings.append(RetrainJob(original, everyone, plan.specification, ("seed-target", seed)))
        trainings += of_seed
        jobs.append(
            SeedJob(seed, bench, request, forget, folder, original, (of_seed[0].path, of_seed[1].path), own_target)
        )
    return jobs, trainings


def _results(
    plan: AuditPlan,
    settings: UnlearnSettings,
    request: Request,
    jobs: list[SeedJob],
    folder: Path,
    own_target: bool,
) -> dict[str, Any]:
    runs = pd.DataFrame(
        [files.read_json(result_path(folder, job.seed, arm)) for job in jobs for arm in arms_of(request.sequencing)]
    )
    same_forget_set = len({job.forget.rows.tobytes() for job in jobs}) == 1
    results = {
        "audit": plan.name,
        "comparison": folder.name,
        "method": request.method,
        "order": request.sequencing.order,
        "descending": request.sequencing.descending,
        "parameters": asdict(request.parameters),
        "sequencing": asdict(request.sequencing),
        "forget": len(jobs[0].forget.rows),
        "forget_specification": "ids:FILE" if settings.forget.startswith("ids:") else settings.forget,
        "seed": settings.seed,
        "own_target": own_target,
        "same_forget_set": same_forget_set,
        "same_budget": same_budget(runs),
        **compare(runs, arm_name(request.sequencing)),
    }
    files.write_text(folder / "runs.csv", runs.to_csv(index=False))
    files.seal(folder / "runs.csv")
    files.write_json(folder / RESULTS, results)
    files.seal(folder / RESULTS)
    return results


def _name(plan: AuditPlan, settings: UnlearnSettings, table: pd.DataFrame, request: Request, own_target: bool) -> str:
    """A name with 8 digits of the hash of what changes an arm's results; the number of seeds does not."""
    scores = np.ascontiguousarray(table[["risk", "lira", "loss"]].to_numpy(np.float64))
    what = {
        "audit": plan.name,
        "shadows": plan.shadows,
        "scores": hashlib.sha256(scores.tobytes()).hexdigest(),
        "method": request.method,
        "parameters": asdict(request.parameters),
        "sequencing": asdict(request.sequencing),
        "forget": choose_forget_set(settings.forget, table, plan.data.class_names, settings.seed).rows.tolist(),
        "seed": settings.seed,
        "own_target": own_target,
    }
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", settings.forget.lower().split("ids:")[0] or "ids").strip("-")
    return f"{request.method}-{arm_name(request.sequencing)}-{slug or 'ids'}-{digest}"
