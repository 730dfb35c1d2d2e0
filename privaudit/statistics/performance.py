"""How well an attack tells members from others: AUC, and TPR at a fixed FPR, with intervals over models."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from privaudit.results.measures import Attack, Curve, Influence
from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, Interval, clopper_pearson, logit_interval
from privaudit.statistics.jackknife import jackknife_error, jackknife_influence
from privaudit.statistics.leave_pair_out import is_paired
from privaudit.statistics.roc import FEWEST_FALSE_POSITIVES, balanced_accuracy_of_falling, falling, roc_of_falling

#: False positive rates that reports name.
REPORTED_RATES = (0.01, 0.001, 0.0001)

#: What is told besides where a run is large enough, and not named where it is not.
TAIL_RATES = (0.00001,)

#: Beyond so many standard deviations the normal distribution is 0 or 1 to the last bit of a share.
FAR = 9.0


class _Rate(NamedTuple):
    """TPR at one FPR: None where the run can't resolve that FPR; ``influence`` as in `Influence`."""

    tpr: float | None = None
    interval: Interval | None = None
    hits: int | None = None
    influence: list[float] | None = None


def performance(
    scores: npt.NDArray[Any],
    member: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.int64] | None = None,
    refits: Iterable[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]] = (),
) -> Attack:
    """Evaluate scores of cells that come in clusters.

    Parameters
    ----------
    scores, member
        Any equal shape; higher scores mean member.
    clusters
        Which cluster (pair of shadow models) each cell belongs to, same shape. None: every cell is independent
        (one model, many samples) and the interval of DeLong et al. (1988) is given.
    refits
        Scores and membership of an attack that compares models, run again without each group of clusters in turn.

    Returns
    -------
    Attack
        See `Evaluation.performance`.
    """
    evaluation = Evaluation(scores, member, clusters)
    for left, of_left in refits:
        evaluation.leave_out(left, of_left)
    return evaluation.performance()


