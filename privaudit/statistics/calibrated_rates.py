"""TPR at a false alarm rate that holds for every sample by itself, by what models say that never saw it.

A pooled threshold lets some samples raise most of the false alarms. Here each sample has a threshold of its own. The
statistic x of a target is held against the models that never saw the sample, without the target and its complement:
n = S/2 − 1 of them, whichever of the two is the target. With their mean m and standard deviation s,

    t = (x − m) / (s √(1 + 1/n))

has Student's distribution with n − 1 degrees where all of them are draws of one Gaussian (the prediction interval of a
new observation), so that t > t₁₋ₐ(n − 1) is a false alarm with probability a for each sample, however few the models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.results.measures import CalibratedRate
from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, share_interval
from privaudit.statistics.jackknife import groups_left, jackknife_error
from privaudit.statistics.leave_pair_out import paired_moments, unpaired
from privaudit.statistics.performance import REPORTED_RATES
from privaudit.statistics.roc import FEWEST_FALSE_POSITIVES

#: Beyond this share of a quantile on either side of it, no rounding of the tail's probability reaches the rate.
NEAR = 1e-6

#: Below this many models no sample has a spread of its own: one is left on either side.
FEWEST_MODELS = 6


def prediction_p_values(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Return how unlikely each statistic is under models that never saw the sample: uniform where it was not seen.

    Parameters
    ----------
    statistic
        ``[S, N]``, higher where a model saw the sample; S ≥ 6.
    keep
        bool ``[S, N]``: whether model s saw sample i; complementary pairs.

    Returns
    -------
    numpy.ndarray
        ``[S, N]`` in [0, 1]: one-sided, by Student's t with S/2 − 2 degrees. Where the others do not vary: 0 above
        them, 1 below, ½ where it is equal.
    """
    p: FloatArray = stats.t.sf(_standardised(statistic, keep), len(statistic) // 2 - 2)
    return p


def _standardised(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Each statistic's distance from the models that never saw the sample, in their spreads: t, ``[S, N]``."""
    t = np.zeros(statistic.shape)
    for block, x, _, outside in paired_moments(np.asarray(statistic, np.float64), keep):
        n = outside.count
        scale = np.sqrt(outside.squares / (n - 1) * (1 + 1 / n))
        away = x - outside.mean
        with np.errstate(divide="ignore", invalid="ignore"):
            standardised = np.where(away == 0, 0.0, away / scale)
        unpaired(standardised, keep[:, block], t[:, block])
    return t


def _named(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.bool_]]:
    """Which cells have a `prediction_p_values` of at most each reported rate, ``[S, N]`` each.

    Far from a rate's quantile a comparison tells; the tail itself is asked of the few cells that are near.
    """
    t, degrees = _standardised(statistic, keep), len(statistic) // 2 - 2
    named = []
    for rate in REPORTED_RATES:
        quantile = float(stats.t.isf(rate, degrees))
        above = t > quantile * (1 + NEAR)
        near = np.flatnonzero((t.ravel() >= quantile * (1 - NEAR)) & ~above.ravel())
        above.ravel()[near] = stats.t.sf(t.ravel()[near], degrees) <= rate
        named.append(above)
    return named


def calibrated_rates(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> dict[str, CalibratedRate]:
    """Measure TPR and FPR at thresholds that are each sample's own, by nominal FPR (``"0.01"``).

    Parameters
    ----------
    statistic, keep
        As for `prediction_p_values`.

    Returns
    -------
    dict
        Without rates that would allow fewer than `FEWEST_FALSE_POSITIVES` alarms, and empty below `FEWEST_MODELS`
        models. ``fpr`` is what was observed where the sample was not seen: where it differs
        from the nominal rate, the statistic is no Gaussian. Intervals are those of the jackknife over pairs, on the
        logit scale, of none or all Clopper and Pearson's; none below 4 pairs.
    """
    if len(statistic) < FEWEST_MODELS:
        return {}
    named = _named(statistic, keep)
    shares = _shares(named, keep)
    refits = [
        _shares(_named(statistic[left], keep[left]), keep[left])
        for left in groups_left(len(keep))
        if left.sum() >= FEWEST_MODELS
    ]
    degrees = len(refits) - 1
    bounded = len(refits) >= FEWEST_PAIRS
    errors = (
        np.maximum(jackknife_error(refits), _clustered(named, keep))
        if bounded
        else np.full((2, len(shares[0])), np.inf)
    )
    bounds = [
        [
            share_interval(round(float(share) * trials), trials, float(error), degrees)
            for share, error in zip(*row, strict=True)
        ]
        for trials, *row in zip((int(keep.sum()), int((~keep).sum())), shares, errors, strict=True)
    ]
    return {
        f"{rate:g}": CalibratedRate(
            tpr=float(shares[0, place]),
            tpr_ci=bounds[0][place],
            fpr=float(shares[1, place]),
            fpr_ci=bounds[1][place],
        )
        for place, rate in enumerate(REPORTED_RATES)
        if rate * (~keep).sum() >= FEWEST_FALSE_POSITIVES
    }


def _shares(named: list[npt.NDArray[np.bool_]], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Shares of members and of others that are named at each reported rate, ``[2, R]``."""
    sides = (keep, ~keep)
    return np.array([[np.count_nonzero(one & side) / np.count_nonzero(side) for one in named] for side in sides])


def _clustered(named: list[npt.NDArray[np.bool_]], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Standard errors of the same were pairs independent, ``[2, R]``."""
    pairs = [slice(first, first + 2) for first in range(0, len(keep), 2)]
    shares = np.array([_shares([one[pair] for one in named], keep[pair]) for pair in pairs])
    error: FloatArray = shares.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    return error
