"""ROC curves with ties grouped, AUC, and balanced accuracy at a threshold that others chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.statistics.intervals import FloatArray

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
        """Slope of the curve at this FPR: the rise of TPR between half the rate and twice the rate."""
        return (self.tpr_at(2 * rate)[0] - self.tpr_at(rate / 2)[0]) / (1.5 * rate)

    def width_at(self, rate: float) -> float:
        """Half the distance between the thresholds of half this FPR and of twice; 0 where there is none to speak of."""
        width = (self.tpr_at(rate / 2)[1] - self.tpr_at(2 * rate)[1]) / 2
        return width if np.isfinite(width) else 0.0

    def best_threshold(self) -> float:
        """The threshold of the largest TPR − FPR; infinite (nobody is called a member) where none is above 0."""
        gain = self.true_positives / self.positives - self.false_positives / self.negatives
        best = int(np.argmax(gain))
        return float(self.thresholds[best]) if gain[best] > 0 else np.inf

    def smallest_rate(self) -> float:
        """The smallest FPR at which this curve is evidence: `FEWEST_FALSE_POSITIVES` over the negatives."""
        return min(1.0, FEWEST_FALSE_POSITIVES / self.negatives)

    def shares_below(self, points: int = 4096) -> tuple[FloatArray, FloatArray, FloatArray]:
        """At some rising scores, the share of members and of others below each, equal ones counting half."""
        chosen = np.unique(np.linspace(0, len(self.thresholds) - 1, points).astype(np.int64))
        above = []
        for counts, total in ((self.true_positives, self.positives), (self.false_positives, self.negatives)):
            before = np.concatenate([[0], counts[:-1]])
            above.append((counts + before)[chosen] / (2 * total))
        of_members, of_others = (1 - share[::-1] for share in above)
        return self.thresholds[chosen][::-1], of_members, of_others

    def sketch(self, points: int = 200) -> dict[str, list[float]]:
        """At most ``points`` of the curve, evenly spaced in log FPR, for drawing."""
        fpr, tpr = self.false_positives / self.negatives, self.true_positives / self.positives
        grid = np.geomspace(1 / self.negatives, 1.0, points)
        index = np.unique(np.searchsorted(fpr, grid, side="right") - 1)
        index = index[index >= 0]
        return {"fpr": [float(v) for v in fpr[index]], "tpr": [float(v) for v in tpr[index]]}


def roc(scores: npt.NDArray[Any], member: npt.NDArray[np.bool_]) -> Roc:
    """The ROC of flat ``scores`` (higher means member); equal scores are one threshold, never two."""
    order = falling(scores)
    return roc_of_falling(scores[order], member[order])


def falling(scores: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the order of flat scores from the highest on; in which order equal ones come tells nothing."""
    order = np.argsort(-scores)
    if len(order) and np.isnan(scores[order[-1]]):
        return np.argsort(-scores, kind="stable")
    return order


def roc_of_falling(scores: npt.NDArray[Any], member: npt.NDArray[np.bool_]) -> Roc:
    """The ROC of flat scores that fall already: see `roc`."""
    last_of_tie = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true_positives = np.cumsum(member)[last_of_tie]
    return Roc(
        thresholds=scores[last_of_tie].astype(np.float64),
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


def balanced_accuracy(
    scores: npt.NDArray[Any], member: npt.NDArray[np.bool_], fold: npt.NDArray[np.integer[Any]]
) -> float | None:
    """½(TPR + 1 − FPR), each half of the cells judged by the best threshold of the other.

    The best of all thresholds on the same cells would read above ½ on noise: choosing is fitting.

    Parameters
    ----------
    scores, member
        Flat; higher scores mean member.
    fold
        Which half each cell belongs to (even or odd); cells that depend on each other share one.

    Returns
    -------
    float or None
        Mean of both halves; None where a half lacks members or others.
    """
    order = falling(scores)
    return balanced_accuracy_of_falling(scores[order], member[order], fold[order])


def balanced_accuracy_of_falling(
    scores: npt.NDArray[Any], member: npt.NDArray[np.bool_], fold: npt.NDArray[np.integer[Any]]
) -> float | None:
    """`balanced_accuracy` of scores that fall already."""
    halves = [fold % 2 == 0, fold % 2 == 1]
    if any(member[half].all() or not member[half].any() for half in halves):
        return None
    found = []
    for choosing, judging in (halves, halves[::-1]):
        called = scores[judging] >= roc_of_falling(scores[choosing], member[choosing]).best_threshold()
        truth = member[judging]
        found.append((called[truth].mean() + 1 - called[~truth].mean()) / 2)
    return float(np.mean(found))
