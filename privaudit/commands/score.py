"""`privaudit score`: train what is missing, attack, control, write the table and the report."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks.lira import complements
from privaudit.attacks.suite import Evidence
from privaudit.audit.code_examination import examine_code, examine_training_code
from privaudit.audit.cost.audit_estimate import Estimate, estimate
from privaudit.audit.inversion.inversion_plan import InversionPlan, plan_inversion
from privaudit.audit.inversion.inversion_run import run_inversion, without_inversion
from privaudit.audit.outlying_models import find_outlying
from privaudit.audit.plan import AuditPlan, demand_same_again, library_versions, plan_audit
from privaudit.audit.result_files import RESULTS, SCORES, write_table
from privaudit.audit.stored_signals import StoredSignals, read_stored_signals
from privaudit.audit.thumbnails import check_images, write_thumbnails
from privaudit.audit.train_test_comparison import compare_sides
from privaudit.config import AuditSettings
from privaudit.report.content import comparability
from privaudit.report.redaction import privacy_of
from privaudit.report.write import render_report
from privaudit.results.base import write_result
from privaudit.runtime import files, links
from privaudit.runtime.progress import talk
from privaudit.runtime.registry import without_folder
from privaudit.scoring import controls
from privaudit.scoring.canary_epsilon import FEWEST_MODELS, bound_from_trials, bound_of_one_run
from privaudit.scoring.external_target_check import doubts_about
from privaudit.scoring.reliability.outliers import drawn_in
from privaudit.scoring.sample_scores import Scores, score
from privaudit.scoring.score_table import whose_results
from privaudit.scoring.target_audit import audit_target, split_test
from privaudit.shadow.external_target import take_in
from privaudit.shadow.store import COIN, TARGET, shadow_keys
from privaudit.shadow.trainer import find_asked_otherwise, find_missing, query_all, read_record, train_all
from privaudit.signals import signal
from privaudit.statistics.performance import Performance


def dry_run(settings: AuditSettings) -> dict[str, Any]:
    """What `run_score` would do and cost."""
    plan = examine_code(plan_audit(settings))
    jobs = plan.jobs(plan.design(plan.shadows))
    missing = [job for job in jobs if not (plan.is_given(job.key) or plan.store.is_finished(job.key))]
    if missing:
        plan = examine_training_code(plan)
    inversion = plan_inversion(plan)
    cost = estimate(plan, missing, inversion, keep=False)
    _announce(plan, cost, inversion)
    return {
        "audit": plan.name,
        "samples": len(plan.data),
        "shadows": plan.shadows,
        **cost.to_json(),
    }


def run_score(settings: AuditSettings, *, csv: bool = False) -> dict[str, Any]:
    """Run a whole audit; return what ``score --json`` prints."""
    plan = examine_code(plan_audit(settings))
    inversion = plan_inversion(plan)
    store, folder = plan.store, settings.out / plan.name
    if settings.show_samples:
        check_images(plan)
    files.claim(folder)
    files.demand_writable(folder)
    if not files.is_whole(store.description):
        demand_same_again(plan)
    with store.locked():
        store.demand_not_purged()
        keep = store.write_design(plan.design(plan.shadows))[: plan.shadows]
        jobs = plan.jobs(keep)
        store.write_description(plan.describe())
        if plan.data.table is not None:
            write_result(store.encoding, plan.data.table.encoding)
        absent = find_missing(jobs)
        missing = [job for job in absent if not plan.is_given(job.key)]
        if missing:
            plan = examine_training_code(plan)
        _announce(plan, estimate(plan, missing, inversion, keep=True), inversion)
        trained_with = store.read_description()["versions"]["torch"]
        if missing and trained_with != library_versions()["torch"]:
            talk(
                f"  warning: this audit was begun with torch {trained_with}, now it is {library_versions()['torch']}: "
                "what is trained now differs in its last bits from what would have been trained then"
            )
        for job in absent:
            if plan.given is not None and plan.is_given(job.key):
                # First of all: a target that can't be asked is told before anything is trained.
                take_in(job, plan.given, plan.arrays)
        train_all(missing, plan.arrays, plan.engine)
        query_all(find_asked_otherwise(jobs), plan.arrays, plan.engine)
        store.mark_latest()
        # What an earlier version sealed is bound to its place from now on.
        for path in (*links.list_files(store.folder), *links.list_files(folder)):
            files.bind(path)
        results = score_stored(plan, folder, trained=len(missing), csv=csv, inversion=inversion)
        if settings.show_samples:
            write_thumbnails(plan, folder)
        return results | {"scores": str(folder / SCORES), "report": render_report(folder, privacy_of(settings))}


def score_stored(
    plan: AuditPlan, folder: Path, *, trained: int = 0, csv: bool = False, inversion: InversionPlan | None = None
) -> dict[str, Any]:
    """Attack, control and invert with what the store holds, and write table and results; nothing is trained."""
    results, scores = attack_stored(plan)
    if inversion is None:
        table, results["inversion"] = without_inversion(scores.table, folder), None
    else:
        table, results["inversion"] = run_inversion(plan, inversion, scores.table, folder)
    write_table(table, folder / SCORES, csv=csv)
    # The results name the table that they belong to: written last, they hold for no other.
    results |= {"trained": trained, "table_sha256": files.sha256_of(folder / SCORES)}
    files.write_json(folder / RESULTS, results)
    files.seal(folder / RESULTS)
    return results


def are_scored(folder: Path) -> bool:
    """Whether ``<out>/<audit>`` holds a whole table and the whole results that belong to it."""
    table, results = folder / SCORES, folder / RESULTS
    if not (files.is_whole(table) and files.is_whole(results)):
        return False
    found = files.read_json(results)
    return found["table_sha256"] is not None and whose_results(folder, found) is None


def attack_stored(plan: AuditPlan) -> tuple[dict[str, Any], Scores]:
    """Attack and control with what the store holds."""
    talk(f"  scoring {len(plan.data):,} samples under {plan.shadows} shadow models")
    stored = read_stored_signals(plan.store, plan.shadows, plan.queries)
    real = ~plan.facts.canary
    seed = plan.settings.seed
    outlying = find_outlying(
        signal(stored.shadow[:, real], "margin"), plan.facts.sample_ids[real], complements(plan.shadows)
    )
    stored = stored.of_models(outlying.left)
    validation, reported = split_test(stored.shadow_test.shape[1], seed)
    evidence = Evidence(
        drawn_in(stored.shadow),
        stored.keep,
        population=stored.shadow_test[:, validation],
        rmia_gamma=plan.settings.rmia_gamma,
    )
    scores = score(evidence, plan.facts, stored.target, plan.settings.statistic, seed)
    target = audit_target(
        stored.shadow[:, real],
        stored.keep[:, real],
        stored.target[real],
        stored.shadow_test[:, reported],
        stored.target_test[reported],
        seed,
    )
    negative = controls.never_trained(stored.shadow_test, seed)
    of_untrained = controls.untrained(stored.untrained, stored.keep[:, plan.arrays.control_rows])
    positive = controls.positive(scores.table["asr"].to_numpy(), plan.facts.canary)
    sides = compare_sides(plan.arrays, len(plan.data), stored, seed)
    results: dict[str, Any] = {
        "audit": plan.name,
        "samples": len(plan.data),
        "shadows": plan.shadows,
        "statistic": plan.settings.statistic,
        "rmia_gamma": plan.settings.rmia_gamma,
        "queries": list(plan.queries),
        **scores.to_json(),
        "target": target.to_json(),
        "controls": {
            "negative": negative.to_json(),
            "untrained": of_untrained.to_json(),
            "positive": None if positive is None else positive.to_json(),
            **sides.controls_to_json(),
        },
        "duplicates": sides.duplicates.to_json(),
        "epsilon": _epsilon(plan, stored),
        "mean_risk": float(scores.table.loc[real, "risk"].mean()),
        "accuracy": _accuracies(plan, stored, reported),
        "training": _training_facts(plan),
        "about": _about(plan),
    }
    doubts = _doubts(plan, results["accuracy"], len(reported), target)
    if plan.given is not None:
        results["about"]["target"]["doubts"] = doubts
    results["outliers"] = outlying.found
    # The target's figure carries what is to be said of it wherever it goes.
    results["target"]["warnings"] = comparability.doubts(results)
    results["warnings"] = [
        *outlying.warnings,
        *doubts,
        *_warnings(scores.attacks["lira"], negative, of_untrained),
        *comparability.unlike(results),
        *comparability.repeated(results),
    ]
    for warning in results["warnings"]:
        talk(f"  warning: {warning}")
    return results, scores


def _epsilon(plan: AuditPlan, stored: StoredSignals) -> dict[str, Any] | None:
    """Lower bounds on ε; None without canaries."""
    if not len(plan.canaries):
        return None
    canary = plan.facts.canary
    margin, keep = signal(stored.shadow[:, canary, 0], "margin"), stored.keep[:, canary]
    of_coin_model = signal(plan.store.read_signals([COIN])[0, canary, 0], "margin")
    trials = bound_from_trials(margin, keep, plan.settings.seed)
    return {
        "trials": None if trials is None else trials.to_json(),
        "trials_from": FEWEST_MODELS,
        "one_run": bound_of_one_run(of_coin_model, plan.coins, margin, keep).to_json(),
    }


def _about(plan: AuditPlan) -> dict[str, Any]:
    """What the report says of the audit: files by their name, since a folder is its owner's business."""
    about = plan.describe()
    data = {name: value for name, value in about["data"].items() if name != "data_dir"}
    data["dataset"] = PurePath(data["dataset"]).name
    if data.get("table") and data["table"]["test"] is not None:
        data["table"]["test"] = PurePath(data["table"]["test"]).name
    return {name: value for name, value in about.items() if name != "code"} | {"data": data, "notes": list(plan.notes)}


