"""One run of unlearning: the method, everything it is judged by, and its results on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import nn

from privaudit.audit.plan import AuditPlan
from privaudit.audit.result_files import MODELS, model_file, write_table
from privaudit.audit.stored_signals import read_stored_signals
from privaudit.config import Sequencing
from privaudit.evaluation import unlearning_metrics
from privaudit.evaluation.exposure_change import exposure_table, summarise, verdicts_over_time
from privaudit.evaluation.measures.difficulty import forgotten_at, relate_to_risk
from privaudit.evaluation.model_evaluation import (
    Judged,
    audit_again,
    choose_reference,
    difficulty_of,
    of_models,
    risk_by,
)
from privaudit.evaluation.outcome_of_run import Mute, Situation, decide
from privaudit.evaluation.u_lira import choose_models, remove_working_files, u_lira
from privaudit.runtime import files
from privaudit.runtime.progress import progress, talk
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import load_model, one_thread, read_record, save_model
from privaudit.signals import signal
from privaudit.statistics.intervals import spearman
from privaudit.training.loop import Samples
from privaudit.trials.tuning import tune
from privaudit.unlearning.application.removal_record import RECORD, write_record
from privaudit.unlearning.application.retrained_models import retrained_models
from privaudit.unlearning.application.run_method import Bench, ForgetRun, Request, judges, run_method, will_teach
from privaudit.unlearning.base import RETRAIN, UNLEARNERS, Parameters
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.schedule.sequence import Ledger

METRICS = "metrics.json"
FORGETTING = "forgetting.parquet"
EXPOSURE = "exposure.parquet"
FILES = (METRICS, FORGETTING, EXPOSURE, RECORD)

Rows = npt.NDArray[np.int64]


def is_there(folder: Path) -> bool:
    """Whether a run is finished and whole, its model that of its outcome."""
    whole = all(files.is_whole(folder / name) for name in FILES)
    return whole and files.is_whole(folder / model_file(files.read_json(folder / METRICS)))


def make_run(
    plan: AuditPlan,
    request: Request | None,
    table: pd.DataFrame,
    forget: ForgetSet,
    folder: Path,
    *,
    seed: int,
    reference: str,
    u_lira_models: int | None,
    tuned: frozenset[str] | None,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Unlearn, judge, and write the results.

    Parameters
    ----------
    plan, table
        The audit, and its score rows without canaries.
    request
        The method and its sequence; None where the method is retraining itself.
    forget
        D_u.
    folder
        Where the results go; its name is the run's.
    seed, reference
        As they were asked for.
    u_lira_models
        Shadow models to run U-LiRA on; None: it is not run.
    tuned
        Tune the method's parameters but these first; None: do not.
    facts
        What else the results repeat.

    Returns
    -------
    dict
        What ``metrics.json`` holds.
    """
    specification, store = plan.specification, plan.store
    bench = Bench.of(plan, table)
    retain = np.setdiff1d(np.arange(len(plan.data)), forget.rows)
    talk(f"unlearning {len(forget.rows):,} of {len(plan.data):,} samples of {plan.name}: {folder.name}")
    for note in forget.notes:
        talk(f"  {note}")
    if request is not None and u_lira_models is not None:
        # Too few shadow models are told before anything is trained.
        u_lira_models = len(choose_models(judges(bench, will_teach(request)), u_lira_models))
    paths, retraining_seconds = retrained_models(
        plan, forget, retain, reference=reference, seed=seed, is_method=request is None, noise_floor=True
    )
    pool = Samples.from_arrays(plan.arrays.pool_inputs, plan.arrays.pool_labels, specification.hardware.device)
    test = Samples.from_arrays(plan.arrays.test_inputs, plan.arrays.test_labels, specification.hardware.device)
    _, reported = split_test(len(test), plan.settings.seed)

    def original() -> nn.Module:
        return load_model(specification, store.model(TARGET))

    tuning = None
    if tuned is not None and request is not None:
        request, tuning = _tune(plan, bench, request, tuned, forget, seed, (pool, test))
    with one_thread(specification.hardware):
        models = {"original": original()}
        run: ForgetRun | None = None
        if request is None:
            models["unlearned"] = load_model(specification, paths[0])
            paths, seconds = paths[1:], retraining_seconds[0]
        else:
            with progress(f"unlearning with {request.method}", 1.0) as bar:
                models["unlearned"], run = run_method(
                    bench,
                    request,
                    original,
                    forget.rows,
                    retain,
                    (pool, test),
                    scattered=forget.scattered,
                    folder=folder,
                    report=lambda done, total: bar.advance(done / max(total, 1) - bar.done),
                )
            seconds = run.seconds
        for name, path in zip(("retrained", "second_retrained"), paths, strict=False):
            models[name] = load_model(specification, path)
        judged = {
            name: unlearning_metrics.judge_model(model, pool, test, reported, forget.rows)
            for name, model in models.items()
        }
        left, finite = models["unlearned"], unlearning_metrics.answers_in_numbers(judged["unlearned"])
        if not finite:
            # It can't be measured: it counts as if it said nothing of anything.
            mute = Mute(specification.classes)
            judged["unlearned"] = unlearning_metrics.judge_model(mute, pool, test, reported, forget.rows)
        talk("  measuring relearn time and what attacks still tell")
        able = {name: model for name, model in models.items() if finite or name != "unlearned"}
        relearn = unlearning_metrics.relearning(able, judged, pool, forget.rows, seed, specification.hardware)
    ledger = Ledger(0, 0, 0, None) if run is None else run.ledger
    if ledger.stopped:
        talk(f"  stopped: {ledger.stopped}")

    judging = judges(bench, run is not None and run.taught)
    stored = of_models(read_stored_signals(store, plan.shadows, plan.queries), judging)
    statistic = plan.settings.statistic
    forgotten = table.iloc[forget.rows].reset_index(drop=True)
    risk = forgotten["risk"].to_numpy() if judging.all() else risk_by(stored, statistic, forget.rows)
    found = choose_reference(judged, stored, forget, risk, statistic)
    difficulty = difficulty_of(judged, forget, found.margin)
    main = {name: part for name, part in judged.items() if name != "second_retrained"}
    exposure = exposure_table(main, stored, forget, table)
    difficulty["forgotten_at"] = _forgotten_at(run, stored, forget, len(forgotten))
    of_forgotten = exposure.iloc[forget.rows].reset_index(drop=True)
    for name in main:
        difficulty[f"lira_{name}"] = of_forgotten[name]
    forgetting = forgotten[["sample_id", "label", "class_name", "risk", "rank", "loss"]].assign(risk=risk)
    write_table(pd.concat([forgetting, difficulty], axis=1), folder / FORGETTING)
    write_table(exposure, folder / EXPOSURE)
    accuracies = {name: part.accuracies(forget, retain) for name, part in judged.items()}
    from_shadow = None
    if forget.scattered:
        with one_thread(specification.hardware):
            from_shadow = unlearning_metrics.from_shadow_models(judged, forget.rows, bench, pool, judging)
    proxy = spearman(forgotten["loss"], risk)
    if request is not None and request.sequencing.order == "loss" and proxy.ci is not None and proxy.ci[0] < 0.5:
        talk(
            "  warning: the order goes by loss, which is a poor stand-in for risk in this forget set (Spearman "
            f"{proxy.spearman:+.2f}); --order risk ranks by risk itself"
        )
    tugs = unlearning_metrics.tugs(accuracies)
    if request is None and "retrained" in judged:
        # Retraining held against another retraining is the noise floor itself.
        tugs["noise_floor"] = tugs["tow"]
    attacked = None
    if u_lira_models is not None and request is not None:
        chosen = choose_models(judging, u_lira_models)
        attacked = u_lira(bench, request, forget.rows, main, chosen, forget.scattered, plan.arrays, plan.engine, folder)
    pool_labels, test_labels = plan.arrays.pool_labels, plan.arrays.test_labels[reported]
    situation = Situation(forget, retain, pool_labels, test_labels, reported, specification.classes, stored)
    method = RETRAIN if request is None else request.method
    outcome = decide(judged, situation, method, exact=request is None, finite=finite, seed=seed)
    results = {
        **outcome.to_json(),
        **facts,
        "audit": plan.name,
        "run": folder.name,
        "number": 1 + len(list(folder.parent.glob(f"*/{METRICS}"))),
        "shadows": plan.shadows,
        "judging_shadows": int(judging.sum()),
        "statistic": statistic,
        "forget": len(forget.rows),
        "scattered": forget.scattered,
        "seed": seed,
        "reference_asked": reference,
        "notes": list(forget.notes),
        **ledger.to_json(),
        **describe(request, len(forget.rows)),
        "tuning": tuning,
        "details": {} if run is None else run.details,
        "accuracy": {name: accuracies.get(name) for name in ("original", "unlearned", "retrained")},
        **tugs,
        "second_retrained": accuracies.get("second_retrained"),
        "mia": unlearning_metrics.membership(judged, forget, retain, plan.arrays.pool_labels, seed),
        "relearn": relearn,
        "jensen_shannon": unlearning_metrics.divergence(judged),
        "jensen_shannon_from_shadow_models": from_shadow,
        "loss_as_proxy": proxy.to_json(),
        "reference": found.kind,
        "reaudit": audit_again(main, stored, forget, retain, reported, plan.settings.seed),
        "exposure": summarise(exposure, main),
        "forgotten": _when(difficulty, forget) | ({} if run is not None else _at_once(main, stored, forget)),
        "u_lira": attacked,
        "risk_vs_difficulty": {
            name: correlation.to_json() for name, correlation in relate_to_risk(risk, found.risk, difficulty).items()
        },
        "seconds": {
            "unlearning": round(seconds, 3),
            "retraining": round(retraining_seconds[-1], 3) if retraining_seconds else None,
            "training": read_record(store, TARGET)["seconds"],
        },
    }
    for name in MODELS:
        # Of a run that was cut short, or made again because it was damaged.
        files.remove(folder / name)
    save_model(left, folder / model_file(results))
    write_record(folder, results, forget, table, folder / model_file(results), seconds)
    files.write_json(folder / METRICS, results)
    files.seal(folder / METRICS)
    remove_working_files(folder)
    return results


