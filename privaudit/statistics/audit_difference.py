"""The difference between two audits, with the models and not the samples as what is independent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.results.measures import Difference
from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, Interval, welch_degrees


@dataclass(frozen=True)
class Estimate:
    """An estimate and what each cluster of models contributes to its error, ``[G]``, with a sum of 0."""

    value: float
    influence: FloatArray


def difference(first: Estimate, second: Estimate, paired: bool) -> Difference:
    """Compare two estimates by their clusters, with a 95% interval.

    Parameters
    ----------
    first, second
        What is compared, with the contributions of their clusters of models.
    paired
        Whether cluster g of one and cluster g of the other divide the same samples in the same halves. Then the error
        of the difference is that of g's difference of contributions (Obuchowski 1997 for clustered ROC data): what
        the split of the samples does to both cancels. Else both errors add up, with Welch's degrees of freedom.

    Notes
    -----
    The sample is no unit here: all samples are judged by the same few models, so their errors move together, and an
    interval over tens of thousands of samples would be far too narrow.
    """
    value = second.value - first.value
    return Difference(a=first.value, b=second.value, difference=value, ci=_interval(value, first, second, paired))


def shown_below(first: Estimate, second: Estimate, paired: bool) -> float | None:
    """Return the one-sided p-value of "``second`` is not below ``first``", by the error of `difference`.

    None where a side has too few clusters.
    """
    found = _error(first, second, paired)
    if found is None:
        return None
    error, degrees = found
    value = second.value - first.value
    if error == 0:
        return 0.0 if value < 0 else 1.0
    return float(stats.t.cdf(value / error, degrees))


def _interval(value: float, first: Estimate, second: Estimate, paired: bool) -> Interval | None:
    found = _error(first, second, paired)
    if found is None:
        return None
    error, degrees = found
    reach = float(stats.t.ppf(0.975, degrees)) * error
    return max(-1.0, value - reach), min(1.0, value + reach)


def _error(first: Estimate, second: Estimate, paired: bool) -> tuple[float, float] | None:
    """Standard error of the difference, and its degrees of freedom."""
    sides = [np.asarray(side.influence, np.float64) for side in (first, second)]
    counts = [len(side) for side in sides]
    if min(counts) < FEWEST_PAIRS:
        return None
    if paired:
        variance, degrees = _variance(sides[1] - sides[0]), float(counts[0] - 1)
    else:
        variances = [_variance(side) for side in sides]
        variance, degrees = sum(variances), welch_degrees(variances, counts)
    return math.sqrt(variance), degrees


def _variance(influence: FloatArray) -> float:
    groups = len(influence)
    return groups / (groups - 1) * float(np.sum((influence - influence.mean()) ** 2))


def share_influence(
    hits: npt.NDArray[np.bool_], cells: npt.NDArray[np.bool_], clusters: npt.NDArray[np.int64]
) -> list[float]:
    """Return what each cluster of models contributes to the error of a share of cells.

    Parameters
    ----------
    hits, cells
        bool ``[S, N]``: which cells hit, and which count.
    clusters
        ``[S]``: which models depend on each other.
    """
    mean, number = float(hits[cells].mean()), int(cells.sum())
    residuals = np.where(cells, hits - mean, 0.0).sum(axis=1)
    _, cluster = np.unique(clusters, return_inverse=True)
    influence: list[float] = (np.bincount(cluster, weights=residuals) / number).tolist()
    return influence


def newcombe(
    first: npt.NDArray[Any], first_bounds: FloatArray, second: npt.NDArray[Any], second_bounds: FloatArray
) -> FloatArray:
    """Newcombe's hybrid score interval (1998) of differences of proportions, from either side's interval.

    Parameters
    ----------
    first, second
        Proportions ``[N]``.
    first_bounds, second_bounds
        Their intervals ``[2, N]``.

    Returns
    -------
    numpy.ndarray
        ``[2, N]``: bounds of second − first, for independent sides; where they are positively correlated, as under a
        common design, it is too wide rather than too narrow.
    """
    change = second - first
    low = change - np.sqrt((second - second_bounds[0]) ** 2 + (first_bounds[1] - first) ** 2)
    high = change + np.sqrt((second_bounds[1] - second) ** 2 + (first - first_bounds[0]) ** 2)
    return np.stack([low, high])
