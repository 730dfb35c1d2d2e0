"""ROC curves with ties grouped, AUC, TPR at a fixed FPR, and intervals that know models come in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, Interval, clopper_pearson, logit_interval

#: False positive rates that reports name.
REPORTED_RATES = (0.01, 0.001, 0.0001)

#: A rate is resolved where it allows at least this many false positives; below, there is too little evidence.
FEWEST_FALSE_POSITIVES = 10


@dataclass(frozen=True)
class Roc:
    """An ROC curve: cumulative counts at every distinct threshold, from the strictest on."""

    thresholds: FloatArray
    false_positives: npt.NDArray[np.int64]
    true_positives: npt.NDArray[np.int64]
    negatives: int
    positives: int

    def tpr_at(self, rate: float) -> tuple[float, float]:
        """The largest TPR whose FPR is at most ``rate``, and its threshold (infinite where nothing qualifies)."""
        last = int(np.searchsorted(self.false_positives, rate * self.negatives, side="right")) - 1
        if last < 0:
            return 0.0, np.inf
        return float(self.true_positives[last] / self.positives), float(self.thresholds[last])

    def slope_at(self, rate: float) -> float:
        """Slope of the curve at this FPR: the rise of TPR between half and one and a half times the rate."""
        return (self.tpr_at(1.5 * rate)[0] - self.tpr_at(0.5 * rate)[0]) / rate

    def balanced_accuracy(self) -> float:
        """½(TPR + 1 − FPR) at the best of all thresholds."""
        gain = self.true_positives / self.positives - self.false_positives / self.negatives
        return 0.5 + 0.5 * max(0.0, float(gain.max(initial=0.0)))

    def smallest_rate(self) -> float:
        """The smallest FPR at which this curve is evidence: `FEWEST_FALSE_POSITIVES` over the negatives."""
        return min(1.0, FEWEST_FALSE_POSITIVES / self.negatives)

    def sketch(self, points: int = 200) -> dict[str, list[float]]:
        """At most ``points`` of the curve, evenly spaced in log FPR, for drawing."""
        fpr, tpr = self.false_positives / self.negatives, self.true_positives / self.positives
        grid = np.geomspace(1 / self.negatives, 1.0, points)
        index = np.unique(np.searchsorted(fpr, grid, side="right") - 1)
        index = index[index >= 0]
        return {"fpr": [float(v) for v in fpr[index]], "tpr": [float(v) for v in tpr[index]]}


def roc(scores: npt.NDArray[Any], member: npt.NDArray[np.bool_]) -> Roc:
    """The ROC of flat ``scores`` (higher means member); equal scores are one threshold, never two."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores, sorted_member = scores[order], member[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(sorted_scores)), len(scores) - 1)
    true_positives = np.cumsum(sorted_member)[last_of_tie]
    return Roc(
        thresholds=sorted_scores[last_of_tie].astype(np.float64),
        false_positives=(last_of_tie + 1 - true_positives).astype(np.int64),
        true_positives=true_positives.astype(np.int64),
        negatives=int(len(member) - member.sum()),
        positives=int(member.sum()),
    )


def auc(scores: npt.NDArray[Any], member: npt.NDArray[np.bool_]) -> float:
    """P(a member's score exceeds a non-member's) + ½ P(they are equal), by midranks (Mann and Whitney 1947)."""
    positives = int(member.sum())
    negatives = len(member) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[member].sum() - positives * (positives + 1) / 2) / (positives * negatives))


@dataclass(frozen=True)
class Rate:
    """TPR at one FPR: None where the run can't resolve that FPR.

    ``influence`` is what each cluster contributes to the estimate's error, so that two audits of the same samples can
    be compared (`privaudit.statistics.differences`); empty without clusters.
    """

    fpr: float
    tpr: float | None
    interval: Interval | None
    true_positives: int | None
    influence: tuple[float, ...] = ()


@dataclass(frozen=True)
class Performance:
    """How well one attack told members from non-members; ``auc_influence`` as in `Rate`."""

    auc: float
    auc_interval: Interval | None
    auc_standard_error: float | None
    balanced_accuracy: float
    rates: tuple[Rate, ...]
    curve: dict[str, list[float]]
    positives: int
    negatives: int
    smallest_fpr: float
    auc_influence: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        found: dict[str, Any] = {
            "auc": self.auc,
            "auc_ci": None if self.auc_interval is None else list(self.auc_interval),
            "balanced_accuracy": self.balanced_accuracy,
            "tpr_at_fpr": {f"{rate.fpr:g}": rate.tpr for rate in self.rates},
            "tpr_ci": {f"{rate.fpr:g}": None if rate.interval is None else list(rate.interval) for rate in self.rates},
            "true_positives": {f"{rate.fpr:g}": rate.true_positives for rate in self.rates},
            "smallest_fpr": self.smallest_fpr,
            "positives": self.positives,
            "negatives": self.negatives,
            "curve": self.curve,
        }
        if self.auc_influence:
            of_rates = {f"{rate.fpr:g}": list(rate.influence) for rate in self.rates if rate.influence}
            found["influence"] = {"auc": list(self.auc_influence), "tpr": of_rates}
        return found


