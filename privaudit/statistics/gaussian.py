"""IN and OUT Gaussians of every sample, for every target model of the rotation at once, in closed form.

Taking each shadow model in turn as the target means fitting without it. Dropping it alone would leave one model
fewer on the side that it was on, which tells its membership: on pure noise the AUC then reads below ½. So the target
*and one model of the other side* (its complement) are dropped, and both sides stay equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from privaudit.statistics.intervals import FloatArray

#: What a group's spread is taken to be; see `log_density`.
Variance = Literal["shrunk", "per-sample", "global", "bayes"]

#: How many observations the pooled variance counts for when it is mixed into a sample's own.
SHRINKAGE = 8.0

#: Statistics are stored as float32: deviations below this share of their size are rounding.
RESOLUTION = 1e-6

#: Where variances are pooled, one sample's counts for at most so many times what 95% of them stay below: what a single
#: sample's models say may be off by orders of magnitude, and a plain mean would hand that to all the others.
POOLED_QUANTILE = 0.95
MOST_OF_QUANTILE = 10.0

#: That bound is taken from at most so many samples, evenly spaced.
SAMPLES_OF_BOUND = 4_096

#: Cells (model × sample) handled at once, so that the temporary arrays stay in cache.
BLOCK = 131_072


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of a group of models, per cell."""

    count: FloatArray
    mean: FloatArray
    squares: FloatArray

    def without(self, value: FloatArray) -> Moments:
        """The same group less one observation: n′ = n − 1, μ′ = (nμ − x)/n′, M₂′ = M₂ − (x − μ)(x − μ′)."""
        count = self.count - 1
        mean = (self.count * self.mean - value) / np.maximum(count, 1)
        squares = self.squares - (value - self.mean) * (value - mean)
        return Moments(count, mean, np.maximum(squares, 0.0))

    def where(self, condition: npt.NDArray[np.bool_], other: Moments) -> Moments:
        """This group where ``condition`` holds, ``other`` elsewhere."""
        return Moments(
            np.where(condition, self.count, other.count),
            np.where(condition, self.mean, other.mean),
            np.where(condition, self.squares, other.squares),
        )


