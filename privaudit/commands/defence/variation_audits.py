"""Audits of variations: ordinary ones of the same store, so that they resume and are shared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from privaudit.artifacts import DEFENCES, LEFT_OUT
from privaudit.audit.code_examination import examine_code
from privaudit.audit.cost.audit_estimate import Estimate, estimate
from privaudit.audit.cost.stopwatch import Measured, measure
from privaudit.audit.inputs.load_data import demand_same_again
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.audit.reopening import reopen_plan
from privaudit.audit.result_files import RESULTS, SCORES, are_scored, read_table
from privaudit.commands.compare import Scored, read_scored
from privaudit.commands.defence.variations import MOST_EXPOSED, SHARE_LEFT_OUT, Variation, varied_settings
from privaudit.commands.score import train_missing
from privaudit.commands.score_stored import score_stored
from privaudit.config import AuditSettings
from privaudit.errors import StoreError, UsageError
from privaudit.report.redaction import privacy_of
from privaudit.report.write import render_report
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.results.defence_results import PlannedVariant
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.shadow.store import audits_in, latest_audit, open_audit

#: What may be said of an audit that is there already: who works, and where, and how it is attacked and shown.
OF_STORED = frozenset(
    {
        "store", "out", "data_dir", "workers", "engine", "address", "gpu_share", "shadows", "redact", "metadata",
        "declare", "show_samples", "statistic", "rmia_gamma", "queries", "invert", "invert_at", "invert_preset",
        "invert_batch", "gradient_noise", "gradient_clip", "invert_settings", "sensitive",
        "reconstruct_classes",
    }
)  # fmt: skip


def open_baseline(settings: AuditSettings, given: set[str], audit: str | None) -> AuditPlan:
    """Return the plan of the configuration that is defended.

    Parameters
    ----------
    settings, given
        What was asked for, and the names of the options that were given.
    audit
        A stored one; None for the latest of the store, or for what the options say where they say what to audit.
    """
    described = given - OF_STORED
    if audit is not None and described:
        name = sorted(described)[0].replace("_", "-")
        raise UsageError(
            f"--{name} means nothing beside {audit}: that audit is what it is",
            hint="Leave the audit's name out, or the flag.",
        )
    if audit is None and (described or latest_audit(settings.store) not in audits_in(settings.store)):
        return examine_code(plan_audit(settings))
    store = open_audit(settings.store, audit)
    folder = settings.out / store.audit
    shadows = settings.shadows
    if shadows is None:
        shadows = read_result(folder / RESULTS, ScoreResults).shadows if are_scored(folder) else store.shadow_count()
    return reopen_plan(store, settings.changed(shadows=shadows))


@dataclass(frozen=True)
class Planned:
    """A variation with its plan, what it would cost, and what the store lacks of it.

    ``plan`` is None where that waits for the baseline's results.
    """

    variation: Variation
    plan: AuditPlan | None
    cost: Estimate

    def told(self) -> PlannedVariant:
        """Return it as results have it."""
        return PlannedVariant(
            name=self.variation.name,
            changes=dict(self.variation.changes),
            audit=None if self.plan is None else self.plan.name,
            to_train=self.cost.models,
            seconds=round(self.cost.total.wall, 1),
        )


def plan_variation(baseline: AuditPlan, variation: Variation) -> AuditPlan | None:
    """Return its plan; None where the most exposed are to be left out and are not known yet."""
    if variation.name == MOST_EXPOSED and not variation.changes:
        return None
    return examine_code(plan_audit(varied_settings(baseline, variation)))


def demand_whole_store(variation: Variation, plan: AuditPlan) -> None:
    """Raise `StoreError` where a variation's own audit was purged, which is another than the one that is defended."""
    try:
        plan.store.demand_not_purged()
    except StoreError as error:
        raise StoreError(f"the variation '{variation.name}': {error.message}", hint=error.hint) from None


