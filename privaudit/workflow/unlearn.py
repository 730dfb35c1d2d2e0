"""`privaudit unlearn`: forget in order, hold the result against retraining, audit again, renew the report."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from privaudit import files
from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.config import AuditSettings
from privaudit.errors import StoreError, UsageError
from privaudit.evaluation.difficulty import relate_to_risk
from privaudit.evaluation.utility import tug_of_war
from privaudit.progress import progress, talk
from privaudit.ranking import ORDERS, cumulative_groups, order_rows
from privaudit.report.privacy import privacy_of
from privaudit.scoring.target import split_test
from privaudit.seeds import derive_seed
from privaudit.shadow.store import TARGET, open_audit
from privaudit.shadow.trainer import load_model, one_thread, read_record, save_model, signals_on
from privaudit.signals import signal
from privaudit.training.loop import Samples
from privaudit.unlearning.base import RETRAIN, UNLEARNERS, Context, Parameters, Unlearner, check_method
from privaudit.unlearning.forget_set import ForgetSet, choose_forget_set
from privaudit.unlearning.once import run_once
from privaudit.unlearning.parameters import parse_changes, with_changes
from privaudit.unlearning.sequence import Ledger, plan_stages, run_sequence
from privaudit.workflow.judging import Judged, audit_again, choose_reference, difficulty_of
from privaudit.workflow.plan import AuditPlan, reopen_plan, replace_settings
from privaudit.workflow.render import render_report
from privaudit.workflow.retraining import retrained_models
from privaudit.workflow.score import are_scored, read_stored_signals, score_stored
from privaudit.workflow.tables import RESULTS, SCORES, read_table, write_table
from privaudit.workflow.teachers import check_applicable, teachers_for
from privaudit.workflow.thumbnails import check_images, write_thumbnails
from privaudit.workflow.tuning import tune

METRICS = "metrics.json"
FORGETTING = "forgetting.parquet"
MODEL = "model.safetensors"


@dataclass(frozen=True)
class UnlearnSettings:
    """One request to unlearn; None means the method's own default."""

    audit: str | None = None
    method: str = "ga"
    order: str = "risk"
    descending: bool = False
    forget: str = "random:10%"
    groups: int = 5
    reference: str = "auto"
    seed: int = 0
    passes: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    parameter: tuple[str, ...] = ()
    tune: bool = False
    base: AuditSettings = field(default_factory=lambda: AuditSettings())


def run_unlearn(settings: UnlearnSettings) -> dict[str, Any]:
    """Unlearn from the audit's target model; return what ``unlearn --json`` prints."""
    _check(settings)
    if settings.method != RETRAIN and not UNLEARNERS.load(settings.method).takes_forget_steps:
        # It runs once: no order means anything to it.
        settings = replace(settings, order="none", descending=False)
    store = open_audit(settings.base.store, settings.audit)
    plan = reopen_plan(store, settings.base)
    folder = settings.base.out / store.audit
    if settings.base.show_samples:
        check_images(plan)
    with store.locked():
        if not store.is_finished(TARGET):
            raise StoreError(
                f"the target model of {store.audit} is missing, damaged or unfinished",
                hint="Run the same privaudit score again: it makes anew what is missing.",
            )
        plan, table = _scored(plan, folder)
        forget = choose_forget_set(settings.forget, table, plan.data.class_names, settings.seed)
        parameters = _parameters(settings)
        if parameters is not None:
            check_applicable(settings.method, forget, plan.shadows, parameters)
        run = _run_name(plan, settings, table, forget, parameters)
        run_folder = folder / "unlearn" / run
        if all(files.is_whole(run_folder / name) for name in (METRICS, FORGETTING, MODEL)):
            talk(f"  run {run} is there already: nothing is trained")
            results: dict[str, Any] = files.read_json(run_folder / METRICS)
        else:
            results = _unlearn(plan, settings, table, forget, parameters, run, run_folder)
        if settings.base.show_samples:
            write_thumbnails(plan, folder)
        report = render_report(folder, privacy_of(settings.base))
        return results | {"report": report, "folder": str(run_folder)}


def _check(settings: UnlearnSettings) -> None:
    check_method(settings.method)
    if settings.method == RETRAIN and (settings.tune or settings.parameter):
        raise UsageError("retrain has no parameters: it follows the recipe of the target")
    if settings.order not in ORDERS:
        raise UsageError(f"unknown order '{settings.order}'", hint=f"Known orders: {', '.join(ORDERS)}.")
    if settings.reference not in ("auto", "retrain", "shadow"):
        raise UsageError(f"unknown reference '{settings.reference}'", hint="Known: auto, retrain, shadow.")
    for name in ("passes", "learning_rate", "batch_size"):
        value = getattr(settings, name)
        zero_is_fine = value == 0 and name == "learning_rate"
        if value is not None and not (0 < value < math.inf or zero_is_fine):
            raise UsageError(f"--{name.replace('_', '-')} {value}: it must be a positive number")


