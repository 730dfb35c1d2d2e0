"""The most exposed, picked by one half of the shadow models and judged by the other.

Who leads a ranking leads it partly by luck: judged by the models that picked them, the top hundred look more exposed
than they are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.results.audit.score_results import MostExposed
from privaudit.scoring.reliability.split_halves import Half
from privaudit.statistics.group_accuracy import Shares, right_shares
from privaudit.statistics.intervals import logit_interval
from privaudit.statistics.jackknife import Refits

#: How many are picked: this many, or a tenth of the samples where those are fewer.
MOST_PICKED = 100


def picked_and_judged(halves: tuple[Half, Half]) -> MostExposed:
    """Pick with either half of the pairs, judge with the other.

    Parameters
    ----------
    halves
        Both halves of the shadow models, each attacked on its own.

    Returns
    -------
    MostExposed
        ``by_others`` is the mean of both ways to assign the halves, with an interval from 16 models on; ``by_pickers``
        is biased upward.
    """
    samples = len(halves[0].asr)
    count = max(1, min(MOST_PICKED, samples // 10))
    own, others = [], []
    for picking, judging in (halves, halves[::-1]):
        chosen = np.argsort(-picking.ranking())[:count]
        own.append(float(picking.asr[chosen].mean()))
        others.append(_judge(judging, chosen))
    share = float(np.mean([judged.share for judged in others]))
    # Given who was picked, the two halves of the models judge independently.
    error = float(np.sqrt(np.sum([judged.error**2 for judged in others]))) / 2
    degrees = sum(judged.degrees for judged in others)
    interval = logit_interval(share, error, degrees) if np.isfinite(error) else None
    return MostExposed(count=count, by_pickers=float(np.mean(own)), by_others=share, ci=interval)


def _judge(half: Half, chosen: npt.NDArray[np.int64]) -> Shares:
    keep = half.keep
    refits = Refits(len(keep), lambda left: lira.online(half.statistic[left], keep[left])[:, chosen])
    models = np.arange(len(keep)) // 2
    return right_shares(half.ratio[:, chosen], keep[:, chosen], np.zeros(len(chosen), np.int64), models, refits)
