"""The most exposed, picked by one half of the shadow models and judged by the other.

Who leads a ranking leads it partly by luck: judged by the models that picked them, the top hundred look more exposed
than they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.scoring.groups import share_intervals
from privaudit.scoring.risk import attack_success
from privaudit.scoring.stability import halves_of, ranking
from privaudit.statistics.intervals import Interval

#: How many are picked: this many, or a tenth of the samples where those are fewer.
MOST_PICKED = 100


@dataclass(frozen=True)
class Picked:
    """Mean ASR of the most exposed.

    Parameters
    ----------
    count
        How many were picked.
    by_pickers
        Their mean ASR under the models that picked them: biased upward.
    by_others
        Under the other half of the models; the mean of both ways to assign the halves.
    interval
        Of the latter, 95% over pairs of models.
    """

    count: int
    by_pickers: float
    by_others: float
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        return {
            "count": self.count,
            "by_pickers": self.by_pickers,
            "by_others": self.by_others,
            "ci": None if self.interval is None else list(self.interval),
        }


def picked_and_judged(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> Picked | None:
    """Pick with either half of the pairs, judge with the other.

    Parameters
    ----------
    statistic
        ``[S, N]`` or ``[S, N, Q]``.
    keep
        bool ``[S, N]``, complementary pairs.

    Returns
    -------
    Picked or None
        None below 8 shadow models.
    """
    halves = halves_of(len(keep))
    if halves is None:
        return None
    count = max(1, min(MOST_PICKED, keep.shape[1] // 10))
    ratios = [lira.online(statistic[half], keep[half]) for half in halves]
    verdicts = np.empty((len(keep), count))
    own = []
    for picking, judging in ((0, 1), (1, 0)):
        place = ranking(ratios[picking], keep[halves[picking]])
        chosen = np.argsort(-place)[:count]
        own.append(float(attack_success(ratios[picking], keep[halves[picking]])[chosen].mean()))
        right = lira.verdict_is_right(ratios[judging], keep[halves[judging]])
        verdicts[halves[judging]] = right[:, chosen]
    (interval,) = share_intervals(verdicts, np.zeros(count, np.int64), 1, np.arange(len(keep)) // 2)
    return Picked(count, float(np.mean(own)), float(verdicts.mean()), interval)