def _parameters(settings: UnlearnSettings) -> Parameters | None:
    if settings.method == RETRAIN:
        return None
    method: type[Unlearner] = UNLEARNERS.load(settings.method)
    given = {name: getattr(settings, name) for name in ("passes", "learning_rate", "batch_size")}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return with_changes(method.defaults, changes | parse_changes(settings.parameter))


def _scored(plan: AuditPlan, folder: Path) -> tuple[AuditPlan, pd.DataFrame]:
    """The plan with the size and statistic of the published scores, and the score rows without canaries.

    Scores that are not there, or are damaged, are made from what the store holds.
    """
    if not are_scored(folder):
        shadows = plan.store.finished_shadows()
        if shadows < FEWEST_MODELS:
            raise StoreError(
                f"only {shadows} shadow models of {plan.name} are finished: too few to score with",
                hint="Run the same privaudit score again: it goes on where it stopped.",
            )
        score_stored(replace(plan, shadows=shadows), folder)
    results = files.read_json(folder / RESULTS)
    settings = replace_settings(plan.settings, statistic=results["statistic"], queries=",".join(results["queries"]))
    table = read_table(folder / SCORES)
    if not np.array_equal(table["sample_id"].to_numpy(), plan.facts.sample_ids):
        raise StoreError(
            f"{folder / SCORES} does not belong to audit {plan.name}", hint="Run the same privaudit score again."
        )
    return (
        replace(plan, shadows=int(results["shadows"]), settings=settings),
        table[~table["canary"]].reset_index(drop=True),
    )


def _run_name(
    plan: AuditPlan, settings: UnlearnSettings, table: pd.DataFrame, forget: ForgetSet, parameters: Parameters | None
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
    }
    if settings.tune:
        what["tune"] = True
    if parameters is not None:
        what |= {"order": settings.order, "descending": settings.descending, "groups": settings.groups}
        what |= {"parameters": asdict(parameters)}
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
    order = settings.order + ("-descending" if settings.descending else "")
    words = [settings.method] if parameters is None else [settings.method, order]
    slug = re.sub(r"[^a-z0-9]+", "-", settings.forget.lower().removeprefix("ids:") or "ids").strip("-")[-24:]
    return "-".join([*words, slug.strip("-") or "ids", digest])