def _accuracies(plan: AuditPlan, stored: StoredSignals, reported: npt.NDArray[np.int64]) -> dict[str, float]:
    real = ~plan.facts.canary
    right = stored.shadow[:, real, 0, 0] > 0
    return {
        "target_train": float((stored.target[real, 0, 0] > 0).mean()),
        "target_test": float((stored.target_test[reported, 0, 0] > 0).mean()),
        "shadow_members": float(right[stored.keep[:, real]].mean()),
        "shadow_others": float(right[~stored.keep[:, real]].mean()),
    }


def _doubts(plan: AuditPlan, accuracy: dict[str, float], reported: int, attacked: Performance) -> list[str]:
    """Why a given target may not be what it is taken for."""
    if plan.given is None:
        return []
    commonest = float(np.bincount(plan.data.y_train).max() / len(plan.data))
    told_apart = attacked.auc_interval is not None and attacked.auc_interval[0] > 0.5
    return doubts_about(
        accuracy["target_train"], accuracy["target_test"], len(plan.data), reported, commonest, told_apart
    )


def _training_facts(plan: AuditPlan) -> dict[str, Any]:
    records = [read_record(plan.store, key) for key in [TARGET, *shadow_keys(plan.shadows)]]
    return {
        "seconds": sum(record["seconds"] or 0.0 for record in records),
        "target_seconds": records[0]["seconds"],
        "workers": plan.workers,
        "retrained_after_divergence": sum(record["seed_offset"] > 0 for record in records),
    }


