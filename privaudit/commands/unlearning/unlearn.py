"""`privaudit unlearn`: forget in order, hold the result against retraining, audit again, renew the report."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privaudit.audit.plan import AuditPlan
from privaudit.audit.reopening import reopen_plan
from privaudit.audit.result_files import REJECTED_MODEL, RESULTS
from privaudit.audit.thumbnails import check_images, write_thumbnails
from privaudit.commands.unlearning.unlearn_estimate import UnlearnEstimate, estimate_run
from privaudit.commands.unlearning.unlearn_inputs import demand_scores, demand_target, scored
from privaudit.commands.unlearning.unlearn_run import METRICS, is_there, make_run, takes_order
from privaudit.config import Sequencing, UnlearnSettings
from privaudit.errors import UnlearningRejected, UsageError
from privaudit.evaluation.u_lira import choose_models
from privaudit.report.content import comparability
from privaudit.report.content.outcome_wording import is_rejected, with_outcome
from privaudit.report.redaction import privacy_of
from privaudit.report.write import render_report
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.shadow.store import open_audit
from privaudit.trials.tuning import candidates, held_out_set
from privaudit.unlearning.application.method_choice import APPROXIMATE, AUTO, RETRAIN_BELOW, Chosen, choose_method
from privaudit.unlearning.application.retrained_models import expected_seconds, wanted_jobs
from privaudit.unlearning.application.run_method import Bench, Request, judges, will_teach
from privaudit.unlearning.application.teacher_models import check_applicable, why_no_teachers
from privaudit.unlearning.base import RETRAIN, UNLEARNERS, Unlearner, check_method
from privaudit.unlearning.parameters import parse_changes, with_changes
from privaudit.unlearning.requests.forget_set import ForgetSet, choose_forget_set
from privaudit.unlearning.schedule.ordering import check_order, score_of
from privaudit.unlearning.schedule.stages import check_sequencing


def only_by_steps(settings: UnlearnSettings) -> str | None:
    """What of the request only a method can do that is handed forget samples, in words; None where nothing."""
    if "order" in settings.model_fields_set and settings.order != "none":
        return f"--order {settings.order} is asked for, and retraining has none"
    if sequencing_of(settings) != Sequencing(order=settings.order):
        return "the forget set is to be handed over in a certain way, and retraining is handed none"
    return "--u-lira attacks approximate methods" if settings.u_lira is not None else None


def sequencing_of(settings: UnlearnSettings) -> Sequencing:
    """How the forget set is handed over, checked."""
    sequencing = Sequencing.of(settings)
    if settings.pace == "self-paced":
        if "rerank" in settings.model_fields_set and settings.rerank == "static":
            raise UsageError(
                "--pace self-paced asks at every stage which losses lie below λ: it can't be static",
                hint="Losses of before alone are --pace linear --order loss.",
            )
        sequencing = sequencing.changed(rerank="dynamic")
    check_sequencing(sequencing)
    return sequencing


def run_unlearn(settings: UnlearnSettings, *, dry_run: bool = False) -> dict[str, Any]:
    """Unlearn from the audit's target model; return what ``unlearn --json`` prints.

    With ``dry_run`` nothing is trained, changed or written: what it would do and cost is said and returned.

    Raises
    ------
    UnlearningRejected
        Where the outcome is ``unchanged`` or ``ruined``; its ``results`` are what would have been returned.
    """
    request_of(settings)  # A mistake is told before anything is opened.
    store = open_audit(settings.base.store, settings.audit)
    plan = reopen_plan(store, settings.base)
    folder = settings.base.out / store.audit
    if settings.base.show_samples:
        check_images(plan)
    if not dry_run:
        files.claim(folder)
        files.demand_writable(folder)
    with store.locked():
        demand_target(store)
        if dry_run:
            demand_scores(store, folder)
        plan, table = scored(plan, folder)
        forget = chosen_samples(settings, table, plan)
        if forget.said:
            talk(f"to forget: {forget.said}")
        chosen = _chosen(settings, plan, forget)
        if chosen.by == AUTO:
            talk(f"  {chosen.sentence()}")
        settings = of_method(settings, chosen.method)
        request = request_of(settings)
        order = settings.order
        if request is not None:
            check_applicable(request.method, forget, plan.shadows, request.parameters)
            # A score that was never measured is told before anything is trained.
            score_of(table.iloc[forget.rows], order)
        run_folder = _run_folder(folder / "unlearn", _run_name(plan, settings, table, forget, request))
        cost = None
        if not is_there(run_folder):
            cost = _estimate(settings, plan, table, request, forget)
            for sentence in cost.sentences(is_exact=request is None):
                talk(f"  {sentence}")
        if dry_run:
            return _planned(settings, plan, run_folder.name, forget, cost) | {"chosen": chosen.to_json()}
        if cost is None:
            talk(f"  run {run_folder.name} is there already: nothing is trained")
            results: dict[str, Any] = files.read_json(run_folder / METRICS)
        else:
            results = make_run(
                plan,
                request,
                table,
                forget,
                run_folder,
                seed=settings.seed,
                reference=settings.reference,
                u_lira_models=settings.u_lira,
                tuned=frozenset(_given(settings)) if settings.tune else None,
                facts={
                    "chosen": chosen.to_json(),
                    "order": order,
                    "descending": settings.descending,
                    "forget_specification": settings.forget if not settings.forget.startswith("ids:") else "ids:FILE",
                    "requests": len(forget.requests),
                    "skipped": len(forget.skipped),
                },
            )
        if settings.base.show_samples:
            write_thumbnails(plan, folder)
        report = render_report(folder, privacy_of(settings.base))
        warnings = comparability.of_unlearning(files.read_json(folder / RESULTS))
        for warning in warnings:
            talk(f"  warning: {warning}")
        # A run that is there may have been chosen otherwise than this request chose it.
        asked = {"chosen": chosen.to_json(), "report": report, "folder": str(run_folder), "warnings": warnings}
        answered = with_outcome(results) | asked
    # Tuning and U-LiRA study a method at its settings, whatever comes of it: they tell the outcome, and are done.
    if is_rejected(answered) and not settings.tune and settings.u_lira is None:
        error = UnlearningRejected(
            f"the model is {answered['outcome']}: it is kept as {run_folder / REJECTED_MODEL}, not to be deployed",
            hint="privaudit unlearn --method retrain with the same --forget is exact.",
        )
        error.results = answered
        raise error
    return answered


def of_method(settings: UnlearnSettings, method: str) -> UnlearnSettings:
    """The request with its method, and without an order where that method runs once."""
    settings = settings.changed(method=method, retrain_below=None)
    # It runs once: no order means anything to it.
    return settings if takes_order(method) else settings.changed(order="none", descending=False)


def _chosen(settings: UnlearnSettings, plan: AuditPlan, forget: ForgetSet) -> Chosen:
    """Which method does it, and why."""
    parameters = UNLEARNERS.load(APPROXIMATE).defaults
    return choose_method(
        settings.method,
        wanted=only_by_steps(settings),
        # By a training that was timed before: the same request is then always answered alike.
        exact_seconds=expected_seconds(plan, len(plan.data) - len(forget.rows)),
        below=RETRAIN_BELOW if settings.retrain_below is None else settings.retrain_below,
        not_applicable=why_no_teachers(forget, plan.shadows, parameters),
    )


def chosen_samples(
    settings: UnlearnSettings, table: pd.DataFrame, plan: AuditPlan, seed: int | None = None
) -> ForgetSet:
    """What is to be forgotten; ``seed`` is that of a random choice [the settings' own]."""
    return choose_forget_set(
        settings.forget,
        table,
        plan.data.class_names,
        settings.seed if seed is None else seed,
        skip_unknown=settings.skip_unknown,
        id_column=plan.settings.id,
    )


def _estimate(
    settings: UnlearnSettings, plan: AuditPlan, table: pd.DataFrame, request: Request | None, forget: ForgetSet
) -> UnlearnEstimate:
    """What a run that is not there yet will cost."""
    bench = Bench.of(plan, table)
    retain = np.setdiff1d(np.arange(len(plan.data)), forget.rows)
    jobs = wanted_jobs(
        plan,
        forget,
        retain,
        reference=settings.reference,
        seed=settings.seed,
        is_method=request is None,
        noise_floor=True,
    )
    trials, for_tuning, attacked = 0, [], 0
    if request is not None and settings.tune:
        trials = len(candidates(UNLEARNERS.load(request.method), set(_given(settings))))
        held_out = held_out_set(plan.data.y_train, forget, settings.seed)
        kept = np.setdiff1d(np.arange(len(plan.data)), held_out.rows)
        for_tuning = wanted_jobs(plan, held_out, kept, reference="retrain", seed=settings.seed, is_method=False)
    if request is not None and settings.u_lira is not None:
        attacked = len(choose_models(judges(bench, will_teach(request)), settings.u_lira))
    return estimate_run(plan, bench, request, forget, jobs, u_lira_models=attacked, trials=trials, tuning=for_tuning)


def _planned(
    settings: UnlearnSettings, plan: AuditPlan, run: str, forget: ForgetSet, cost: UnlearnEstimate | None
) -> dict[str, Any]:
    """What ``unlearn --dry-run --json`` prints; ``cost`` is None where the run is there already."""
    for note in forget.notes:
        talk(f"  {note}")
    return {
        "audit": plan.name,
        "run": run,
        "is_there": cost is None,
        "method": settings.method,
        "order": settings.order,
        "forget": len(forget.rows),
        "samples": len(plan.data),
        **(cost.to_json() if cost is not None else {"to_train": 0, "seconds": 0.0}),
    }


def request_of(settings: UnlearnSettings) -> Request | None:
    """What is asked for, checked; None where the method is retraining itself.

    Of ``auto`` it is what it may come to.
    """
    if settings.method == AUTO:
        _check_auto(settings)
        settings = settings.changed(method=APPROXIMATE)
    elif settings.retrain_below is not None:
        raise UsageError(f"--retrain-below with --method {settings.method}: it is for --method auto to choose by")
    check_method(settings.method)
    check_order(settings.order)
    sequencing, changes = sequencing_of(settings), _given(settings)
    if settings.method == RETRAIN:
        if settings.u_lira is not None:
            raise UsageError(
                "--u-lira with --method retrain: retraining never sees a forgotten sample, so there is nothing to tell",
                hint="Use it with an approximate method.",
            )
        if settings.tune or changes:
            raise UsageError("retrain has no parameters: it follows the recipe of the target")
        return None
    method: type[Unlearner] = UNLEARNERS.load(settings.method)
    parameters = with_changes(method.defaults, changes)
    return Request(settings.method, parameters, sequencing, settings.seed, guard=settings.guard == "on")


def _check_auto(settings: UnlearnSettings) -> None:
    if settings.tune or (given := _given(settings)):
        flag = "tune" if settings.tune else next(iter(given)).replace("_", "-")
        raise UsageError(
            f"--{flag} without --method: which parameters there are depends on the method",
            hint="Name it, for example --method shadow-teacher or --method ga.",
        )


def _given(settings: UnlearnSettings) -> dict[str, Any]:
    """The method's parameters that were asked for by value."""
    common = {name: getattr(settings, name) for name in ("passes", "learning_rate", "batch_size")}
    return {name: value for name, value in common.items() if value is not None} | parse_changes(settings.parameter)


def _run_name(
    plan: AuditPlan, settings: UnlearnSettings, table: pd.DataFrame, forget: ForgetSet, request: Request | None
) -> str:
    """A name with 8 digits of the hash of everything that changes the run's results."""
    scores = np.ascontiguousarray(table.loc[forget.rows, ["risk", "lira", "loss"]].to_numpy(np.float64))
    what: dict[str, Any] = {
        "audit": plan.name,
        "shadows": plan.shadows,
        "scores": hashlib.sha256(scores.tobytes()).hexdigest(),
        "method": settings.method,
        "reference": settings.reference,
        "seed": settings.seed,
        "forget": forget.rows.tolist(),
        "requests": [[entry.sample_id, entry.request_id, entry.date] for entry in forget.requests],
    }
    if forget.skipped:
        what |= {"skipped": [[entry.sample_id, entry.request_id, entry.date] for entry in forget.skipped]}
    sequenced = request is not None and takes_order(request.method)
    if request is not None:
        what |= {"parameters": asdict(request.parameters), "u_lira": settings.u_lira, "tune": settings.tune}
        what |= {"guard": request.guard}
    if request is not None and sequenced:
        what |= {"sequencing": request.sequencing.to_json()}
    # A method that another package brings may be edited under the same name.
    if (source := UNLEARNERS.source(settings.method)) is not None:
        what |= {"source": source}
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
    order = (settings.order) + ("-descending" if settings.descending else "")
    words = [settings.method, order] if sequenced else [settings.method]
    # Where a list of requests lies, and what it is called, may name who asked: it is in no name.
    slug = "ids" if settings.forget.startswith("ids:") else re.sub(r"[^a-z0-9]+", "-", settings.forget.lower())[-24:]
    return "-".join([*words, slug.strip("-") or "ids", digest])


def _run_folder(runs: Path, name: str) -> Path:
    """Where a run's results go, or are: an earlier version named runs of a list of ids after its file."""
    digest = name.rsplit("-", 1)[1]
    earlier = [path for path in sorted(runs.glob(f"*-{digest}")) if is_there(path)]
    return earlier[0] if earlier else runs / name
