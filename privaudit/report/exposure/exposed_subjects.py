"""People with several records: which rows of the score table are one person's, and who may be pointed at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.measures import Interval

#: The column that numbers the subjects: what they are called never enters a report.
NUMBER = "subject_number"

#: How many records of one person are listed.
LISTED = 4


@dataclass(frozen=True)
class ExposedSubject:
    """One person: ids of some records, how many there are, and the risk of all of them together."""

    sample_ids: list[object]
    records: int
    risk: float
    ci: Interval | None

    def records_in_words(self) -> str:
        """Name the person by records."""
        more = self.records - len(self.sample_ids)
        return ", ".join(map(str, self.sample_ids)) + (f" and {more:,} more" if more else "")


def with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return the score table with a number for each subject in place of names; a record without one has its own."""
    if "subject" not in table:
        return table
    codes = pd.factorize(table["subject"])[0].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=0) + 1 + np.arange(int(alone.sum()))
    return table.drop(columns="subject").assign(**{NUMBER: codes})


def leaders(table: pd.DataFrame, results: ScoreResults, count: int) -> list[ExposedSubject]:
    """Return the most exposed people with several records whom both halves of the models confirm; none without leave.

    ``table`` is the score table without canaries, as `with_numbers` returns it.
    """
    found = results.subjects
    if found is None or not found.named or "subject_confirmed" not in table or NUMBER not in table:
        return []
    several = table[table["subject_confirmed"].fillna(False).astype(bool) & (table["subject_records"] > 1)]
    people = []
    for _, rows in several.groupby(NUMBER, sort=False):
        first = rows.sort_values("rank").iloc[0]
        bounds = (float(first["subject_low"]), float(first["subject_high"]))
        people.append(
            ExposedSubject(
                sample_ids=rows.sort_values("rank")["sample_id"].tolist()[:LISTED],
                records=int(first["subject_records"]),
                risk=float(first["subject_risk"]),
                ci=None if np.isnan(bounds[0]) else bounds,
            )
        )
    # The order that the rows' own ranks give settles ties.
    return sorted(people, key=lambda one: -one.risk)[:count]
