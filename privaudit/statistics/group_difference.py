"""Two groups held against each other: means, their difference, and how often one exceeds the other."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.results.measures import GroupComparison
from privaudit.statistics.intervals import FloatArray, Interval, mean_interval, welch_degrees


def compare(first: npt.ArrayLike, second: npt.ArrayLike) -> GroupComparison:
    """Compare two independent groups of at least one sample each.

    Means have Student's interval (none below two samples), the difference Welch's. ``superiority`` is P(first > second)
    + ½ P(equal) over pairs of one sample each, ½ where nothing differs; no p where nothing varies.
    """
    one, other = (np.asarray(values, np.float64) for values in (first, second))
    difference = float(one.mean()) - float(other.mean())
    varies = np.ptp(np.concatenate([one, other])) > 0
    test = stats.mannwhitneyu(one, other, alternative="two-sided") if varies else None
    return GroupComparison(
        means=(float(one.mean()), float(other.mean())),
        cis=(mean_interval(one, fewest=2), mean_interval(other, fewest=2)),
        difference=difference,
        difference_ci=_welch(difference, one, other),
        superiority=0.5 if test is None else float(test.statistic) / (len(one) * len(other)),
        p=None if test is None else float(test.pvalue),
        n=(len(one), len(other)),
    )


def _welch(difference: float, *groups: FloatArray) -> Interval | None:
    """Welch's interval: variances may differ."""
    counts = [len(group) for group in groups]
    if min(counts) < 2:
        return None
    parts = [float(group.var(ddof=1)) / len(group) for group in groups]
    reach = float(stats.t.ppf(0.975, welch_degrees(parts, counts))) * math.sqrt(sum(parts))
    return difference - reach, difference + reach
