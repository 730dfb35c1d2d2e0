"""Attribute inference of `privaudit score`: ask what is missing, attack, and write ``attributes.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit import artifacts
from privaudit.audit.attributes.candidate_answers import answers_of
from privaudit.audit.attributes.sensitive_columns import SensitiveColumn
from privaudit.audit.plan import AuditPlan
from privaudit.results.audit.attribute_results import AttributeInference, AttributeResults
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import derive_seed
from privaudit.scoring.attributes.attribute_advantage import groups_of, judge_attacks, judge_groups, share_right
from privaudit.scoring.attributes.attribute_attacks import Answers
from privaudit.scoring.attributes.imputation import FEWEST, NONE, Imputation, impute, with_class

#: Below this share of the pool the held-out records teach little of the population.
FEW_HELD_OUT = 100


def run_attributes(plan: AuditPlan, columns: Sequence[SensitiveColumn], folder: Path) -> AttributeResults | None:
    """Infer every sensitive column and write what was found; without any, what an earlier scoring wrote goes."""
    path = artifacts.ATTRIBUTES.at(folder)
    if not columns:
        files.remove(path)
        return None
    names = ", ".join(column.name for column in columns)
    talk(f"  guessing {names} of {len(columns[0].rows):,} records under {plan.shadows} shadow models")
    found = [
        _infer(plan, column, shadow, target)
        for column, (shadow, target) in zip(columns, answers_of(plan, columns), strict=True)
    ]
    results = AttributeResults(audit=plan.name, shadows=plan.shadows, columns=found)
    write_result(path, results)
    for one in found:
        for note in one.notes:
            talk(f"  note on {one.column}: {note}")
    return results


def _infer(
    plan: AuditPlan,
    column: SensitiveColumn,
    shadow: npt.NDArray[np.float32],
    target: npt.NDArray[np.float32] | None,
) -> AttributeInference:
    """Attack one column with answers ``[S, N, V, 2]``, and ``[N, V, 2]`` of the target."""
    from_others, from_all = (_imputed(plan, column, with_label=knows) for knows in (False, True))
    answers = Answers(
        margins=shadow[..., 0].astype(np.float64),
        losses=shadow[..., 1].astype(np.float64),
        keep=plan.store.read_design()[: plan.shadows, column.rows],
        truth=column.truth,
        prior=from_others.marginal,
        from_others=from_others.guesses,
        from_all=from_all.guesses,
    )
    of_target = None if target is None else (target[..., 0].astype(np.float64), target[..., 1].astype(np.float64))
    marginal = np.broadcast_to(from_others.marginal, from_all.guesses.shape)
    values = groups_of(column.truth, column.values)
    told = judge_groups(answers, [*values, *groups_of(plan.data.y_train[column.rows], plan.data.class_names)])
    return AttributeInference(
        column=column.name,
        values=column.values,
        binned=column.binned,
        records=len(column.rows),
        left_out=column.left_out,
        drawn_of=column.drawn_of,
        held_out=len(column.held_out),
        imputation=from_all.name,
        without={
            "imputation": share_right(from_all.guesses, column.truth),
            "marginal": share_right(marginal, column.truth),
        },
        attacks=judge_attacks(answers, of_target),
        by_value=told[: len(values)],
        by_class=told[len(values) :],
        notes=tuple(_notes(column, from_all)),
    )


def _imputed(plan: AuditPlan, column: SensitiveColumn, *, with_label: bool) -> Imputation:
    """What never-trained records say of a column: by the others, or by these and the class."""
    data = plan.data
    known, asked = column.without(data.x_test[column.held_out]), column.without(data.x_train[column.rows])
    if with_label:
        known = with_class(known, data.y_test[column.held_out], data.classes)
        asked = with_class(asked, data.y_train[column.rows], data.classes)
    seed = derive_seed(plan.settings.seed, "imputation", column.name, "with-label" if with_label else "without")
    return impute(known, column.held_out_truth, asked, len(column.values), seed)


def _notes(column: SensitiveColumn, imputation: Imputation) -> list[str]:
    notes = []
    if column.binned:
        notes.append(
            f"its numbers are guessed as one of {len(column.values)} ranges, each tried by its median: a model that "
            "remembers exact numbers is asked less than it could tell"
        )
    if len(column.held_out) < FEWEST:
        notes.append(
            f"only {len(column.held_out)} records were never trained on: nothing but shares of values is learnt"
        )
    elif imputation.name == NONE:
        notes.append("the other columns and the class say nothing of it that the shares of its values do not")
    elif len(column.held_out) < FEW_HELD_OUT:
        notes.append(
            f"the imputation was learnt from {len(column.held_out)} records: with more, less would need the model"
        )
    return notes
