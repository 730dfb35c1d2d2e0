"""`privaudit quick`: train the few models that are missing, ask them, attack one target. No table, no report."""

from __future__ import annotations

import time

import numpy as np

from privaudit.audit.code_examination import examine_code
from privaudit.audit.inputs.load_data import demand_same_again
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.commands.quick.target_views import asked_elsewhere
from privaudit.commands.score import train_missing
from privaudit.config import AuditSettings
from privaudit.results.audit.quick_results import QuickAnswer, QuickSeconds, TargetAccuracy
from privaudit.results.measures import Attack
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.scoring.blind_baseline import blind_baseline
from privaudit.scoring.external_target_check import doubts_about
from privaudit.scoring.few_models.attack_target import (
    TargetEvidence,
    all_clear_refuted,
    attack_target,
    forecast,
    tells_apart,
)
from privaudit.scoring.few_models.sample_features import of_inputs, of_labels
from privaudit.shadow.store import TARGET, shadow_keys
from privaudit.signals import SIGNALS, signal


def run_quick(settings: AuditSettings) -> QuickAnswer:
    """Attack one target with few or no shadow models; return what ``quick --json`` prints."""
    plan = examine_code(plan_audit(settings, fewest=0))
    if not files.is_whole(plan.store.description):
        demand_same_again(plan)
    _announce(plan)
    started = time.perf_counter()
    with plan.store.locked():
        trained = train_missing(plan, None, announce=False)
    trained_at = time.perf_counter()
    talk(f"  attacking {len(plan.data):,} members and {len(plan.arrays.test_labels):,} never-trained samples")
    evidence = evidence_of(plan)
    attacks = attack_target(evidence, settings.seed)
    data = plan.data
    sides = ((data.x_train, data.y_train), (data.x_test, data.y_test))
    blind = blind_baseline(*sides, settings.seed)
    right = signal(evidence.signals, "margin") > 0
    accuracy = TargetAccuracy(
        members=float(right[evidence.member].mean()), others=float(right[~evidence.member].mean())
    )
    answer = list(attacks)[-1]
    warnings = [
        *doubts_of(plan, accuracy, attacks),
        *all_clear_refuted(attacks),
        *([] if blind is None or blind.holds else [NOT_ALIKE.format(area=blind.auc)]),
    ]
    for warning in warnings:
        talk(f"  warning: {warning}")
    return QuickAnswer(
        audit=plan.name,
        members=evidence.members,
        others=len(evidence.signals) - evidence.members,
        shadows=plan.shadows,
        trained=trained,
        attack=answer,
        attacks=attacks,
        forecast=forecast(evidence),
        accuracy=accuracy,
        blind=blind,
        seconds=QuickSeconds(
            training=round(trained_at - started, 3), attacking=round(time.perf_counter() - trained_at, 3)
        ),
        notes=plan.notes,
        warnings=tuple(warnings),
    )


NOT_ALIKE = (
    "training and test samples can be told apart without the model (AUC {area:.3f}): what the attacks find may be "
    "that, and not membership"
)


def evidence_of(plan: AuditPlan) -> TargetEvidence:
    """Return what the store's models say, and what the samples look like."""
    store, keys = plan.store, shadow_keys(plan.shadows)
    members, column = len(plan.arrays.pool_labels), len(SIGNALS)
    target = np.concatenate([store.read_signals([TARGET])[0, :, 0], store.read_control("test", [TARGET])[0, :, 0]])
    shadows = np.empty((0, len(target), column), np.float32)
    if keys:
        parts = [store.read_signals(keys)[:, :, 0], store.read_control("test", keys)[:, :, 0]]
        shadows = np.concatenate(parts, axis=1)
    inputs = np.concatenate([plan.arrays.pool_inputs, plan.arrays.test_inputs])
    labels = np.concatenate([plan.arrays.pool_labels, plan.arrays.test_labels])
    features = [of_inputs(inputs), of_labels(labels)]
    if (elsewhere := asked_elsewhere(plan)) is not None:
        features.append(elsewhere)
    keep = store.read_design()[: plan.shadows]
    return TargetEvidence(target, members, np.concatenate(features, axis=1), shadows, keep)


def _announce(plan: AuditPlan) -> None:
    """Say what will be done."""
    data = plan.data
    target = "a target of our own" if plan.given is None else f"the given target {plan.given.file}"
    talk(f"quick look at {plan.name}")
    talk(f"  {data.source}: {len(data):,} training and {len(data.y_test):,} test samples, {data.classes} classes")
    talk(f"  {plan.network_name}, {target}, {plan.shadows} shadow models, {plan.workers} workers")
    for note in plan.notes:
        talk(f"  {note}")


def doubts_of(plan: AuditPlan, accuracy: TargetAccuracy, attacks: dict[str, Attack]) -> list[str]:
    """Why a given target may not be what it is taken for."""
    if plan.given is None:
        return []
    commonest = float(np.bincount(plan.data.y_train).max() / len(plan.data))
    told_apart = any(map(tells_apart, attacks.values()))
    others = len(plan.arrays.test_labels)
    return doubts_about(accuracy.members, accuracy.others, len(plan.data), others, commonest, told_apart)