def _tune(
    plan: AuditPlan,
    bench: Bench,
    request: Request,
    given: frozenset[str],
    forget: ForgetSet,
    seed: int,
    samples: tuple[Samples, Samples],
) -> tuple[Request, dict[str, Any]]:
    """Choose the method's parameters on a held-out forget set, handed over all at once."""
    one_shot = Sequencing(order="none")

    def attempt(model: nn.Module, held_out: ForgetSet, kept: Rows, tried: Parameters) -> str | None:
        trial = replace(request, parameters=tried, sequencing=one_shot, guard=False)
        _, run = run_method(bench, trial, lambda: model, held_out.rows, kept, samples, scattered=held_out.scattered)
        return run.ledger.stopped

    method = UNLEARNERS.load(request.method)
    parameters, record = tune(plan, method, request.parameters, set(given), forget, seed, attempt)
    return replace(request, parameters=parameters), record


def _forgotten_at(run: ForgetRun | None, stored: Any, forget: ForgetSet, count: int) -> npt.NDArray[np.float64]:
    if run is None or not len(run.trajectory.steps):
        return np.full(count, np.nan)
    return forgotten_at(run.trajectory.steps, verdicts_over_time(run.trajectory.margins, stored, forget))


def _when(difficulty: pd.DataFrame, forget: ForgetSet) -> dict[str, Any]:
    """What counts as forgotten, how many are, and how many counted so before anything was done."""
    at = difficulty["forgotten_at"]
    return {
        "means": "LiRA says it was never seen" if forget.scattered else "its class is not the first choice any more",
        "share": float(at.notna().mean()),
        "before": float((at == 0).mean()),
    }


def _at_once(models: dict[str, Judged], stored: Any, forget: ForgetSet) -> dict[str, float]:
    """The same shares of retraining, which forgets at no step: by the verdicts on the model before and the new one."""
    margins = np.stack([signal(models[name].pool[forget.rows, 0], "margin") for name in ("original", "unlearned")])
    before, after = verdicts_over_time(margins, stored, forget)
    return {"share": float(after.mean()), "before": float(before.mean())}


def takes_order(method: str) -> bool:
    """Whether the order of the forget set can matter to a method."""
    return method != RETRAIN and bool(UNLEARNERS.load(method).takes_forget_steps)


def describe(request: Request | None, count: int) -> dict[str, Any]:
    """A method, its parameters and its sequence, as they stand in results; ``count`` is |D_u|."""
    if request is None:
        return {"method": RETRAIN, "parameters": None, "groups": None, "sequencing": None}
    sequenced = takes_order(request.method)
    groups = min(request.sequencing.groups, count) if sequenced and request.sequencing.order != "none" else None
    return {
        "method": request.method,
        "parameters": {name: getattr(request.parameters, name) for name in request.parameters.names()},
        "groups": groups,
        "sequencing": request.sequencing.to_json() if sequenced else None,
    }