def _unlearn(
    plan: AuditPlan,
    settings: UnlearnSettings,
    table: pd.DataFrame,
    forget: ForgetSet,
    parameters: Parameters | None,
    run: str,
    folder: Path,
) -> dict[str, Any]:
    specification, store = plan.specification, plan.store
    retain = np.setdiff1d(np.arange(len(plan.data)), forget.rows)
    talk(f"unlearning {len(forget.rows):,} of {len(plan.data):,} samples of {plan.name}: {run}")
    for note in forget.notes:
        talk(f"  {note}")
    retrained, retraining_seconds = retrained_models(
        plan,
        forget,
        retain,
        reference=settings.reference,
        seed=settings.seed,
        is_method=parameters is None,
    )
    pool = Samples.from_arrays(plan.arrays.pool_inputs, plan.arrays.pool_labels, specification.hardware.device)
    test = Samples.from_arrays(plan.arrays.test_inputs, plan.arrays.test_labels, specification.hardware.device)
    _, reported = split_test(len(test), plan.settings.seed)

    def judge(model: nn.Module) -> Judged:
        return Judged(signals_on(model, pool), signals_on(model, test, reported))

    tuning: dict[str, Any] | None = None
    if settings.tune and parameters is not None:

        def attempt(
            model: nn.Module, held_out: ForgetSet, kept: npt.NDArray[np.int64], tried: Parameters
        ) -> str | None:
            one_shot = replace(settings, order="none", descending=False)
            return _run_method(plan, one_shot, table, held_out, kept, tried, model, pool)[0].stopped

        given = {name for name in ("passes", "learning_rate", "batch_size") if getattr(settings, name) is not None}
        given |= set(parse_changes(settings.parameter))
        method = UNLEARNERS.load(settings.method)
        parameters, tuning = tune(plan, method, parameters, given, forget, settings.seed, attempt)

    with one_thread(specification.hardware):
        original = load_model(specification, store.model(TARGET))
        models = {"original": judge(original)}
        start = time.perf_counter()
        if parameters is None:
            model, ledger = load_model(specification, retrained[0]), Ledger(0, 0, 0, None)
            details: dict[str, Any] = {}
            reference_paths = retrained[1:]
            seconds = retraining_seconds[0]
        else:
            model = original
            ledger, details = _run_method(plan, settings, table, forget, retain, parameters, model, pool)
            reference_paths = retrained[:1]
            seconds = time.perf_counter() - start
        if ledger.stopped:
            talk(f"  stopped: {ledger.stopped}")
        models["unlearned"] = judge(model)
        for path in reference_paths:
            models["retrained"] = judge(load_model(specification, path))
    save_model(model, folder / MODEL)
    stored = read_stored_signals(store, plan.shadows, plan.queries)
    forgotten = table.iloc[forget.rows].reset_index(drop=True)
    risk, statistic = forgotten["risk"].to_numpy(), plan.settings.statistic
    reference = choose_reference(models, stored, forget, risk, statistic)
    difficulty = difficulty_of(models, forget, reference.margin)
    accuracies = {name: judged.accuracies(forget, retain) for name, judged in models.items()}
    against = accuracies.get("retrained")
    forgetting = pd.concat(
        [forgotten[["sample_id", "label", "class_name", "risk", "rank", "loss"]], difficulty], axis=1
    )
    write_table(forgetting, folder / FORGETTING)
    results = {
        "audit": plan.name,
        "run": run,
        "number": 1 + len(list(folder.parent.glob(f"*/{METRICS}"))),
        "shadows": plan.shadows,
        "statistic": statistic,
        "method": settings.method,
        "order": settings.order,
        "descending": settings.descending,
        "groups": None if parameters is None or settings.order == "none" else min(settings.groups, len(forget.rows)),
        "parameters": None if parameters is None else asdict(parameters),
        "forget": len(forget.rows),
        "forget_specification": settings.forget if not settings.forget.startswith("ids:") else "ids:FILE",
        "reference_asked": settings.reference,
        "seed": settings.seed,
        "notes": list(forget.notes),
        **ledger.to_json(),
        "details": details,
        "tuning": tuning,
        "accuracy": {**accuracies, "retrained": against},
        "tow": None if against is None else tug_of_war(accuracies["unlearned"], against),
        "tow_do_nothing": None if against is None else tug_of_war(accuracies["original"], against),
        "reference": reference.kind,
        "reaudit": audit_again(models, stored, forget, retain, reported, plan.settings.seed),
        "risk_vs_difficulty": {
            name: correlation.to_json()
            for name, correlation in relate_to_risk(risk, reference.risk, difficulty).items()
        },
        "seconds": {
            "unlearning": round(seconds, 3),
            "retraining": round(retraining_seconds[-1], 3) if retraining_seconds else None,
            "training": read_record(store, TARGET)["seconds"],
        },
    }
    files.write_json(folder / METRICS, results)
    files.seal(folder / METRICS)
    return results


def _run_method(
    plan: AuditPlan,
    settings: UnlearnSettings,
    table: pd.DataFrame,
    forget: ForgetSet,
    retain: npt.NDArray[np.int64],
    parameters: Parameters,
    model: nn.Module,
    pool: Samples,
) -> tuple[Ledger, dict[str, Any]]:
    ordered = forget.rows[order_rows(table.iloc[forget.rows], settings.order, settings.descending, settings.seed)]
    # Without an order there is one group: the method as its authors wrote it.
    groups = 1 if settings.order == "none" else min(settings.groups, len(ordered))
    stages = plan_stages(cumulative_groups(ordered, groups), parameters.passes)
    generator = torch.Generator().manual_seed(derive_seed(settings.seed, "unlearn", settings.method))
    method: type[Unlearner] = UNLEARNERS.load(settings.method)
    validation, _ = split_test(len(plan.arrays.test_labels), plan.settings.seed)
    of_validation = plan.store.read_control("test", [TARGET])[0, validation, 0]
    teachers, no_teachers = teachers_for(
        plan.store, plan.specification, plan.design(plan.shadows), pool, forget, retain, parameters, settings.seed
    )
    context = Context(
        model=model,
        samples=pool,
        forget=forget.rows,
        retain=retain,
        classes=plan.data.classes,
        unseen_loss=float(signal(of_validation, "loss").mean()),
        hardware=plan.specification.hardware,
        generator=generator,
        build=plan.specification.build,
        teachers=teachers,
        no_teachers=no_teachers,
    )
    unlearner = method(context, parameters)
    work = sum(stage.budget for stage in stages) if method.takes_forget_steps else 1
    with progress(f"unlearning with {settings.method}", work) as bar:

        def report(done: float) -> None:
            bar.advance(done - bar.done)

        run = run_sequence(unlearner, stages, report) if method.takes_forget_steps else run_once(unlearner, report)
        return run, unlearner.details()