def cost_of(plan: AuditPlan, known: dict[tuple[object, ...], Measured], *, anew: bool = False) -> Estimate:
    """Return what is left to do for an audit; steps of a network are measured once, and kept in ``known``.

    ``anew`` is for another audit as large, of which nothing is there.
    """
    jobs = plan.jobs(plan.design(plan.shadows))
    missing = [job for job in jobs if not plan.is_given(job.key) and (anew or not plan.store.is_finished(job.key))]
    specification = plan.specification
    recipe = specification.recipe
    key = (specification.network, specification.training, recipe.name, recipe.batch_size, recipe.augment)
    if missing and key not in known:
        known[key] = measure(plan, None, (), plan.workers)
    return estimate(plan, missing, None, keep=False, measured_before=known.get(key) if missing else None)


def leave_out_most_exposed(baseline: AuditPlan, variation: Variation) -> Variation:
    """Write a list of those whose risk is highest, and return the variation that leaves them out.

    No class loses more than half of its samples. The list is named by its content: another one takes nothing from the
    audit that was made by this one.
    """
    path, content = _list_of_most_exposed(baseline)
    files.claim(path.parent)
    files.write_text(path, content)
    files.seal(path)
    return Variation(variation.name, variation.title, {"without": str(path)})


def left_out_before(baseline: AuditPlan, variation: Variation) -> Variation:
    """Return the variation with the list that an earlier run made of the same results; as it is where there is none."""
    if variation.name != MOST_EXPOSED or variation.changes:
        return variation
    folder = baseline.settings.out / baseline.name
    if not are_scored(folder) or read_result(folder / RESULTS, ScoreResults).shadows != baseline.shadows:
        return variation
    path, _ = _list_of_most_exposed(baseline)
    known = files.is_whole(path)
    return Variation(variation.name, variation.title, {"without": str(path)}) if known else variation


def _list_of_most_exposed(baseline: AuditPlan) -> tuple[Path, str]:
    """Return where the list of those whose risk is highest belongs, and what it says."""
    table = read_table(baseline.settings.out / baseline.name / SCORES)
    ids = most_exposed_ids(table[~table["canary"]], SHARE_LEFT_OUT)
    content = "sample_id\n" + "".join(f"{one}\n" for one in ids)
    digest = hashlib.sha256(content.encode("utf-8")).hexdigest()[:8]
    return LEFT_OUT.at(baseline.settings.out / DEFENCES / baseline.name, digest=digest), content


def most_exposed_ids(table: pd.DataFrame, share: float) -> list[object]:
    """Return the ids of the riskiest samples, at most half of each class, in the table's order."""
    ordered = table.sort_values(["risk", "lira"], ascending=False, kind="stable")
    place = ordered.groupby("label").cumcount()
    allowed = ordered[place < ordered.groupby("label")["label"].transform("size") // 2]
    chosen = allowed.index[: round(share * len(table))]
    ids: list[object] = table.loc[table.index.isin(chosen), "sample_id"].tolist()
    return ids


def audit_variation(plan: AuditPlan, *, own: bool = False) -> tuple[Scored, int]:
    """Train what is missing, score it, and return its results and how many models were trained.

    What is scored already stays as it is. The user's own audit, unlike a variation of it, becomes the store's latest
    and gets its report.
    """
    folder = plan.settings.out / plan.name
    if _is_there(plan):
        return read_scored(plan.settings.out, plan.name), 0
    files.claim(folder)
    files.demand_writable(folder)
    if not files.is_whole(plan.store.description):
        demand_same_again(plan)
    with plan.store.locked():
        trained = train_missing(plan, None, announce=False)
        if own:
            plan.store.mark_latest()
        score_stored(plan, folder, trained=trained)
        if own:
            render_report(folder, privacy_of(plan.settings))
    return read_scored(plan.settings.out, plan.name), trained


def _is_there(plan: AuditPlan) -> bool:
    folder = plan.settings.out / plan.name
    if not are_scored(folder):
        return False
    results = read_result(folder / RESULTS, ScoreResults)
    same = (results.shadows, results.statistic, results.clusters is not None)
    if same == (plan.shadows, plan.settings.statistic, True):
        return True
    talk(f"  {plan.name} is scored anew: by {plan.shadows} shadow models")
    return False