def moments_of(values: FloatArray, chosen: npt.NDArray[np.bool_]) -> Moments:
    """Moments over the first axis (models) of the chosen cells of ``[S, N]``; each result is ``[N]``."""
    count = chosen.sum(axis=0, dtype=np.float64)
    mean = np.where(chosen, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(chosen, (values - mean) ** 2, 0.0).sum(axis=0)
    return Moments(count, mean, squares)


def rotated_moments(
    values: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    partners: npt.NDArray[np.int64],
    used: npt.NDArray[np.bool_] | None = None,
) -> Iterator[tuple[slice, FloatArray, Moments, Moments]]:
    """Yield, block by block of samples, the moments that each target model is judged by.

    Parameters
    ----------
    values
        The statistic, ``[S, N]``.
    keep
        ``[S, N]``: whether model s saw sample i.
    partners
        ``[S]`` the complement of each model, or ``[S, N]`` a model of the other side for each cell.
    used
        ``[S, N]``: the cells that take part, equally many a side for each sample; None where all do. What is yielded
        for other cells means nothing.

    Yields
    ------
    tuple
        The block's samples (a slice of n), its values ``[S, n]``, and its IN and OUT moments ``[S, n]`` without the
        target and its partner.
    """
    models, samples = values.shape
    width = max(1, BLOCK // models)
    for start in range(0, samples, width):
        block = slice(start, min(start + width, samples))
        x, member = np.asarray(values[:, block], np.float64), keep[:, block]
        dropped = x[partners] if partners.ndim == 1 else np.take_along_axis(x, partners[:, block], axis=0)
        part = np.True_ if used is None else used[:, block]
        inside, outside = moments_of(x, member & part), moments_of(x, ~member & part)
        own, other = inside.where(member, outside), outside.where(member, inside)
        own, other = own.without(x), other.without(dropped)
        yield block, x, own.where(member, other), other.where(member, own)


def pooled_variance(moments: Moments) -> FloatArray:
    """Variance within samples, pooled over samples: Σ M₂ / Σ (n − 1), no sample's above `largest_variance`.

    A plain variance over all cells would also hold the spread *between* samples.
    """
    degrees = np.maximum(moments.count - 1, 0)
    bounded = np.minimum(moments.squares, largest_variance(moments) * degrees)
    return np.asarray(bounded.sum() / np.maximum(degrees.sum(), 1), np.float64)


def largest_variance(moments: Moments) -> float:
    """The most that one sample's variance may count for in a pooled one.

    `MOST_OF_QUANTILE` times the 95th percentile of the samples' variances, of those that vary. Samples of equal spread
    never reach it (with one degree of freedom, 38 σ² is passed once in 10⁹), so it changes nothing where all is well.
    """
    variance = moments.squares / np.maximum(moments.count - 1, 1)
    varying = variance[(moments.count > 1) & (variance > 0)]
    if not len(varying):
        return float(np.finfo(np.float32).max)  # Infinity, but 0 degrees of freedom times it are 0.
    return MOST_OF_QUANTILE * float(np.quantile(varying, POOLED_QUANTILE))


def evenly_spaced(samples: int) -> slice:
    """At most `SAMPLES_OF_BOUND` of so many samples."""
    return slice(None, None, max(1, -(-samples // SAMPLES_OF_BOUND)))


def shrunk_variance(moments: Moments, pooled: FloatArray, floor: FloatArray) -> FloatArray:
    """A sample's variance, shrunk toward the pooled one: (M₂ + 8·pooled)/(n − 1 + 8), at least ``floor``."""
    degrees = np.maximum(moments.count - 1, 0)
    return np.maximum((moments.squares + SHRINKAGE * pooled) / (degrees + SHRINKAGE), floor)


def log_density(
    x: FloatArray, moments: Moments, pooled: FloatArray, floor: FloatArray, variance: Variance = "shrunk"
) -> FloatArray:
    """Log density of ``x`` under a group of models, up to the constant −½ log 2π.

    Parameters
    ----------
    x
        The statistic, ``[S, n]``.
    moments
        Of the group, ``[S, n]``.
    pooled
        Variance within samples, ``[S, 1]``.
    floor
        The smallest variance to believe in, of every sample ``[n]``.
    variance
        - shrunk: a sample's own, mixed with the pooled one (`shrunk_variance`)
        - per-sample: its own alone, M₂/(n − 1) (Carlini et al. 2022, many models); the pooled one where n is 1
        - global: the pooled one alone (Carlini et al. 2022, few models)
        - bayes: unknown mean and variance integrated out. With a flat prior of the mean and an inverse-gamma prior of
          the variance worth `SHRINKAGE` observations of the pooled one, the predictive density is Student's t with
          ν = n − 1 + 8 degrees, scale² = shrunk variance · (1 + 1/n)
    """
    degrees = np.maximum(moments.count - 1, 0)
    distance = (x - moments.mean) ** 2
    if variance == "bayes":
        freedom = degrees + SHRINKAGE
        scale = shrunk_variance(moments, pooled, floor) * (1 + 1 / moments.count)
        density: FloatArray = (
            special.gammaln((freedom + 1) / 2)
            - special.gammaln(freedom / 2)
            - 0.5 * np.log(freedom / 2 * scale)
            - (freedom + 1) / 2 * np.log1p(distance / (freedom * scale))
        )
        return density
    if variance == "shrunk":
        spread = shrunk_variance(moments, pooled, floor)
    elif variance == "per-sample":
        own = moments.squares / np.maximum(degrees, 1)
        spread = np.maximum(own if np.all(degrees > 0) else np.where(degrees > 0, own, pooled), floor)
    else:
        spread = np.maximum(np.broadcast_to(pooled, x.shape), floor)
    normal: FloatArray = -0.5 * (np.log(spread) + distance / spread)
    return normal


def rotated_means(
    values: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    partners: npt.NDArray[np.int64],
    used: npt.NDArray[np.bool_] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """IN and OUT means ``[S, N]`` of positive values, each without the target and its partner; see `rotated_moments`.

    Sums are built up from what is left, never by subtraction: where one model's value is 10¹⁶ times the others', taking
    it out of a sum would leave nothing but rounding.
    """
    x = np.asarray(values, np.float64)
    models = len(x)
    means = []
    part = np.True_ if used is None else used
    for side in (keep & part, ~keep & part):
        chosen, counts = np.where(side, x, 0.0), side.astype(np.float64)
        if partners.ndim == 1 and np.array_equal(partners, np.arange(models) ^ 1):
            left, number = _sums_of_others(chosen, 2), _sums_of_others(counts, 2)
        else:
            left, number = np.empty(x.shape), np.empty(x.shape)
            columns = np.arange(x.shape[1])
            for model in range(models):
                others = np.ones(x.shape, np.bool_)
                others[model] = False
                others[partners[model], columns] = False
                left[model] = np.sum(chosen, axis=0, where=others)
                number[model] = np.sum(counts, axis=0, where=others)
        means.append(left / np.maximum(number, 1))
    return means[0], means[1]


def means_of_others(values: npt.NDArray[Any]) -> FloatArray:
    """For each model, the mean of positive values ``[S, M]`` over all other models."""
    x = np.asarray(values, np.float64)
    return _sums_of_others(x, 1) / max(1, len(x) - 1)


def _sums_of_others(values: FloatArray, group: int) -> FloatArray:
    """For each model, the sum over all outside its group of neighbours: what comes before and what comes after."""
    sums = values.reshape(len(values) // group, group, -1).sum(axis=1)
    before, after = np.zeros_like(sums), np.zeros_like(sums)
    np.cumsum(sums[:-1], axis=0, out=before[1:])
    after[:-1] = np.cumsum(sums[:0:-1], axis=0)[::-1]
    return np.repeat(before + after, group, axis=0)


def variance_floor(values: npt.NDArray[Any], chosen: npt.NDArray[np.bool_] | None = None) -> FloatArray:
    """The smallest variance of each sample that float32 statistics of its size can tell from rounding, ``[N]``.

    Parameters
    ----------
    values
        ``[S, N]``.
    chosen
        bool ``[S, N]``: the cells that are looked at; None for all.
    """
    # Without a copy of |values|, which may be large.
    where: Any = True if chosen is None else chosen
    highest, lowest = values.max(axis=0, initial=0.0, where=where), values.min(axis=0, initial=0.0, where=where)
    largest = np.maximum(highest, -lowest).astype(np.float64)
    floor: FloatArray = np.maximum((RESOLUTION * largest) ** 2, np.finfo(np.float64).tiny)
    return floor
