"""Risk of people who have several records: how surely they are told, the distribution, and the worst of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.results.measures import Attack
from privaudit.results.statement.subject_risk import SubjectHistogram, SubjectRisk, SubjectsBySize, SubjectSource
from privaudit.scoring.reliability.confirmation import CERTAIN, is_certain
from privaudit.scoring.reliability.risk_interval import risk_interval
from privaudit.scoring.reliability.simulated_audits import chance_of
from privaudit.scoring.reliability.split_halves import Half
from privaudit.scoring.score_table import FEWEST_FOR_INTERVAL
from privaudit.scoring.subjects.subject_cells import Subjects, risk_if_independent
from privaudit.statistics.group_accuracy import Shares, right_shares
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.performance import Evaluation


@dataclass(frozen=True)
class Size:
    """Numbers of records that are told together, from the first to the last."""

    first: int
    last: int | None

    @property
    def name(self) -> str:
        """For people."""
        if self.last is None:
            return f"{self.first} or more"
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    def holds(self, records: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which of these numbers are among them."""
        inside: npt.NDArray[np.bool_] = records >= self.first
        return inside if self.last is None else inside & (records <= self.last)


SIZES = (Size(1, 1), Size(2, 2), Size(3, 4), Size(5, 9), Size(10, None))

QUANTILES = (0.1, 0.5, 0.9, 0.99)
BINS = 20

#: Fewer cells than this a side show no attack.
FEWEST_CELLS = 10

#: What both halves confirm must be more than so many times what chance alone would.
BEYOND_CHANCE = 2.0

#: The models that are left, and their ratios fitted without the rest.
Left = tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]


@dataclass(frozen=True)
class RatioCells:
    """LiRA's ratios over records, and where they came from.

    Parameters
    ----------
    ratio, keep, used
        ``[S, N]``.
    clusters
        ``[S]``: which models depend on each other.
    refits
        The same ratios where each group of clusters in turn was never there.
    correlation
        Of a pair's two models, given their membership.
    """

    ratio: FloatArray
    keep: npt.NDArray[np.bool_]
    used: npt.NDArray[np.bool_]
    clusters: npt.NDArray[np.int64]
    refits: Iterable[Left]
    correlation: float


def subject_risk(
    names: npt.NDArray[np.object_],
    source: SubjectSource,
    cells: RatioCells,
    halves: tuple[Half, Half] | None,
    seed: int,
) -> tuple[SubjectRisk | None, dict[str, npt.NDArray[Any]]]:
    """Combine the records of each subject.

    Parameters
    ----------
    names
        ``[N]``: whose each record is, None where nobody's.
    source
        Where they are named.
    cells
        LiRA's ratios of the N records.
    halves
        The models in two halves, each attacked alone; None where there are too few.
    seed
        Of shuffles.

    Returns
    -------
    tuple
        What is to be said, and columns by name, an entry a record. Nothing where nobody has several records.
    """
    subjects = Subjects.of(names)
    if subjects.records.max() < 2:
        return None, {}
    risk = risk_if_independent(cells.ratio, cells.keep, cells.used, subjects, seed)
    low, high = _bounds(risk, cells, subjects)
    columns: dict[str, npt.NDArray[Any]] = {
        "subject_records": subjects.records,
        "subject_risk": risk,
        "subject_low": low,
        "subject_high": high,
    }
    confirmation = None if halves is None else _confirm(halves, subjects, cells.correlation, seed)
    if confirmation is not None:
        columns["subject_confirmed"] = confirmation.both
    told = _Told.of(cells, subjects)
    shares = told.right()
    worst = int(np.lexsort((-subjects.records, risk))[-1])
    found = SubjectRisk(
        source=source,
        subjects=len(risk),
        records=len(names),
        most_records=int(subjects.records.max()),
        unnamed=sum(name is None for name in names),
        cells=int(told.there.sum()),
        attack=told.attack(np.ones(len(risk), np.bool_)),
        right=None if shares is None else float(shares.share[0]),
        right_ci=None if shares is None else shares.intervals()[0],
        by_records=[told.of_size(size, risk) for size in SIZES if size.holds(subjects.records).any()],
        mean_risk=float(risk.mean()),
        quantiles={f"{share:g}": float(np.quantile(risk, share)) for share in QUANTILES},
        histogram=_histogram(risk),
        certain=int(is_certain(risk).sum()),
        chance=len(risk) * chance_of(_models(cells), CERTAIN, cells.correlation),
        confirmed=None if confirmation is None else int(confirmation.both.sum()),
        chance_confirmed=None if confirmation is None else confirmation.chance,
        worst=float(risk[worst]),
        worst_ci=None if np.isnan(low[worst]) else (float(low[worst]), float(high[worst])),
        worst_records=int(subjects.records[worst]),
        worst_by_others=None if confirmation is None else confirmation.worst_by_others,
        named=confirmation is not None and confirmation.both.sum() > max(0.0, BEYOND_CHANCE * confirmation.chance),
    )
    return found, {name: values[subjects.of_record] for name, values in columns.items()}