class Evaluation:
    """Scores of one attack, and what becomes of them where models are left out.

    Parameters
    ----------
    scores, member, clusters
        As for `performance`.
    """

    def __init__(
        self,
        scores: npt.NDArray[Any],
        member: npt.NDArray[np.bool_],
        clusters: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._scores, self._member = np.ravel(scores), np.ravel(member)
        self._cluster = None if clusters is None else np.unique(np.ravel(clusters), return_inverse=True)[1]
        self._clusters = 0 if self._cluster is None else int(self._cluster.max()) + 1
        # One sort serves curve, ranks and halves.
        self._order = falling(self._scores)
        self._curve = roc_of_falling(self._scores[self._order], self._member[self._order])
        told = (*REPORTED_RATES, *TAIL_RATES)
        self._rates = [rate for rate in told if rate * self._curve.negatives >= FEWEST_FALSE_POSITIVES]
        self._without: list[list[list[float]]] = []

    @cached_property
    def _shares_below(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self._curve.shares_below()

    @cached_property
    def _thresholds(self) -> list[tuple[float, float, float]]:
        """Threshold, its uncertainty and the slope of the ROC at each rate that is resolved."""
        curve = self._curve
        return [(curve.tpr_at(rate)[1], curve.width_at(rate), curve.slope_at(rate)) for rate in self._rates]

    @cached_property
    def _tie(self) -> npt.NDArray[np.int64]:
        """Each cell's place among the distinct scores, from the strictest threshold on."""
        tie = np.empty(len(self._scores), np.int64)
        cells = np.diff(self._curve.true_positives + self._curve.false_positives, prepend=0)
        tie[self._order] = np.repeat(np.arange(len(cells)), cells)
        return tie

    def false_alarm_rates(self) -> FloatArray:
        """Return the share of non-member cells whose score is at least each cell's, ``[n]``."""
        rates: FloatArray = (self._curve.false_positives / self._curve.negatives)[self._tie]
        return rates

    def leave_out(self, scores: npt.NDArray[Any], member: npt.NDArray[np.bool_]) -> FloatArray:
        """Note what the attack scores where some of the models were never there, neither as targets nor in its fits.

        The AUC is taken to first order in the change of the two score distributions (its influence function): as exact
        as an error needs to be, and without another sort. The TPR is taken twice. To first order, being above the
        threshold smoothed over half of what lies between twice and half the FPR: that is right where few false alarms
        set the threshold, which jumps then. And as it is at the threshold that the FPR has now: that is right where
        many scores are equal there.

        Returns
        -------
        numpy.ndarray
            The scores without membership, rising.
        """
        inside, outside = (np.sort(side) for side in sides_of(scores, member))
        at, members_below, others_below = self._shares_below
        area = np.interp(inside, at, others_below).mean() - np.interp(outside, at, members_below).mean()
        smooth, exact = [float(area)], [float(area)]
        for rate, (threshold, width, slope) in zip(self._rates, self._thresholds, strict=True):
            hits, alarms = (_share_above(part, threshold, width) for part in (inside, outside))
            smooth.append(hits - slope * alarms)
            now = outside[-1 - int(rate * len(outside))]
            exact.append((len(inside) - int(np.searchsorted(inside, now, side="right"))) / len(inside))
        self._without.append([smooth, exact])
        return outside

    def performance(self) -> Attack:
        """Pooled AUC and TPR with 95% intervals, on the logit scale with t quantiles.

        The error is that of the delete-a-pair jackknife where models were left out (`privaudit.statistics.jackknife`),
        and never less than that of independent clusters: Obuchowski (1997) for the AUC, and alike from its influence
        function for the TPR (docs/methods.md). A TPR's interval is never narrower than Clopper and Pearson's. There is
        none below 4 clusters.
        """
        curve, order = self._curve, self._order
        area, of_cells = self._auc_influence()
        error, influence = self._error(of_cells, 0)
        trusted = self._cluster is None or self._clusters >= FEWEST_PAIRS
        fold = order if self._cluster is None else self._cluster[order]
        told = (*REPORTED_RATES, *(rate for rate in TAIL_RATES if rate in self._rates))
        rates = {f"{fpr:g}": self._rate(fpr) if fpr in self._rates else _Rate() for fpr in told}
        of_rates = {fpr: rate.influence for fpr, rate in rates.items() if rate.influence}
        return Attack(
            auc=area,
            auc_ci=self._area_interval(area, error) if trusted else None,
            auc_standard_error=error if np.isfinite(error) else None,
            balanced_accuracy=balanced_accuracy_of_falling(self._scores[order], self._member[order], fold),
            tpr_at_fpr={fpr: rate.tpr for fpr, rate in rates.items()},
            tpr_ci={fpr: rate.interval for fpr, rate in rates.items()},
            true_positives={fpr: rate.hits for fpr, rate in rates.items()},
            smallest_fpr=curve.smallest_rate(),
            positives=curve.positives,
            negatives=curve.negatives,
            curve=Curve.model_validate(curve.sketch()),
            influence=Influence(auc=influence, tpr=of_rates) if influence else None,
        )

    def _area_interval(self, area: float, error: float) -> Interval | None:
        """As `performance` says; where one side lies wholly above the other, as sure as that many heads in a row."""
        if area not in (0.0, 1.0):
            return logit_interval(area, error, self._degrees)
        alone = min(self._curve.positives, self._curve.negatives)
        independent = alone if self._cluster is None else self._clusters
        return clopper_pearson(independent if area else 0, independent)

    @property
    def _degrees(self) -> int:
        """Degrees of freedom of the error."""
        if self._without:
            return len(self._without) - 1
        return min(self._curve.positives, self._curve.negatives) - 1 if self._cluster is None else self._clusters - 1

    def _auc_influence(self) -> tuple[float, FloatArray]:
        """The AUC, and what each cell contributes to its error, from the share of the other side that it beats."""
        curve, member = self._curve, self._member
        # By tie, from the strictest threshold on: cells of either side, and the other side's below, equal ones by half.
        members, others = (np.diff(counts, prepend=0) for counts in (curve.true_positives, curve.false_positives))
        members_below = curve.positives - curve.true_positives + members / 2
        others_below = curve.negatives - curve.false_positives + others / 2
        area = float((members * others_below).sum() / (curve.positives * curve.negatives))
        tie = self._tie
        beats = np.where(member, (others_below / curve.negatives)[tie], (1 - members_below / curve.positives)[tie])
        influence: FloatArray = (beats - area) * np.where(member, 1 / curve.positives, 1 / curve.negatives)
        return area, influence

    def _rate(self, fpr: float) -> _Rate:
        curve, scores, member = self._curve, self._scores, self._member
        tpr, threshold = curve.tpr_at(fpr)
        called = scores >= threshold
        hits = int((called & member).sum())
        if self._cluster is not None and self._clusters < FEWEST_PAIRS:
            return _Rate(tpr, None, hits)
        # TPR at a fixed FPR moves with what members do at the threshold, and with where non-members put the threshold:
        # one false alarm more lifts it, and the TPR drops by the slope of the ROC there.
        alarms = float((called & ~member).sum() / curve.negatives)
        of_cells = np.where(
            member, (called - tpr) / curve.positives, -curve.slope_at(fpr) * (called - alarms) / curve.negatives
        )
        error, influence = self._error(of_cells, 1 + self._rates.index(fpr))
        bounds = [clopper_pearson(hits, curve.positives)]
        if (clustered := logit_interval(tpr, error, self._degrees)) is not None:
            bounds.append(clustered)
        # Few hits tell little of their own spread: the interval is never narrower than that of independent cells.
        bounded = (min(low for low, _ in bounds), max(high for _, high in bounds))
        return _Rate(tpr, bounded, hits, influence)

    def _error(self, of_cells: FloatArray, place: int) -> tuple[float, list[float]]:
        """Standard error of an estimate, and what each group of models contributes to it.

        Parameters
        ----------
        of_cells
            What each cell contributes, were clusters independent.
        place
            Where the estimate stands among those that `leave_out` notes.
        """
        if self._cluster is None:
            # Both sides have a mean of their own; few samples estimate their spread with a degree of freedom less.
            sides = (of_cells[self._member], of_cells[~self._member])
            if min(map(len, sides)) < 2:
                return float("inf"), []
            return float(np.sqrt(sum(len(side) ** 2 * float(np.var(side, ddof=1)) / len(side) for side in sides))), []
        sums = np.bincount(self._cluster, weights=of_cells, minlength=self._clusters).astype(np.float64)
        error = _root_of_squares(sums)
        if not self._without:
            return error, sums.tolist()
        moved = np.asarray(self._without)[:, :, place]
        refitted = jackknife_influence(moved[:, int(np.argmin(jackknife_error(moved)))])
        return max(error, _root_of_squares(refitted)), refitted.tolist()


def sides_of(scores: npt.NDArray[Any], member: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the scores with and without membership, flat, in any order: for complementary pairs the faster way."""
    if scores.ndim == 2 and is_paired(member):
        first = member[0::2]
        inside, outside = (np.where(side, scores[0::2], scores[1::2]) for side in (first, ~first))
        return inside.ravel(), outside.ravel()
    return scores[member], scores[~member]


def placements(scores: FloatArray, side: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the share of the other side that each score exceeds, equal ones by half, ``[n]`` (DeLong et al. 1988)."""
    ranks, own = stats.rankdata(scores), np.empty(len(scores))
    for part in (side, ~side):
        own[part] = stats.rankdata(scores[part])
    share: FloatArray = (ranks - own) / np.where(side, (~side).sum(), side.sum())
    return share


def _root_of_squares(influence: FloatArray) -> float:
    """Standard error of a sum of contributions of independent groups."""
    groups = len(influence)
    return float(np.sqrt(groups / (groups - 1) * np.sum(influence**2))) if groups > 1 else float("inf")


def _share_above(scores: FloatArray, threshold: float, width: float) -> float:
    """Share of rising scores above a threshold, smoothed: Φ of the distance in widths, 0 or 1 beyond `FAR` of them."""
    if width == 0:
        return (len(scores) - int(np.searchsorted(scores, threshold))) / len(scores)
    low, high = np.searchsorted(scores, [threshold - FAR * width, threshold + FAR * width])
    near = float(special.ndtr((scores[low:high] - threshold) / width).sum())
    return (near + len(scores) - int(high)) / len(scores)
