"""What an attack means for people of whom the training data holds several records: their records combined."""

from __future__ import annotations

from typing import Literal

from privaudit.results.base import Result
from privaudit.results.measures import Attack, Interval

#: Where it is told whose a record is.
SubjectSource = Literal["--subject", "subject_id"]


class SubjectsBySize(Result):
    """Subjects of one number of records (``"1"``, ``"3 to 4"``).

    Parameters
    ----------
    subjects, told
        How many there are, and of how many some model saw all records or none.
    cells
        How many such pairs of a model and a subject there are.
    attack
        Of these; None where there are too few on a side.
    right, right_if_independent
        Share of right verdicts over these cells, and what the records of the same subjects would give were they
        independent; None without cells.
    """

    records: str
    subjects: int
    told: int
    cells: int
    attack: Attack | None
    right: float | None
    right_if_independent: float | None


class SubjectHistogram(Result):
    """How many subjects have which risk: counts between ``edges``, one more than there are counts."""

    edges: list[float]
    counts: list[int]


class SubjectRisk(Result):
    """Risk of subjects, by the summed log-likelihood ratios of their records.

    A member is a subject all of whose records a model saw, an outsider one none of whose records it saw.

    Parameters
    ----------
    source
        Where the subjects are named: the table's ``--subject``, or ``subject_id`` of ``--metadata``.
    subjects, records, most_records
        How many there are, with how many records in all, and of one at most.
    unnamed
        Records without a subject: each is taken for a subject of its own.
    cells
        How many pairs of a model and a subject are a member or an outsider, all records of one side.
    attack
        Over these cells: AUC, TPR at each FPR that they resolve; its interval is the jackknife's over pairs.
    right, right_ci
        Share of right verdicts over these cells; the interval is over pairs.
    by_records
        The same by number of records.
    mean_risk
        Over subjects: how often the attacker is right about one, were its records independent of each other.
    quantiles, histogram
        Of that risk over subjects; quantiles by share (``"0.5"``).
    certain, chance
        How many subjects he is right about at least 90% of the time, and how many without any leak.
    confirmed, chance_confirmed
        How many of them either half of the models finds alone; None where there are no halves.
    worst, worst_ci, worst_records
        Risk of the most exposed subject; its interval knows nothing of its having been picked.
    worst_by_others
        Mean risk of whom one half of the models finds most exposed, by the other half.
    named
        Whether the worst subject may be named: confirmed, and more are than by chance.
    """

    source: SubjectSource
    subjects: int
    records: int
    most_records: int
    unnamed: int
    cells: int
    attack: Attack | None
    right: float | None
    right_ci: Interval | None
    by_records: list[SubjectsBySize]
    mean_risk: float
    quantiles: dict[str, float]
    histogram: SubjectHistogram
    certain: int
    chance: float
    confirmed: int | None
    chance_confirmed: float | None
    worst: float
    worst_ci: Interval | None
    worst_records: int
    worst_by_others: float | None
    named: bool
