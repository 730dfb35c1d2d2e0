"""How sure a sample's risk is: which expected risks would not make what was read a surprise.

Near one half the variance of the share of right verdicts is 1.5 to 1.9 times the binomial's, so that Wilson's interval
holds the truth in 81 to 89% of audits (docs/methods.md). Here the interval is read off simulated audits
(`privaudit.scoring.reliability.simulated_audits`): it holds those expected risks under which a share at least as far
out as the one that was read comes up in 1.75% of audits or more on either side (Neyman 1937; the share itself counts
half, Lancaster 1961). Shares of few models come in steps, so that coverage goes up and down with the true risk: 1.75%
rather than 2.5% keep it at 94% where it is least.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from privaudit.scoring.reliability.simulated_audits import redrawn, steps_of
from privaudit.statistics.intervals import FloatArray

#: What is cut off on either side.
TAIL = 0.0175


@dataclass(frozen=True)
class RiskTable:
    """The interval of every share of right verdicts that S models can give, ``[S + 1]`` each."""

    share: FloatArray
    low: FloatArray
    high: FloatArray


def risk_interval(asr: FloatArray, models: npt.NDArray[np.int64], correlation: float) -> tuple[FloatArray, FloatArray]:
    """Return the 95% interval of each sample's expected ASR, over audits whose models are drawn anew.

    Parameters
    ----------
    asr
        ``[N]``: shares of right verdicts, in [0, 1].
    models
        ``[N]``: how many verdicts each is the mean of, at least 4.
    correlation
        Of a pair's two models, given their membership: see
        `privaudit.scoring.reliability.simulated_audits.pair_correlation`.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bounds in [0, 1]; ``asr`` lies between them.
    """
    low, high = np.empty(len(asr)), np.empty(len(asr))
    for count in np.unique(models):
        chosen = models == count
        table = risk_table(int(count) // 2 * 2, steps_of(correlation))
        low[chosen] = np.interp(asr[chosen], table.share, table.low)
        high[chosen] = np.interp(asr[chosen], table.share, table.high)
    return np.minimum(low, asr), np.maximum(high, asr)


@lru_cache(maxsize=256)
def risk_table(models: int, steps: int) -> RiskTable:
    """Return the interval of every share that an even number of models can give.

    ``steps`` is the correlation of a pair: see `privaudit.scoring.reliability.simulated_audits.steps_of`.
    """
    asr = redrawn(models, steps).asr
    expected = np.append(np.maximum.accumulate(np.maximum(asr.mean(axis=1), 0.5)), 1.0)
    expected[0] = 0.5
    right = np.rint(asr * models).astype(np.int64)
    chance = np.stack([np.bincount(row, minlength=models + 1) / asr.shape[1] for row in right])
    chance = np.vstack([chance, np.arange(models + 1) == models])
    chance[0] = (chance[0] + chance[0, ::-1]) / 2
    # Below one half, where nothing but noise leads: the mirror image.
    expected = np.concatenate([1 - expected[:0:-1], expected])
    chance = np.vstack([chance[:0:-1, ::-1], chance])
    at_least = np.cumsum(chance[:, ::-1], axis=1)[:, ::-1] - chance / 2
    at_most = np.cumsum(chance, axis=1) - chance / 2
    low, high = np.zeros(models + 1), np.ones(models + 1)
    for count in range(models + 1):
        rising, falling = np.maximum.accumulate(at_least[:, count]), np.minimum.accumulate(at_most[:, count])
        if rising[0] < TAIL:
            low[count] = np.interp(TAIL, rising, expected)
        if falling[-1] < TAIL:
            high[count] = np.interp(-TAIL, -falling, expected)
    return RiskTable(np.arange(models + 1) / models, np.maximum.accumulate(low), np.maximum.accumulate(high))