def _warnings(lira: Performance, *negatives: controls.NegativeControl) -> list[str]:
    warnings = [
        f"negative control failed ({control.name}): AUC {control.auc:.4f}; do not trust this audit"
        for control in negatives
        if not control.holds
    ]
    if lira.auc_interval is None:
        warnings.append("too few shadow models for an interval: use --shadows 8 or more")
    return warnings


def _announce(plan: AuditPlan, cost: Estimate, inversion: InversionPlan | None) -> None:
    """Say what will be done and what it will cost."""
    recipe, hardware = plan.specification.recipe, plan.specification.hardware
    training = plan.specification.training
    how = f"recipe '{recipe.name}' ({recipe.epochs} epochs)" if training is None else f"by {without_folder(training)}"
    target = "a target" if plan.given is None else "the given target"
    talk(f"audit {plan.name}")
    talk(
        f"  {plan.data.source}: {len(plan.data):,} training and {len(plan.data.y_test):,} test samples, "
        f"{plan.data.classes} classes"
    )
    talk(
        f"  {plan.network_name}, {how}, {plan.shadows} shadow models and "
        f"{target}, {plan.workers} workers, {hardware.device} {hardware.precision}"
    )
    if plan.given is not None:
        talk(
            f"  the target was given: {plan.given.file} (SHA-256 {plan.given.sha256[:16]}…), taken to have been "
            f"trained on all {len(plan.data):,} samples"
        )
    for note in plan.notes:
        talk(f"  {note}")
    if not cost.models:
        talk("  every model is there already: nothing to train")
    for sentence in cost.sentences():
        talk(f"  {sentence}")
    if inversion is None:
        return
    talk(
        f"  inversions: {len(inversion.pool):,} samples by features, {inversion.matched:,} by gradient matching "
        f"({inversion.attack.restarts} starts × {len(inversion.matching_models)} models, at most "
        f"{inversion.attack.steps:,} steps); "
        + ("--invert 0 leaves them out" if cost.searches else "every one is finished already")
    )
    for note in inversion.notes:
        talk(f"  {note}")
