"""What the shadow models say of each sample: success of the attack, separation, memorisation, shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.attacks.gaussian_separation import bayes_accuracy, d_prime
from privaudit.statistics.gaussian import moments_of, pooled_variance, shrunk_variance, variance_floor
from privaudit.statistics.intervals import FloatArray


def attack_success(ratio: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """ASR of every sample (eq. 1 of the paper): the share of models in which the verdict is right, ``[N]``."""
    rate: FloatArray = np.nanmean(lira.verdict_is_right(ratio, keep), axis=0)
    return rate


def evidence(ratio: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean ratio, its sign turned so that it is positive where it points the right way: ranks within equal ASR."""
    mean: FloatArray = np.nanmean(np.where(keep, ratio, -ratio), axis=0)
    return mean


def gap(scores: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean score where IN minus mean score where OUT, ``[N]``; NaN cells take no part.

    0 on average where there is nothing to tell. (An AUC over the models of one sample would not read ½ then: each
    target is left out of the fit that it is scored by, so within a sample the scores lean against their own side.)
    """
    difference: FloatArray = np.nanmean(np.where(keep, scores, np.nan), axis=0) - np.nanmean(
        np.where(keep, np.nan, scores), axis=0
    )
    return difference


def intrinsic_shift(margin: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean IN minus mean OUT of a statistic ``[S, N]``: how much a model's view of a sample owes to having seen it."""
    inside = np.where(keep, margin, 0.0).sum(axis=0) / keep.sum(axis=0)
    outside = np.where(keep, 0.0, margin).sum(axis=0) / (~keep).sum(axis=0)
    shift: FloatArray = (inside - outside).astype(np.float64)
    return shift


def memorisation(margin: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Share of IN models that are right minus that of OUT models (Feldman and Zhang 2020), −1 … 1, ``[N]``."""
    return intrinsic_shift((margin > 0).astype(np.float64), keep)


@dataclass(frozen=True)
class Separation:
    """How far the IN models' statistic lies from the OUT models', ``[N]`` each."""

    accuracy: FloatArray
    d_prime: FloatArray


def separation(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> Separation:
    """Fit a Gaussian to either side of every sample ``[S, N]``, with shrunk variance, and tell how well they part.

    A continuous companion of the ASR. Means of few models differ by chance, so at small S it reads above ½ (and d′ away
    from 0) where there is nothing to tell.
    """
    values = np.asarray(statistic, np.float64)
    floor = variance_floor(values)
    fits = []
    for side in (keep, ~keep):
        moments = moments_of(values, side)
        pooled = pooled_variance(moments)
        fits += [moments.mean, shrunk_variance(moments, pooled, floor)]
    return Separation(bayes_accuracy(*fits), d_prime(*fits))
