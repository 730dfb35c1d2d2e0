"""A union over attacks with its honest false alarm rate: a cell is named if any of the attacks would name it.

Each attack's score becomes the share of cells without membership that it would name as well (its own false alarm rate
at that threshold), and the union's score is the smallest of these. So all attacks work at one rate each, and the ROC of
the smallest is that of the union: its false alarms are those that any of them raises. Ten attacks at 1% each raise up
to 10%; that is told beside it, and never taken for 1%.

Intervals are the jackknife's over pairs of models: all attacks run again without each group of pairs, and their union
with them.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.results.measures import AttackUnion, UnionRate
from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, Interval, clopper_pearson, share_interval
from privaudit.statistics.jackknife import jackknife_error
from privaudit.statistics.performance import REPORTED_RATES, Evaluation, sides_of
from privaudit.statistics.roc import auc, roc

#: The largest share of non-members that any rate reported here asks for.
JOINED = max(REPORTED_RATES)


class Union:
    """Attacks that are joined one by one, so that no more than one score a cell is kept; in any order, by any thread.

    Parameters
    ----------
    member
        bool ``[n]``: whether the model of each cell saw its sample.
    clusters
        ``[n]``: which pair of models each cell belongs to; None where each cell stands for itself.
    """

    def __init__(self, member: npt.NDArray[np.bool_], clusters: npt.NDArray[np.int64] | None = None) -> None:
        self._member = member
        self._clusters = clusters
        self._smallest: FloatArray = np.ones(len(member))
        self._attacks: list[str] = []
        self._lock = Lock()
        self._without: dict[int, tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]] = {}

    def add(self, name: str, scores: npt.NDArray[Any]) -> None:
        """Join an attack's scores ``[n]``, higher where it says member."""
        self.add_rates(name, own_rates(scores, self._member))

    def add_rates(self, name: str, rates: FloatArray) -> None:
        """Join an attack by its false alarm rates ``[n]``: see `own_rates`."""
        np.minimum(self._smallest, rates, out=self._smallest)
        self._attacks.append(name)

    def leave_out(
        self,
        group: int,
        scores: npt.NDArray[Any],
        member: npt.NDArray[np.bool_],
        rising: npt.NDArray[Any] | None = None,
    ) -> None:
        """Join an attack's scores where this group of models was never there, any shape, equal for every attack.

        ``rising`` are those without membership, where somebody has sorted them already.
        """
        flat, sides = np.ravel(scores), np.ravel(member)
        # Only rates that are reported are asked for, so only the cells that are named at the largest.
        others = sides_of(scores, member)[1] if rising is None else rising
        count = min(len(others), int(np.ceil(JOINED * len(others))) + 1)
        if rising is None:
            others = np.partition(others, len(others) - count)
        top = np.sort(others[len(others) - count :])
        named = np.flatnonzero(flat >= top[0])
        rates = (count - np.searchsorted(top, flat[named], side="left")) / len(others)
        with self._lock:
            if group not in self._without:
                self._without[group] = np.ones(len(flat), np.float32), sides
            smallest, _ = self._without[group]
            smallest[named] = np.minimum(smallest[named], rates.astype(np.float32))

    def result(self) -> AttackUnion | None:
        """Return the union's AUC, and TPR at each reported FPR that is resolved; None of fewer than two attacks."""
        if len(self._attacks) < 2:
            return None
        member, curve = self._member, roc(-self._smallest, self._member)
        evaluation = Evaluation(-self._smallest, member, self._clusters)
        for _, (smallest, sides) in sorted(self._without.items()):
            evaluation.leave_out(-smallest, sides)
        bounds = evaluation.performance().tpr_ci
        rates: dict[str, UnionRate | None] = {}
        for rate in REPORTED_RATES:
            if rate < curve.smallest_rate():
                rates[f"{rate:g}"] = None
                continue
            tpr, threshold = curve.tpr_at(rate)
            any_alone = self._smallest <= rate
            of_members, of_others = (self._share_interval(rate, of_members=side) for side in (True, False))
            rates[f"{rate:g}"] = UnionRate(
                tpr=tpr,
                fpr=float((-self._smallest[~member] >= threshold).mean()),
                fpr_of_each=0.0 if np.isinf(threshold) else float(-threshold),
                fpr_if_each_had_it=float(any_alone[~member].mean()),
                tpr_if_each_had_it=float(any_alone[member].mean()),
                tpr_ci=bounds[f"{rate:g}"],
                tpr_if_each_had_it_ci=of_members,
                fpr_if_each_had_it_ci=of_others,
            )
        return AttackUnion(attacks=tuple(self._attacks), auc=auc(-self._smallest, member), at_fpr=rates)

    def _share_interval(self, rate: float, *, of_members: bool) -> Interval | None:
        """Interval of the share of one side that any attack names at this rate of its own; None below 4 clusters."""
        side = self._member if of_members else ~self._member
        named = (self._smallest <= rate) & side
        if self._clusters is None:
            return clopper_pearson(int(named.sum()), int(side.sum()))
        cluster = np.unique(self._clusters, return_inverse=True)[1]
        count = int(cluster.max()) + 1
        if count < FEWEST_PAIRS:
            return None
        hits, cells = (np.bincount(cluster[part], minlength=count) for part in (named, side))
        error, degrees = float((hits / np.maximum(cells, 1)).std(ddof=1) / np.sqrt(count)), count - 1
        if self._without:
            left = [self._without[group] for group in sorted(self._without)]
            shares = [float((smallest <= rate)[sides == of_members].mean()) for smallest, sides in left]
            error, degrees = max(error, float(jackknife_error(shares))), len(shares) - 1
        return share_interval(int(hits.sum()), int(cells.sum()), error, degrees)


def own_rates(scores: npt.NDArray[Any], member: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the share of non-member cells whose score is at least each cell's, ``[n]``: an attack's FPR there."""
    others = np.sort(scores[~member])
    rates: FloatArray = (len(others) - np.searchsorted(others, scores, side="left")) / len(others)
    return rates
