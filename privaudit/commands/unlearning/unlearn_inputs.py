"""What an unlearning starts from: the target model, and the scores that say who is risky."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.audit.plan import AuditPlan, replace_settings
from privaudit.audit.result_files import RESULTS, SCORES, read_table
from privaudit.commands.score_stored import are_scored, score_stored
from privaudit.errors import StoreError
from privaudit.report.content import wording
from privaudit.runtime import files
from privaudit.scoring.score_table import demand_columns
from privaudit.shadow.store import TARGET, AuditStore


def demand_target(store: AuditStore) -> None:
    """Raise `StoreError` unless the target model is there, whole."""
    store.demand_not_purged()
    if not store.is_finished(TARGET):
        raise StoreError(
            f"the target model of {store.audit} is missing, damaged or unfinished",
            hint="Run the same privaudit score again: it makes anew what is missing.",
        )


def demand_scores(store: AuditStore, folder: Path) -> None:
    """Raise `StoreError` unless the audit is scored: a dry run makes nothing anew."""
    if not are_scored(folder):
        raise StoreError(
            f"{store.audit} has no scores in {folder}: nobody can say what would be forgotten",
            hint="Run the same privaudit score again: it makes anew what is missing.",
        )


def scored(plan: AuditPlan, folder: Path) -> tuple[AuditPlan, pd.DataFrame]:
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
    settings = replace_settings(
        plan.settings,
        statistic=results["statistic"],
        queries=",".join(results["queries"]),
        rmia_gamma=wording.gamma_of(results),
    )
    table = demand_columns(read_table(folder / SCORES), folder / SCORES)
    if not np.array_equal(table["sample_id"].to_numpy(), plan.facts.sample_ids):
        raise StoreError(
            f"{folder / SCORES} does not belong to audit {plan.name}", hint="Run the same privaudit score again."
        )
    return (
        replace(plan, shadows=int(results["shadows"]), settings=settings),
        table[~table["canary"]].reset_index(drop=True),
    )
