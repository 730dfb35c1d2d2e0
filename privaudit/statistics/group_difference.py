"""Two groups held against each other: means, their difference, and how often one exceeds the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.statistics.intervals import Interval, mean_interval


@dataclass(frozen=True)
class Comparison:
    """One quantity in two groups.

    Parameters
    ----------
    means, intervals
        Of either group, with Student's 95% interval (None below two samples).
    difference, difference_interval
        First minus second, with Welch's 95% interval.
    superiority
        P(first > second) + ½ P(equal), over pairs of one sample each: ½ where nothing differs.
    p
        Mann and Whitney's, two-sided; None where nothing varies.
    counts
        Samples a group.
    """

    means: tuple[float, float]
    intervals: tuple[Interval | None, Interval | None]
    difference: float
    difference_interval: Interval | None
    superiority: float
    p: float | None
    counts: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        return {
            "means": list(self.means),
            "cis": [None if found is None else list(found) for found in self.intervals],
            "difference": self.difference,
            "difference_ci": None if self.difference_interval is None else list(self.difference_interval),
            "superiority": self.superiority,
            "p": self.p,
            "n": list(self.counts),
        }


def compare(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Compare two independent groups of at least one sample each."""
    groups = [np.asarray(values, np.float64) for values in (first, second)]
    means = (float(groups[0].mean()), float(groups[1].mean()))
    varies = np.ptp(np.concatenate(groups)) > 0
    test = stats.mannwhitneyu(groups[0], groups[1], alternative="two-sided") if varies else None
    return Comparison(
        means=means,
        intervals=(mean_interval(groups[0], fewest=2), mean_interval(groups[1], fewest=2)),
        difference=means[0] - means[1],
        difference_interval=_of_difference(groups[0], groups[1]),
        superiority=0.5 if test is None else float(test.statistic) / (len(groups[0]) * len(groups[1])),
        p=None if test is None else float(test.pvalue),
        counts=(len(groups[0]), len(groups[1])),
    )


def _of_difference(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> Interval | None:
    """Welch's interval: variances may differ."""
    if min(len(first), len(second)) < 2:
        return None
    parts = [values.var(ddof=1) / len(values) for values in (first, second)]
    difference, error = float(first.mean() - second.mean()), sum(parts)
    if error == 0:
        return difference, difference
    degrees = error**2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (first, second), strict=True))
    reach = float(stats.t.ppf(0.975, degrees)) * math.sqrt(error)
    return difference - reach, difference + reach
