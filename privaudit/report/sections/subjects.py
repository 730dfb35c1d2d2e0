"""The section on people with several records: what their records give away together."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from privaudit.report.content.elements import Figure, Section, Table, tabulate
from privaudit.report.content.figure_data import Histogram
from privaudit.report.content.texts import texts
from privaudit.report.content.wording import area, found_at, interval, percent, rate, share
from privaudit.report.drawing import line_styles
from privaudit.report.exposure import exposed_subjects
from privaudit.report.exposure.exposed_subjects import ExposedSubject
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.statement.subject_risk import SubjectRisk

#: How many people are listed.
MOST = 10


def sections(results: ScoreResults, table: pd.DataFrame) -> list[Section]:
    """Return the section; none where nobody is known to have several records."""
    if (found := results.subjects) is None:
        return []
    worst = exposed_subjects.leaders(table, results, MOST)
    return [
        Section(
            "people",
            "People with several records",
            [*texts("subjects.how"), *_independence(found), _spread(found), _named(found, worst)],
            [_by_size(found), *_listed(worst)],
            [_histogram(found)],
            lead=_lead(found),
        )
    ]


def _lead(found: SubjectRisk) -> str:
    people = f"{found.records:,} records are of {found.subjects:,} people, up to {found.most_records:,} of one"
    unnamed = (
        f" ({found.unnamed:,} records name nobody: each is taken for a person of its own)" if found.unnamed else ""
    )
    if found.right is None:
        return f"{people}{unnamed}; no model saw all records of one, or none."
    return (
        f"{people}{unnamed}. By all of them together the attack is right about a person in {percent(found.right)} "
        f"({interval(found.right_ci, percent)}) of tries; AUC {area(found.attack)}, found at 1% false alarms "
        f"{found_at(found.attack, '0.01')}."
    )


def _independence(found: SubjectRisk) -> list[str]:
    """Measured beside what independent records would give, where there are people with several."""
    rows = [one for one in found.by_records if one.records != "1" and one.cells]
    if not rows:
        return ["Of people with several records no model saw all or none: what independent records give is untested."]
    cells = sum(one.cells for one in rows)
    measured, independent = (
        sum(one.cells * (value or 0.0) for one, value in zip(rows, values, strict=True)) / cells
        for values in ([one.right for one in rows], [one.right_if_independent for one in rows])
    )
    return [
        f"Of those with several records the attack is right in {percent(measured)} where a model saw all or none; were "
        f"records independent it would be in {percent(independent)}. Where the first is clearly lower, records repeat "
        "each other, and the distribution below reads too high."
    ]


def _spread(found: SubjectRisk) -> str:
    said = ", ".join(f"{percent(value)} for {rate(name)}" for name, value in found.quantiles.items())
    return (
        f"Taking records for independent, a person's risk is on average {percent(found.mean_risk)}; at most {said} of "
        f"the people. {found.certain:,} are told right at least nine times in ten; chance alone tells "
        f"{found.chance:,.1f} so."
    )


def _named(found: SubjectRisk, worst: list[ExposedSubject]) -> str:
    said = (
        f"The most exposed person has {found.worst_records:,} records and a risk of {percent(found.worst)} "
        f"({interval(found.worst_ci, percent)}), which is partly luck, being the largest of all"
    )
    if found.worst_by_others is None:
        return f"{said}. No halves of the models can confirm anybody (that takes 8, in pairs)."
    said += f": whom one half of the models finds most exposed has {percent(found.worst_by_others)} by the other half."
    return said if worst else f"{said} Nobody is pointed at: both halves confirm no more people than by chance."


def _by_size(found: SubjectRisk) -> Table:
    return tabulate(
        "People by their number of records",
        found.by_records,
        {
            "Records": lambda one: one.records,
            "People": lambda one: f"{one.subjects:,}",
            "Measured": lambda one: f"{one.told:,}",
            "Tries": lambda one: f"{one.cells:,}",
            "Right": lambda one: share(one.right),
            "If independent": lambda one: share(one.right_if_independent),
            "AUC (95%)": lambda one: area(one.attack),
            "Found at 1% false alarms": lambda one: found_at(one.attack, "0.01"),
        },
    )


def _listed(worst: list[ExposedSubject]) -> list[Table]:
    if not worst:
        return []
    return [
        tabulate(
            "The most exposed people with several records whom either half of the models confirms",
            worst,
            {
                "The person of the records": ExposedSubject.records_in_words,
                "Records": lambda one: f"{one.records:,}",
                "Risk of all together (95%)": lambda one: f"{percent(one.risk)} ({interval(one.ci, percent)})",
            },
        )
    ]


def _histogram(found: SubjectRisk) -> Figure:
    edges = found.histogram.edges
    middles = [round((low + high) / 2, 6) for low, high in pairwise(edges)]
    return Figure(
        "histogram",
        f"How many people have which risk, their records taken for independent. {line_styles.at('histogram')}",
        f"Histogram of the risk of {found.subjects:,} people, median {percent(found.quantiles['0.5'])}.",
        Histogram(values=middles, counts=found.histogram.counts),
    )
