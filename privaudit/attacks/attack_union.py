"""A union over attacks with its honest false alarm rate: a cell is named if any of the attacks would name it.

Each attack's score becomes the share of cells without membership that it would name as well (its own false alarm rate
at that threshold), and the union's score is the smallest of these. So all attacks work at one rate each, and the ROC of
the smallest is that of the union: its false alarms are those that any of them raises. Ten attacks at 1% each raise up
to 10%; that is told beside it, and never taken for 1%.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.results.measures import AttackUnion, UnionRate
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.performance import REPORTED_RATES
from privaudit.statistics.roc import auc, roc


class Union:
    """Attacks that are joined one by one, so that no more than one score a cell is kept.

    Parameters
    ----------
    member
        bool ``[n]``: whether the model of each cell saw its sample.
    """

    def __init__(self, member: npt.NDArray[np.bool_]) -> None:
        self._member = member
        self._smallest: FloatArray = np.ones(len(member))
        self._attacks: list[str] = []

    def add(self, name: str, scores: npt.NDArray[Any]) -> None:
        """Join an attack's scores ``[n]``, higher where it says member."""
        np.minimum(self._smallest, own_rates(scores, self._member), out=self._smallest)
        self._attacks.append(name)

    def result(self) -> AttackUnion | None:
        """Return the union's AUC, and TPR at each reported FPR that is resolved; None of fewer than two attacks."""
        if len(self._attacks) < 2:
            return None
        member, curve = self._member, roc(-self._smallest, self._member)
        rates: dict[str, UnionRate | None] = {}
        for rate in REPORTED_RATES:
            if rate < curve.smallest_rate():
                rates[f"{rate:g}"] = None
                continue
            tpr, threshold = curve.tpr_at(rate)
            any_alone = self._smallest <= rate
            rates[f"{rate:g}"] = UnionRate(
                tpr=tpr,
                fpr=float((-self._smallest[~member] >= threshold).mean()),
                fpr_of_each=0.0 if np.isinf(threshold) else float(-threshold),
                fpr_if_each_had_it=float(any_alone[~member].mean()),
                tpr_if_each_had_it=float(any_alone[member].mean()),
            )
        return AttackUnion(attacks=tuple(self._attacks), auc=auc(-self._smallest, member), at_fpr=rates)


def own_rates(scores: npt.NDArray[Any], member: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the share of non-member cells whose score is at least each cell's, ``[n]``: an attack's FPR there."""
    others = np.sort(scores[~member])
    rates: FloatArray = (len(others) - np.searchsorted(others, scores, side="left")) / len(others)
    return rates