def _models(cells: RatioCells) -> int:
    """How many verdicts the risk of a record is the mean of."""
    return int(np.median(cells.used.sum(axis=0)))


def _bounds(risk: FloatArray, cells: RatioCells, subjects: Subjects) -> tuple[FloatArray, FloatArray]:
    """95% intervals as those of single records; NaN below `FEWEST_FOR_INTERVAL` models.

    Risk is a mean over the same models. More records a subject leave as much to chance where nothing leaks, and less
    where something does: these are not too narrow.
    """
    if _models(cells) < FEWEST_FOR_INTERVAL:
        return np.full(len(risk), np.nan), np.full(len(risk), np.nan)
    return risk_interval(risk, np.full(len(risk), _models(cells)), cells.correlation)


def _histogram(risk: FloatArray) -> SubjectHistogram:
    counts, edges = np.histogram(risk, bins=BINS, range=(0.0, 1.0))
    return SubjectHistogram(edges=[round(float(edge), 6) for edge in edges], counts=counts.tolist())


@dataclass(frozen=True)
class _Confirmation:
    """Whom both halves find nearly always, ``[subjects]``; how many chance finds; how the others see the worst."""

    both: npt.NDArray[np.bool_]
    chance: float
    worst_by_others: float


def _confirm(halves: tuple[Half, Half], subjects: Subjects, correlation: float, seed: int) -> _Confirmation:
    everyone = [np.ones(half.keep.shape, np.bool_) for half in halves]
    risks = [
        risk_if_independent(half.ratio, half.keep, used, subjects, seed)
        for half, used in zip(halves, everyone, strict=True)
    ]
    leader = [int(np.lexsort((-subjects.records, risk))[-1]) for risk in risks]
    return _Confirmation(
        both=is_certain(risks[0]) & is_certain(risks[1]),
        chance=len(risks[0]) * float(np.prod([chance_of(len(half.keep), CERTAIN, correlation) for half in halves])),
        worst_by_others=float((risks[1][leader[0]] + risks[0][leader[1]]) / 2),
    )


@dataclass(frozen=True)
class _Told:
    """Models that saw all records of a subject or none.

    Parameters
    ----------
    cells, subjects
        The records.
    summed
        ``[S, subjects]``: the sums of ratios.
    inside, there
        bool ``[S, subjects]``: whether a model saw all of them; whether all or none.
    refitted
        The models that are left, and their sums ``[S', subjects]``, without each group of clusters in turn.
    """

    cells: RatioCells
    subjects: Subjects
    summed: FloatArray
    inside: npt.NDArray[np.bool_]
    there: npt.NDArray[np.bool_]
    refitted: list[Left]

    @classmethod
    def of(cls, cells: RatioCells, subjects: Subjects) -> _Told:
        """Sum the ratios."""
        inside, outside = subjects.one_sided(cells.keep, cells.used)
        # Kept, not made anew for each size: an attack without each group of models takes longer than its sums.
        refitted = [(left, subjects.sums(scores).astype(np.float32)) for left, scores in cells.refits]
        summed = subjects.sums(np.where(cells.used, cells.ratio, 0.0))
        return cls(cells, subjects, summed, inside, inside | outside, refitted)

    def right(self) -> Shares | None:
        """Return the share of right verdicts over all of these cells; None without any."""
        if not self.there.any():
            return None
        refits = ((left, np.where(self.there[left], sums, np.nan)) for left, sums in self.refitted)
        one_group = np.zeros(len(self.subjects.records), np.int64)
        values = np.where(self.there, self.summed, np.nan)
        return right_shares(values, self.inside, one_group, self.cells.clusters, refits)

    def attack(self, chosen: npt.NDArray[np.bool_]) -> Attack | None:
        """Evaluate the sums of chosen subjects; None where either side has fewer than `FEWEST_CELLS`."""
        there = self.there & chosen
        inside = self.inside[there]
        if min(inside.sum(), (~inside).sum()) < FEWEST_CELLS:
            return None
        clusters = np.broadcast_to(self.cells.clusters[:, np.newaxis], there.shape)
        evaluation = Evaluation(self.summed[there], inside, clusters[there])
        for left, sums in self.refitted:
            sides = self.inside[left][there[left]]
            if sides.any() and not sides.all():
                evaluation.leave_out(sums[there[left]], sides)
        return evaluation.performance().in_brief()

    def of_size(self, size: Size, risk: FloatArray) -> SubjectsBySize:
        """Tell of the subjects of one number of records."""
        chosen = size.holds(self.subjects.records)
        there = self.there & chosen
        right = np.where(self.inside, np.sign(self.summed), -np.sign(self.summed))[there]
        weights = there.sum(axis=0)
        return SubjectsBySize(
            records=size.name,
            subjects=int(chosen.sum()),
            told=int((weights > 0).sum()),
            cells=int(there.sum()),
            attack=self.attack(chosen),
            right=float(((right + 1) / 2).mean()) if len(right) else None,
            right_if_independent=float(np.average(risk, weights=weights)) if len(right) else None,
        )
