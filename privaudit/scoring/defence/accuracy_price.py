"""What a measure costs in right answers on new data: over models and over test samples."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.results.measures import Difference, Interval
from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray

Right = npt.NDArray[np.bool_]


def accuracy_of(right: Right) -> tuple[float, Interval | None]:
    """Return the share of right answers ``[S, M]`` of S shadow models, in pairs, on M test samples, and its interval.

    Models and test samples are both drawn, so both add to the error: the variance of the pairs' means and that of the
    samples' means, each over its number. As the second holds a part of the first, the interval is rather too wide.
    """
    values = right.astype(np.float64)
    return float(values.mean()), _interval(float(values.mean()), values)


def accuracy_change(before: Right, after: Right) -> Difference:
    """Return the change of accuracy, ``after`` less ``before``, ``[S, M]`` each.

    Where they are as many models and samples, they are compared model by model and sample by sample.
    """
    a, b = float(before.mean()), float(after.mean())
    if before.shape == after.shape:
        bounds = _interval(b - a, after.astype(np.float64) - before)
    else:
        errors = [_error(side.astype(np.float64)) for side in (before, after)]
        pairs = min(len(before), len(after)) // 2
        bounds = _bounds(b - a, math.sqrt(sum(error**2 for error in errors)), pairs)
    return Difference(a=a, b=b, difference=b - a, ci=bounds)


def _interval(value: float, values: FloatArray) -> Interval | None:
    return _bounds(value, _error(values), len(values) // 2)


def _bounds(value: float, error: float, pairs: int) -> Interval | None:
    if pairs < FEWEST_PAIRS or not math.isfinite(error):
        return None
    reach = float(stats.t.ppf(0.975, pairs - 1)) * error
    return max(-1.0, value - reach), min(1.0, value + reach)


def _error(values: FloatArray) -> float:
    models, samples = values.shape
    if models < 4 or samples < 2:
        return math.inf
    of_pairs = values.reshape(models // 2, 2 * samples).mean(axis=1)
    of_samples = values.mean(axis=0)
    return math.sqrt(float(of_pairs.var(ddof=1)) / len(of_pairs) + float(of_samples.var(ddof=1)) / samples)