def performance(
    scores: npt.NDArray[Any], member: npt.NDArray[np.bool_], clusters: npt.NDArray[np.int64] | None = None
) -> Performance:
    """Evaluate scores of cells that come in clusters.

    Parameters
    ----------
    scores, member
        Any equal shape; higher scores mean member.
    clusters
        Which cluster (pair of shadow models) each cell belongs to, same shape. None: every cell is independent
        (one model, many samples) and the interval of DeLong et al. (1988) is given.

    Returns
    -------
    Performance
        Pooled AUC and TPR. The AUC's interval is that of Obuchowski (1997) for clustered ROC data, on the logit
        scale with t quantiles over clusters; the TPR's is made alike from its influence function at the threshold
        (docs/methods.md), and is never narrower than Clopper and Pearson's for independent cells. Neither is given
        below 4 clusters.
    """
    flat, is_member = np.ravel(scores), np.ravel(member)
    curve = roc(flat, is_member)
    ranks = stats.rankdata(flat)
    area = float(
        (ranks[is_member].sum() - curve.positives * (curve.positives + 1) / 2) / (curve.positives * curve.negatives)
    )
    # Structural components (DeLong et al. 1988): the share of the other side that each cell beats.
    beats = np.empty(len(flat))
    beats[is_member] = (ranks[is_member] - stats.rankdata(flat[is_member])) / curve.negatives
    beats[~is_member] = 1 - (ranks[~is_member] - stats.rankdata(flat[~is_member])) / curve.positives
    influence: npt.NDArray[Any] = np.empty(0)
    if clusters is None:
        variance = sum(
            float(np.var(part, ddof=1)) / len(part) if len(part) > 1 else np.inf
            for part in (beats[is_member], beats[~is_member])
        )
        degrees = min(curve.positives, curve.negatives) - 1
        groups = 0
    else:
        _, cluster = np.unique(np.ravel(clusters), return_inverse=True)
        groups = int(cluster.max()) + 1
        weight = np.where(is_member, 1 / curve.positives, 1 / curve.negatives)
        influence = np.bincount(cluster, weights=(beats - area) * weight, minlength=groups)
        variance = groups / (groups - 1) * float(np.sum(influence**2)) if groups > 1 else np.inf
        degrees = groups - 1
    error = float(np.sqrt(variance))
    trusted = clusters is None or groups >= FEWEST_PAIRS
    return Performance(
        auc=area,
        auc_interval=logit_interval(area, error, degrees) if trusted else None,
        auc_standard_error=error if np.isfinite(error) else None,
        balanced_accuracy=curve.balanced_accuracy(),
        rates=tuple(
            _rate(curve, fpr, flat, is_member, None if clusters is None else cluster) for fpr in REPORTED_RATES
        ),
        curve=curve.sketch(),
        positives=curve.positives,
        negatives=curve.negatives,
        smallest_fpr=curve.smallest_rate(),
        auc_influence=tuple(map(float, influence)),
    )


def _rate(
    curve: Roc,
    fpr: float,
    scores: npt.NDArray[Any],
    member: npt.NDArray[np.bool_],
    cluster: npt.NDArray[np.int64] | None,
) -> Rate:
    if fpr * curve.negatives < FEWEST_FALSE_POSITIVES:
        return Rate(fpr, None, None, None)
    tpr, threshold = curve.tpr_at(fpr)
    called = scores >= threshold
    hits = int((called & member).sum())
    # TPR at a fixed FPR moves with what members do at the threshold, and with where non-members put the threshold: one
    # false alarm more lifts it, and the TPR drops by the slope of the ROC there.
    alarms = float((called & ~member).sum() / curve.negatives)
    of_cells = np.where(
        member, (called - tpr) / curve.positives, -curve.slope_at(fpr) * (called - alarms) / curve.negatives
    )
    if cluster is None:
        variance, degrees = float(np.sum(of_cells**2)), min(curve.positives, curve.negatives) - 1
    else:
        groups = int(cluster.max()) + 1
        if groups < FEWEST_PAIRS:
            return Rate(fpr, tpr, None, hits)
        sums = np.bincount(cluster, weights=of_cells, minlength=groups)
        variance, degrees = groups / (groups - 1) * float(np.sum(sums**2)), groups - 1
    bounds = [clopper_pearson(hits, curve.positives)]
    if (clustered := logit_interval(tpr, float(np.sqrt(variance)), degrees)) is not None:
        bounds.append(clustered)
    # Few hits tell little of their own spread: the interval is never narrower than that of independent cells.
    bounded = (min(low for low, _ in bounds), max(high for _, high in bounds))
    return Rate(fpr, tpr, bounded, hits, () if cluster is None else tuple(map(float, sums)))
