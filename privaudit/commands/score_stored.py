"""Attacks, controls and inversions with what the store holds: table and results. Nothing is trained."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks.lira import complements
from privaudit.attacks.suite import Evidence
from privaudit.audit.inversion.inversion_plan import InversionPlan
from privaudit.audit.inversion.inversion_run import run_inversion, without_inversion
from privaudit.audit.outlying_models import find_outlying, models_left
from privaudit.audit.plan import AuditPlan
from privaudit.audit.result_files import RESULTS, SCORES, write_table
from privaudit.audit.stored_signals import StoredSignals, read_stored_signals
from privaudit.data.duplicates import find_duplicates
from privaudit.report.brief.declared import declared_in
from privaudit.report.content import comparability
from privaudit.results.audit.controls import Controls, Epsilon
from privaudit.results.audit.promise import Promise
from privaudit.results.audit.score_results import About, Accuracy, ScoreResults, TargetAttack, Training
from privaudit.results.base import write_result
from privaudit.results.measures import Attack
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.scoring import controls
from privaudit.scoring.blind_baseline import Side, blind_baseline
from privaudit.scoring.canary_epsilon import bounds_of_canaries
from privaudit.scoring.external_target_check import doubts_about
from privaudit.scoring.promise.counts import counts_of_canaries
from privaudit.scoring.promise.judgement import DELTA, judge_claim
from privaudit.scoring.promise.steps import counts_of_steps
from privaudit.scoring.reliability.outliers import drawn_in, sentences
from privaudit.scoring.sample_scores import score
from privaudit.scoring.target_audit import audit_target, split_test
from privaudit.scoring.unseen_control import never_seen
from privaudit.shadow.store import COIN, TARGET, shadow_keys
from privaudit.shadow.trainer import read_record
from privaudit.signals import signal
from privaudit.statistics.audit_difference import share_influence
from privaudit.training.private.mechanism import PrivateTraining


def score_stored(
    plan: AuditPlan, folder: Path, *, trained: int = 0, csv: bool = False, inversion: InversionPlan | None = None
) -> ScoreResults:
    """Attack, control and invert; write table and results below ``<out>/<audit>``."""
    results, table = attack_stored(plan)
    inverted = None
    if inversion is None:
        table = without_inversion(table, folder)
    else:
        table, inverted = run_inversion(plan, inversion, table, folder)
    write_table(table, folder / SCORES, csv=csv)
    # The results name the table that they belong to: written last, they hold for no other.
    sha256 = files.sha256_of(folder / SCORES)
    results = results.model_copy(update={"inversion": inverted, "trained": trained, "table_sha256": sha256})
    write_result(folder / RESULTS, results)
    return results


def attack_stored(plan: AuditPlan) -> tuple[ScoreResults, pd.DataFrame]:
    """Attack and control; return the results, inversions left out, and the score table."""
    talk(f"  scoring {len(plan.data):,} samples under {plan.shadows} shadow models")
    real, seed, samples = ~plan.facts.canary, plan.settings.seed, len(plan.data)
    stored = read_stored_signals(plan.store, plan.shadows, plan.queries)
    margins = signal(stored.shadow[:, real], "margin")
    outliers = find_outlying(margins, plan.facts.sample_ids[real], complements(plan.shadows))
    stored = stored.of_models(models_left(outliers, plan.shadows))
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
    # As they were given, whatever became of them before they were trained on.
    train = (plan.data.x_train, plan.data.y_train)
    test = (plan.data.x_test[plan.test_rows], plan.data.y_test[plan.test_rows])
    accuracy = _accuracy(stored, real, reported)
    counts = [np.bincount(labels, minlength=plan.data.classes).tolist() for _, labels in (train, test)]
    small = comparability.small_classes(plan.data.class_names, *counts)
    doubts = _doubts(plan, accuracy, len(reported), target)
    results = ScoreResults(
        audit=plan.name,
        samples=samples,
        shadows=plan.shadows,
        statistic=plan.settings.statistic,
        rmia_gamma=plan.settings.rmia_gamma,
        queries=plan.queries,
        **scores.parts(),
        target=TargetAttack(**dict(target)),
        controls=_controls(plan, stored, scores.table, (train, test)),
        duplicates=find_duplicates(train, test, seed),
        epsilon=(epsilon := _epsilon(plan, stored)),
        promise=_promise(plan, stored, epsilon),
        mean_risk=float(scores.table.loc[real, "risk"].mean()),
        accuracy=accuracy,
        training=_training(plan),
        about=_about(plan, doubts),
        outliers=outliers,
        trained=0,
    )
    return _with_warnings(results, [*doubts, *small]), scores.table


def _controls(plan: AuditPlan, stored: StoredSignals, table: pd.DataFrame, sides: tuple[Side, Side]) -> Controls:
    """Run every experiment with a known answer; ``sides`` are the training and the test samples as they were given."""
    seed, samples = plan.settings.seed, len(plan.data)
    return Controls(
        negative=controls.never_trained(stored.shadow_test, seed),
        untrained=controls.untrained(stored.untrained, stored.keep[:, plan.arrays.control_rows]),
        positive=controls.positive(table["asr"].to_numpy(), plan.facts.canary),
        blind=blind_baseline(*sides, seed),
        shift=never_seen(stored.shadow[:, :samples], stored.keep[:, :samples], stored.shadow_test, seed),
    )


def _with_warnings(results: ScoreResults, doubts: list[str]) -> ScoreResults:
    """Return the results with what is to be said of them, and say it on stderr."""
    warnings = [
        *([] if results.outliers is None else sentences(results.outliers, results.shadows)),
        *doubts,
        *_failed_controls(results),
        *comparability.unlike(results),
        *comparability.repeated(results),
    ]
    for warning in warnings:
        talk(f"  warning: {warning}")
    # The target's figure carries what is to be said of it wherever it goes.
    carried = tuple(comparability.doubts(results))
    target = None if results.target is None else results.target.model_copy(update={"warnings": carried})
    return results.model_copy(update={"target": target, "warnings": warnings})


def _failed_controls(results: ScoreResults) -> list[str]:
    negatives = {
        "never-trained samples": results.controls.negative,
        "untrained models": results.controls.untrained,
    }
    warnings = [
        f"negative control failed ({name}): AUC {control.auc:.4f}; do not trust this audit"
        for name, control in negatives.items()
        if control is not None and not control.holds
    ]
    if results.attacks["lira"].auc_ci is None:
        warnings.append("too few shadow models for an interval: use --shadows 8 or more")
    return warnings


def _epsilon(plan: AuditPlan, stored: StoredSignals) -> Epsilon | None:
    """Lower bounds on ε; None without canaries."""
    if not len(plan.canaries):
        return None
    canary = plan.facts.canary
    margin, keep = signal(stored.shadow[:, canary, 0], "margin"), stored.keep[:, canary]
    of_coin_model = signal(plan.store.read_signals([COIN])[0, canary, 0], "margin")
    return bounds_of_canaries(of_coin_model, plan.coins, margin, keep, plan.settings.seed)


def _promise(plan: AuditPlan, stored: StoredSignals, found: Epsilon | None) -> Promise | None:
    """What a claim of differential privacy can be held against, and the claim; None without canaries.

    Shadow models see half of the samples. Under dp-sgd their promise is the target's; that of another training may not
    be, so that the model that saw everything and canaries by coins alone is held against a claim about it.
    """
    canary, recipe = plan.facts.canary, plan.specification.recipe
    private = None if plan.specification.training is not None else recipe.privacy
    if private is not None and plan.canaries.gradients:
        promise = counts_of_steps(plan.store.read_steps(), plan.coins, private, plan.settings.seed)
        return _with_claim(promise, plan, private)
    if found is None:
        return None
    promise = counts_of_canaries(
        signal(plan.store.read_signals([COIN])[0, canary, 0], "margin"),
        plan.coins,
        signal(stored.shadow[:, canary, 0], "margin"),
        stored.keep[:, canary],
        None if private is None else found.trials,
    )
    return _with_claim(promise, plan, private)


def _with_claim(promise: Promise, plan: AuditPlan, private: PrivateTraining | None) -> Promise:
    """Hold the claim of the flags, or that of dp-sgd of itself, against what was counted."""
    settings = plan.settings
    if settings.claim_epsilon is not None:
        declared = declared_in(settings.out / plan.name)
        of_training, told = None if private is None else private.delta, None if declared is None else declared.privacy
        known = (settings.claim_delta, of_training, None if told is None else told.delta)
        delta = next((one for one in known if one is not None), DELTA)
        return promise.model_copy(update={"claim": judge_claim(promise, settings.claim_epsilon, delta, "flags")})
    if private is not None:
        return promise.model_copy(update={"claim": judge_claim(promise, private.epsilon, private.delta, "recipe")})
    return promise


def _about(plan: AuditPlan, doubts: list[str]) -> About:
    """What the report says of the audit: files by their name, since a folder is its owner's business."""
    about = About.model_validate(plan.describe().to_json() | {"notes": plan.notes})
    data, target = about.data, about.target
    if data is not None:
        table = None if data.table is None else data.table.without_folders()
        data = data.model_copy(update={"data_dir": None, "dataset": PurePath(data.dataset).name, "table": table})
        if data.without is not None:
            data = data.model_copy(update={"without": PurePath(data.without).name})
    if target is not None:
        target = target.model_copy(update={"doubts": tuple(doubts)})
    return about.model_copy(update={"data": data, "target": target})


