"""Whom a report may name as most exposed, and how many samples are told right so often by chance alone."""

from __future__ import annotations

import pandas as pd

from privaudit.report.content.texts import text
from privaudit.report.content.wording import percent, rate
from privaudit.results.audit.score_results import ScoreResults


def why_nobody(results: ScoreResults) -> str | None:
    """Return why no single sample is named as most exposed; None where samples are."""
    if (found := results.told_right) is None:
        return text("exposed.not-asked")
    return None if found.named else str(found.reason)


def leaders(table: pd.DataFrame, results: ScoreResults, count: int) -> pd.DataFrame:
    """Return the most exposed samples that either half of the models confirms, at most ``count``; none without leave.

    ``table`` is the score table without canaries.
    """
    if why_nobody(results) is not None or "confirmed" not in table:
        return table.iloc[:0]
    return table[table["confirmed"].fillna(False).astype(bool)].nsmallest(count, "rank")


def nobody(results: ScoreResults) -> str:
    """Return the sentence that stands where samples would be named."""
    return f"No single sample is named: {why_nobody(results)}."


def confirmed(results: ScoreResults) -> list[str]:
    """Return how many of those whom one half of the models picks the other confirms; nothing where none was asked."""
    found = results.told_right
    if found is None or found.leaders_confirmed is None:
        return []
    said = (
        f"Of the {found.leaders} whom one half of the shadow models ranks highest, the other half tells "
        f"{percent(found.leaders_confirmed)} right in at least {rate(found.at_least)} of its models"
    )
    if found.confirmed is None or found.chance_confirmed is None:
        return [f"{said}."]
    return [
        f"{said}; of all whom one half so tells, {percent(found.confirmed)}. Where nothing leaks that is "
        f"{percent(found.chance_confirmed)}."
    ]


def by_chance(results: ScoreResults, samples: int) -> str:
    """Return how many of so many samples are told right in ≥ 90% of models where nothing leaks; empty if unknown."""
    if (found := results.told_right) is None:
        return ""
    expected = found.chance * samples
    number = f"{expected:,.0f}" if expected >= 1 else "less than one"
    return f"chance alone tells {number} so ({percent(found.chance)})"
