"""`privaudit unlearn --compare-orders`: does the order matter, at one budget, over seeds?"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privaudit.audit.plan import AuditPlan
from privaudit.audit.reopening import reopen_plan
from privaudit.audit.result_files import spreadsheet_text
from privaudit.commands.unlearning.unlearn import chosen_samples, request_of
from privaudit.commands.unlearning.unlearn_estimate import UnlearnEstimate, estimate_scenes
from privaudit.commands.unlearning.unlearn_inputs import demand_scores, demand_target, scored
from privaudit.commands.unlearning.unlearn_run import takes_order
from privaudit.config import Sequencing, UnlearnSettings
from privaudit.errors import UsageError
from privaudit.report.write import render_report
from privaudit.runtime import files
from privaudit.runtime.progress import readable_time, talk
from privaudit.shadow.store import TARGET, open_audit
from privaudit.trials.order_comparison import (
    DO_NOTHING,
    ONE_SHOT,
    RANDOM_GROUPS,
    RETRAIN,
    REVERSE,
    compare,
    same_budget,
)
from privaudit.trials.run_trials import prepare_scene, run_trials
from privaudit.trials.treatment import FOLDER as TRIALS
from privaudit.trials.treatment import Scene, Treatment
from privaudit.unlearning.application.method_choice import AUTO
from privaudit.unlearning.application.retrained_models import (
    LONGEST_RETRAINING,
    RetrainJob,
    expected_seconds,
    train_missing,
)
from privaudit.unlearning.application.run_method import Bench, Request
from privaudit.unlearning.application.teacher_models import check_applicable
from privaudit.unlearning.schedule.ordering import score_of

DEFAULT_SEEDS = 3
RESULTS = "results.json"
FOLDER = "compare-orders"


def run_compare_orders(settings: UnlearnSettings, seeds: int, *, dry_run: bool = False) -> dict[str, Any]:
    """Run every arm on every seed, or find what was done before; return what ``--json`` prints.

    With ``dry_run`` nothing is trained or written but what the comparison would do and cost is said and returned.

    Every seed has a forget set of its own and two retrained models of its own, and where training them all takes at
    most ten minutes an original model of its own (unless the target was given: then all unlearn from that).
    """
    # The comparison needs a method that is handed samples, many times over: the paper's, and the cheapest.
    method = "ga" if settings.method == AUTO else settings.method
    settings = settings.changed(method=method)
    request = _checked(settings)
    store = open_audit(settings.base.store, settings.audit)
    plan = reopen_plan(store, settings.base)
    out = settings.base.out / store.audit
    if not dry_run:
        files.claim(out)
        files.demand_writable(out)
    with store.locked():
        demand_target(store)
        if dry_run:
            demand_scores(store, out)
        plan, table = scored(plan, out)
        one = expected_seconds(plan, len(plan.data))
        if settings.reference == "auto" and one > LONGEST_RETRAINING:
            raise UsageError(
                f"a comparison needs {2 * seeds} retrained models, about {readable_time(one)} each",
                hint="--reference retrain to train them all the same.",
            )
        # A given target can't be made once more.
        own_target = one * seeds <= LONGEST_RETRAINING and not plan.is_given(TARGET)
        name = _name(plan, settings, table, request, own_target)
        folder = out / FOLDER / name
        arms = arms_of(request)
        scenes, trainings = _scenes(plan, settings, table, request, seeds, own_target, out / TRIALS)
        talk(
            f"comparing orders of {request.method} over {seeds} seeds: {len(trainings)} models to train at about "
            f"{readable_time(one)} each, unless they are there; "
            + ("each seed has its own original model" if own_target else "all seeds unlearn from the audit's target")
        )
        cost = estimate_scenes(plan, scenes, trainings)
        for sentence in [] if cost is None else cost.sentences(is_exact=True):
            talk(f"  {sentence}")
        if dry_run:
            return _planned(plan, request, scenes, name, cost)
        train_missing(trainings, plan)
        run_trials(scenes, plan)
        results = _results(plan, settings, request, arms, scenes, folder, own_target)
        return results | {"report": render_report(out), "folder": str(folder)}


def _planned(
    plan: AuditPlan, request: Request, scenes: list[Scene], name: str, cost: UnlearnEstimate | None
) -> dict[str, Any]:
    """What ``unlearn --compare-orders --dry-run --json`` prints; ``cost`` is None where everything is done."""
    return {
        "audit": plan.name,
        "comparison": name,
        "is_there": cost is None,
        "method": request.method,
        "seeds": len(scenes),
        "forget": len(scenes[0].forget.rows),
        "trials": sum(len(scene.missing()) for scene in scenes),
        **({"to_train": 0, "seconds": 0.0} if cost is None else cost.to_json()),
    }


def _checked(settings: UnlearnSettings) -> Request:
    # At the settings as they are: a guard would spend another budget in one arm than in another.
    request = request_of(settings.changed(guard="off"))
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


def arms_of(request: Request) -> dict[str, Treatment]:
    """Every arm by name: what is done, and how the forget set is handed over."""
    ordered = request.sequencing
    static = ordered.changed(rerank="static", descending=False)

    def handed(sequencing: Sequencing) -> Treatment:
        return Treatment(replace(request, sequencing=sequencing))

    return {
        DO_NOTHING: Treatment(DO_NOTHING),
        ONE_SHOT: handed(static.changed(order="none")),
        RANDOM_GROUPS: handed(static.changed(order="random")),
        REVERSE: handed(ordered.changed(descending=not ordered.descending)),
        arm_name(ordered): handed(ordered),
        RETRAIN: Treatment(RETRAIN),
    }


def arm_name(sequencing: Sequencing) -> str:
    """What the ordered arm is called."""
    return sequencing.order + ("-descending" if sequencing.descending else "")


def _scenes(
    plan: AuditPlan,
    settings: UnlearnSettings,
    table: pd.DataFrame,
    request: Request,
    seeds: int,
    own_target: bool,
    folder: Path,
) -> tuple[list[Scene], list[RetrainJob]]:
    bench = Bench.of(plan, table)
    scenes, trainings = [], []
    for seed in range(settings.seed, settings.seed + seeds):
        forget = chosen_samples(settings, table, plan, seed)
        check_applicable(request.method, forget, plan.shadows, request.parameters)
        score_of(table.iloc[forget.rows], request.sequencing.order)
        scene, needed = prepare_scene(plan, bench, forget, seed, own_target, folder)
        scenes.append(replace(scene, treatments=tuple(arms_of(request).values())))
        trainings += needed
    return scenes, trainings


def _results(
    plan: AuditPlan,
    settings: UnlearnSettings,
    request: Request,
    arms: dict[str, Treatment],
    scenes: list[Scene],
    folder: Path,
    own_target: bool,
) -> dict[str, Any]:
    runs = pd.DataFrame(
        [{"arm": name} | scene.results(treatment) for scene in scenes for name, treatment in arms.items()]
    )
    same_forget_set = len({scene.forget.rows.tobytes() for scene in scenes}) == 1
    results = {
        "audit": plan.name,
        "comparison": folder.name,
        "method": request.method,
        "order": request.sequencing.order,
        "descending": request.sequencing.descending,
        "parameters": asdict(request.parameters),
        "sequencing": request.sequencing.to_json(),
        "forget": len(scenes[0].forget.rows),
        "forget_specification": "ids:FILE" if settings.forget.startswith("ids:") else settings.forget,
        "seed": settings.seed,
        "own_target": own_target,
        "same_forget_set": same_forget_set,
        "same_budget": same_budget(runs),
        **compare(runs, arm_name(request.sequencing)),
    }
    files.write_text(folder / "runs.csv", spreadsheet_text(runs))
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
        "sequencing": request.sequencing.to_json(),
        "forget": chosen_samples(settings, table, plan).rows.tolist(),
        "seed": settings.seed,
        "own_target": own_target,
    }
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", settings.forget.lower().split("ids:")[0] or "ids").strip("-")
    return f"{request.method}-{arm_name(request.sequencing)}-{slug or 'ids'}-{digest}"
