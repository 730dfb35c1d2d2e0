"""From the results of an audit to a row: what it leaks, what it knows, and what both are against the audited one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from privaudit.audit.plan import AuditPlan
from privaudit.commands.compare import Scored
from privaudit.commands.defence.variations import Variation
from privaudit.report.content import comparability, wording
from privaudit.results.defence_results import CONTROL_FAILED, OutputMeasure, OutputMeasures, Variant
from privaudit.scoring.defence.accuracy_price import Right, accuracy_change, accuracy_of
from privaudit.scoring.defence.pareto_front import pareto_front
from privaudit.scoring.defence.recommendation import DECIDING_RATE, corrected, halve
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.store import shadow_keys
from privaudit.statistics.audit_difference import difference


@dataclass(frozen=True)
class Audited:
    """A variation, its plan and its results; ``right`` says which test samples each shadow model is right on."""

    variation: Variation
    plan: AuditPlan
    scored: Scored
    right: Right


def audited(variation: Variation, plan: AuditPlan, scored: Scored) -> Audited:
    """Put together what is told of a variation; its controls' signals are read from the store."""
    signals = plan.store.read_control("test", shadow_keys(scored.results.shadows))
    _, reported = split_test(signals.shape[1], plan.settings.seed)
    return Audited(variation, plan, scored, signals[:, reported, 0, 0] > 0)


def variant_of(own: Audited, baseline: Audited) -> Variant:
    """Return a variation's row, held against the baseline unless it is that itself."""
    results = own.scored.results
    lira, accuracy = results.attacks["lira"], results.accuracy
    share, interval = accuracy_of(own.right)
    exposed = results.most_exposed
    row = Variant(
        name=own.variation.name,
        title=own.variation.title,
        changes=dict(own.variation.changes),
        audit=results.audit,
        samples=results.samples,
        shadows=results.shadows,
        auc=lira.auc,
        auc_ci=lira.auc_ci,
        tpr_at_fpr=lira.tpr_at_fpr,
        tpr_ci=lira.tpr_ci,
        accuracy=None if accuracy is None else accuracy.target_test,
        shadow_accuracy=share,
        shadow_accuracy_ci=interval,
        mean_risk=results.mean_risk,
        told_right=results.told_right,
        most_exposed=None if exposed is None else exposed.by_others,
        most_exposed_ci=None if exposed is None else exposed.ci,
        warnings=tuple(_warnings(own.scored)),
    )
    return row if own is baseline else _held_against(row, own, baseline)


def _warnings(scored: Scored) -> list[str]:
    negatives = (scored.results.controls.negative, scored.results.controls.untrained)
    failed = any(control is not None and not control.holds for control in negatives)
    return [
        *([CONTROL_FAILED] if failed else []),
        *([wording.UNLIKE] if wording.are_unlike(scored.results) else []),
        *comparability.repeated(scored.results),
    ]


def _held_against(row: Variant, own: Audited, baseline: Audited) -> Variant:
    """Compare as `privaudit compare` does: pair by pair where both split the same samples alike."""
    paired = own.scored.clusters.design == baseline.scored.clusters.design
    rates = [side.scored.estimate_rate("lira", DECIDING_RATE) for side in (baseline, own)]
    before, after = rates
    update: dict[str, object] = {
        "paired": paired,
        "auc_change": difference(baseline.scored.estimate_auc("lira"), own.scored.estimate_auc("lira"), paired),
        "accuracy_change": accuracy_change(baseline.right, own.right),
    }
    if before is not None and after is not None:
        update |= {"tpr_change": difference(before, after, paired), "halving": halve(before, after, paired)}
    return row.model_copy(update=update)


def with_decisions(
    variants: Sequence[Variant], outputs: OutputMeasures | None
) -> tuple[list[Variant], OutputMeasures | None, int]:
    """Correct every p-value for all that was tried, mark the Pareto front, and count the tests."""
    measures = [] if outputs is None else outputs.measures
    every: list[Variant | OutputMeasure] = [*variants, *measures]
    tested = [one for one in every if one.halving is not None]
    by_row = dict(zip(map(id, tested), corrected([one.halving for one in tested if one.halving]), strict=True))
    front = pareto_front(
        [one.shadow_accuracy for one in variants],
        [np.nan if (rate := one.tpr_at_fpr.get(DECIDING_RATE)) is None else rate for one in variants],
    )
    decided = [
        one.model_copy(update={"halving": by_row.get(id(one)), "on_front": bool(best)})
        for one, best in zip(variants, front, strict=True)
    ]
    if outputs is not None:
        renewed = [one.model_copy(update={"halving": by_row.get(id(one))}) for one in measures]
        outputs = outputs.model_copy(update={"measures": renewed})
    return decided, outputs, len(tested)


def table_of(variants: Sequence[Variant], outputs: OutputMeasures | None) -> pd.DataFrame:
    """Return ``results.csv``: a row for each variation, and one for each measure at the output."""
    rows: list[dict[str, object]] = []
    for one in variants:
        rows.append(
            {"kind": "training", "name": one.name, "title": one.title, "audit": one.audit, "samples": one.samples}
            | _risk(one.auc, one.auc_ci, one.tpr_at_fpr, one.tpr_ci)
            | {"accuracy": one.accuracy, "shadow_accuracy": one.shadow_accuracy}
            | _bounds("shadow_accuracy", one.shadow_accuracy_ci)
            | _change("tpr_change", one.tpr_change)
            | _change("accuracy_change", one.accuracy_change)
            | {"mean_risk": one.mean_risk, "most_exposed": one.most_exposed, "on_front": one.on_front}
            | _halving(one)
        )
    for measure in [] if outputs is None else outputs.measures:
        found = measure.adaptive
        hidden = None if measure.unadapted is None else measure.unadapted.tpr_at_fpr.get(DECIDING_RATE)
        rows.append(
            {"kind": "output", "name": measure.name, "title": measure.title, "attack": measure.attack}
            | _risk(found.auc, found.auc_ci, found.tpr_at_fpr, found.tpr_ci)
            | {"unadapted_tpr_at_0.01": hidden}
            | _change("tpr_change", measure.change)
            | _halving(measure)
        )
    return pd.DataFrame(rows)


def _risk(auc: float, auc_ci: object, rates: Mapping[str, object], cis: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {"auc": auc} | _bounds("auc", auc_ci)
    for rate in ("0.01", "0.001"):
        found |= {f"tpr_at_{rate}": rates.get(rate)} | _bounds(f"tpr_at_{rate}", cis.get(rate))
    return found


def _bounds(name: str, interval: object) -> dict[str, object]:
    low, high = interval if isinstance(interval, tuple) else (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _change(name: str, found: object) -> dict[str, object]:
    value = getattr(found, "difference", None)
    return {name: value} | _bounds(name, getattr(found, "ci", None))


def _halving(row: object) -> dict[str, object]:
    found = getattr(row, "halving", None)
    return {"halves": getattr(found, "halves", None), "p_corrected": getattr(found, "p_corrected", None)}