def _accuracy(stored: StoredSignals, real: npt.NDArray[np.bool_], reported: npt.NDArray[np.int64]) -> Accuracy:
    right, keep = stored.shadow[:, real, 0, 0] > 0, stored.keep[:, real]
    return Accuracy(
        target_train=float((stored.target[real, 0, 0] > 0).mean()),
        target_test=float((stored.target_test[reported, 0, 0] > 0).mean()),
        shadow_members=float(right[keep].mean()),
        shadow_others=float(right[~keep].mean()),
        others_influence=share_influence(right, ~keep, np.arange(len(keep)) // 2),
    )


def _doubts(plan: AuditPlan, accuracy: Accuracy, reported: int, attacked: Attack) -> list[str]:
    """Why a given target may not be what it is taken for."""
    if plan.given is None or accuracy.target_train is None or accuracy.target_test is None:
        return []
    commonest = float(np.bincount(plan.data.y_train).max() / len(plan.data))
    told_apart = attacked.auc_ci is not None and attacked.auc_ci[0] > 0.5
    return doubts_about(accuracy.target_train, accuracy.target_test, len(plan.data), reported, commonest, told_apart)


def _training(plan: AuditPlan) -> Training:
    records = [read_record(plan.store, key) for key in [TARGET, *shadow_keys(plan.shadows)]]
    parameters = sum(one.numel() for one in plan.specification.build("count").parameters())
    return Training(
        parameters=parameters,
        seconds=sum(record["seconds"] or 0.0 for record in records),
        target_seconds=records[0]["seconds"],
        workers=plan.workers,
        retrained_after_divergence=sum(record["seed_offset"] > 0 for record in records),
    )
