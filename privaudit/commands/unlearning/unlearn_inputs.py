"""What an unlearning starts from: an audit, opened and locked, its target model, and who is risky in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.audit.plan import AuditPlan, replace_settings
from privaudit.audit.reopening import reopen_plan
from privaudit.audit.result_files import RESULTS, SCORES, are_scored, read_table
from privaudit.audit.thumbnails import check_images
from privaudit.commands.score_stored import score_stored
from privaudit.config import UnlearnSettings
from privaudit.errors import StoreError
from privaudit.report.content import wording
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.runtime import files
from privaudit.scoring.score_table import demand_columns
from privaudit.shadow.locate_audit import locate_audit
from privaudit.shadow.store import TARGET, open_audit
from privaudit.unlearning.application.problem import Bench

AGAIN = "Run the same privaudit score again: it makes anew what is missing."


@dataclass(frozen=True)
class OpenedAudit:
    """An audit to unlearn from: its plan, with its scores in the bench, and the folder of its results."""

    plan: AuditPlan
    bench: Bench
    out: Path


@contextmanager
def opened(settings: UnlearnSettings, *, dry_run: bool) -> Iterator[OpenedAudit]:
    """Find, open and lock an audit with its target and its scores; a dry run makes nothing anew.

    Raises
    ------
    StoreError
        Where the target or (in a dry run) the scores are missing.
    """
    base, named = locate_audit(settings.base, settings.audit)
    store = open_audit(base.store, named)
    plan = reopen_plan(store, base)
    out = base.out / store.audit
    if base.show_samples:
        check_images(plan)
    if not dry_run:
        files.claim(out)
        files.demand_writable(out)
    with store.locked():
        store.demand_not_purged()
        if not store.is_finished(TARGET):
            raise StoreError(f"the target model of {store.audit} is missing, damaged or unfinished", hint=AGAIN)
        if dry_run and not are_scored(out):
            raise StoreError(
                f"{store.audit} has no scores in {out}: nobody can say what would be forgotten", hint=AGAIN
            )
        yield with_scores(plan, out)


def with_scores(plan: AuditPlan, out: Path) -> OpenedAudit:
    """Give the plan the size and statistic of the published scores, and take their rows without canaries.

    Scores that are not there, or are damaged, are made from what the store holds.
    """
    if not are_scored(out):
        shadows = plan.store.finished_shadows()
        if shadows < FEWEST_MODELS:
            raise StoreError(
                f"only {shadows} shadow models of {plan.name} are finished: too few to score with",
                hint="Run the same privaudit score again: it goes on where it stopped.",
            )
        score_stored(replace(plan, shadows=shadows), out)
    results = read_result(out / RESULTS, ScoreResults)
    settings = replace_settings(
        plan.settings,
        statistic=results.statistic,
        queries=",".join(results.queries),
        rmia_gamma=wording.gamma_of(results),
    )
    table = demand_columns(read_table(out / SCORES), out / SCORES)
    if not np.array_equal(table["sample_id"].to_numpy(), plan.facts.sample_ids):
        raise StoreError(
            f"{out / SCORES} does not belong to audit {plan.name}", hint="Run the same privaudit score again."
        )
    plan = replace(plan, shadows=results.shadows, settings=settings)
    return OpenedAudit(plan, Bench.of(plan, table[~table["canary"]].reset_index(drop=True)), out)
