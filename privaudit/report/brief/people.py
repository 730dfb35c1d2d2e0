"""People with several records, on the first two pages."""

from __future__ import annotations

import pandas as pd

from privaudit.report.brief.plain import percent, share_of, span
from privaudit.report.exposure import exposed_subjects
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.statement.subject_risk import SubjectRisk

#: The rate of wrong accusations that is told of.
RATE = "0.01"


def of_people(results: ScoreResults, table: pd.DataFrame) -> list[str]:
    """Say what all records of a person together give away; nothing where nobody is known to have several."""
    if (found := results.subjects) is None:
        return []
    said = [_together(found)]
    if worst := exposed_subjects.leaders(table, results, 1):
        one = worst[0]
        said.append(
            f"Most exposed is the person of the records {one.records_in_words()}: the attacker would be right about "
            f"that person in {percent(one.risk)} of tries{span(one.ci)}."
        )
    return said


def _together(found: SubjectRisk) -> str:
    people = f"The {found.records:,} records are of {found.subjects:,} people, with up to {found.most_records:,} each."
    attack = found.attack
    if attack is not None and (tpr := attack.tpr_at_fpr.get(RATE)) is not None:
        return (
            f"{people} From all of a person's records together, an attacker who wrongly names "
            f"{share_of(float(RATE))} outsiders rightly names {percent(tpr)} of the people{span(attack.tpr_ci[RATE])}; "
            "people with many records are the least measured (annex)."
        )
    if found.right is not None:
        return (
            f"{people} From all of a person's records together he is right about a person in {percent(found.right)} of "
            f"tries{span(found.right_ci)}; guessing is 50%."
        )
    return f"{people} What all of a person's records together give away cannot be told: no model saw all or none."
