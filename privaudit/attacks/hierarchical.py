"""Hierarchical LiRA: samples lend each other what a few shadow models can't tell of one alone.

LiRA estimates four numbers for every sample (two means, two variances) from the few models on either side. Most of its
error with few models is the error of these estimates. But samples resemble each other: how well a sample is known by
models that never saw it says much of how well it would be known by models that did. So each mean is drawn toward what
samples like it have (empirical Bayes), by as much as it is uncertain itself, and the spread toward that of samples like
it. What is uncertain still is integrated out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.statistics.gaussian import SHRINKAGE, variance_floor
from privaudit.statistics.intervals import FloatArray

#: Samples alike are told apart by at most this many bins, each of at least so many samples.
MOST_BINS = 20
FEWEST_IN_BIN = 50


def hierarchical(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Log-likelihood ratio of IN against OUT under a hierarchical model, each model in turn being the target.

    For each pair of targets, with the n other models a side: m_in and m_out are a sample's means, v_in and v_out its
    variances, shrunk toward the pooled variance of samples of like m_out. The prior of μ_in is N(f(m_out), τ²), where f
    is the mean of m_in over samples of like m_out (piecewise linear through equally filled bins) and τ² what is left of
    the spread around f after the sampling error v_in/n. Its posterior has the mean w m_in + (1 − w) f with
    w = τ²/(τ² + v_in/n) and the variance w v_in/n. μ_out likewise, given m_in. The predictive density is Student's t
    with ν = n − 1 + 8 degrees, scale² = v + posterior variance.

    Parameters
    ----------
    statistic
        ``[S, N]`` or, with augmented queries, ``[S, N, Q]`` (the ratio is averaged over queries).
    keep
        bool ``[S, N]``: whether model s was trained on sample i; complementary pairs.

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]``. With 4 models, one a side is left, and it is what `lira.online` makes of that.

    Raises
    ------
    EvidenceError
        Where fewer than 4 models are given.
    """
    models = len(statistic)
    if models <= lira.FEWEST_MODELS:
        return np.asarray(lira.online(statistic, keep), np.float64)
    queries = statistic[..., np.newaxis] if statistic.ndim == 2 else statistic
    mean = np.zeros(keep.shape)
    for query in range(queries.shape[2]):
        _add_scores(queries[:, :, query], keep, 1 / queries.shape[2], mean)
    return mean


@dataclass(frozen=True)
class _Side:
    """One side of every sample: mean and sum of squared deviations ``[N]`` of its models, and how many they are."""

    mean: FloatArray
    squares: FloatArray
    models: int

    def without(self, value: FloatArray) -> _Side:
        """The same less one model: see `privaudit.statistics.leave_pair_out`."""
        away = value - self.mean
        left = self.models - 1
        squares = self.squares - away**2 * (self.models / left)
        return _Side(self.mean - away / left, np.maximum(squares, 0.0), left)


def _add_scores(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_], share: float, out: FloatArray) -> None:
    pairs = len(values) // 2

    def of_pair(pair: int) -> tuple[FloatArray, FloatArray]:
        first, even, odd = keep[2 * pair], values[2 * pair], values[2 * pair + 1]
        return np.where(first, even, odd).astype(np.float64), np.where(first, odd, even).astype(np.float64)

    # Pair by pair: whatever the number of models, a few numbers a sample are held.
    sums = np.zeros((2, values.shape[1]))
    for pair in range(pairs):
        sums += of_pair(pair)
    centre = sums / pairs
    squares = np.zeros_like(sums)
    for pair in range(pairs):
        squares += (np.stack(of_pair(pair)) - centre) ** 2
    everyone = [_Side(mean, square, pairs) for mean, square in zip(centre, squares, strict=True)]
    floor = variance_floor(values)
    for pair in range(pairs):
        inside, outside = of_pair(pair)
        of_in, of_out = _predictive(everyone[0].without(inside), everyone[1].without(outside), floor)
        first = keep[2 * pair]
        if_in, if_out = (share * (of_in.log_density(x) - of_out.log_density(x)) for x in (inside, outside))
        out[2 * pair] += np.where(first, if_in, if_out)
        out[2 * pair + 1] += np.where(first, if_out, if_in)


@dataclass(frozen=True)
class _StudentT:
    """A predictive density for every sample, ``[N]`` each."""

    centre: FloatArray
    scale_squared: FloatArray
    freedom: float

    def log_density(self, x: FloatArray) -> FloatArray:
        """Up to a constant that both sides share."""
        distance = (x - self.centre) ** 2 / (self.freedom * self.scale_squared)
        density: FloatArray = -0.5 * np.log(self.scale_squared) - (self.freedom + 1) / 2 * np.log1p(distance)
        return density


def _predictive(inside: _Side, outside: _Side, floor: FloatArray) -> tuple[_StudentT, _StudentT]:
    """What another model would say of each sample, had it seen it and had it not."""
    like_out, like_in = _Bins.by(outside.mean), _Bins.by(inside.mean)
    degrees = inside.models - 1
    found = []
    for own, other, like in ((inside, outside, like_out), (outside, inside, like_in)):
        pooled = like_out.mean_of(own.squares)[like_out.bin] / degrees
        variance = np.maximum((own.squares + SHRINKAGE * pooled) / (degrees + SHRINKAGE), floor)
        of_mean = variance / own.models
        expected = like.smooth(own.mean, other.mean)
        spread = like.mean_of((own.mean - expected) ** 2) - like.mean_of(of_mean)
        trust = np.maximum(spread, 0.0)[like.bin]
        weight = trust / (trust + of_mean)
        centre = expected + weight * (own.mean - expected)
        found.append(_StudentT(centre, variance + weight * of_mean, degrees + SHRINKAGE))
    return found[0], found[1]


@dataclass(frozen=True)
class _Bins:
    """Samples in equally filled bins of some value."""

    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    bin: npt.NDArray[np.int64]

    @classmethod
    def by(cls, value: FloatArray) -> _Bins:
        """Sort the samples into bins."""
        samples = len(value)
        bins = int(np.clip(samples // FEWEST_IN_BIN, 1, MOST_BINS))
        order = np.argsort(value, kind="stable")
        edges = np.linspace(0, samples, bins + 1).astype(np.int64)
        place = np.empty(samples, np.int64)
        place[order] = np.repeat(np.arange(bins), np.diff(edges))
        return cls(order, edges[:-1], np.diff(edges), place)

    def mean_of(self, what: FloatArray) -> FloatArray:
        """Mean of each bin."""
        mean: FloatArray = np.add.reduceat(what[self.order], self.starts) / self.sizes
        return mean

    def smooth(self, what: FloatArray, at: FloatArray) -> FloatArray:
        """Piecewise linear through the bins' means, for every sample by the value that the bins were made by."""
        return np.interp(at, self.mean_of(at), self.mean_of(what)).astype(np.float64)
