"""The difference between two audits, with the models and not the samples as what is independent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, Interval


@dataclass(frozen=True)
class Estimate:
    """An estimate and what each cluster of models contributes to its error, ``[G]``, with a sum of 0."""

    value: float
    influence: FloatArray


@dataclass(frozen=True)
class Difference:
    """Second less first, with its 95% interval: None where a side has fewer than 4 clusters."""

    first: float
    second: float
    interval: Interval | None
    paired: bool

    @property
    def value(self) -> float:
        """Second less first."""
        return self.second - self.first

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        return {
            "a": self.first,
            "b": self.second,
            "difference": self.value,
            "ci": None if self.interval is None else list(self.interval),
        }


def difference(first: Estimate, second: Estimate, paired: bool, confidence: float = 0.95) -> Difference:
    """Compare two estimates by their clusters.

    Parameters
    ----------
    first, second
        What is compared, with the contributions of their clusters of models.
    paired
        Whether cluster g of one and cluster g of the other divide the same samples in the same halves. Then the error
        of the difference is that of g's difference of contributions (Obuchowski 1997 for clustered ROC data): what
        the split of the samples does to both cancels. Else both errors add up, with Welch's degrees of freedom.
    confidence
        Coverage.

    Notes
    -----
    The sample is no unit here: all samples are judged by the same few models, so their errors move together, and an
    interval over tens of thousands of samples would be far too narrow.
    """
    sides = [np.asarray(side.influence, np.float64) for side in (first, second)]
    if min(map(len, sides)) < FEWEST_PAIRS:
        return Difference(first.value, second.value, None, paired)
    if paired:
        groups = len(sides[0])
        variance, degrees = _variance(sides[1] - sides[0]), float(groups - 1)
    else:
        variances = [_variance(side) for side in sides]
        variance = sum(variances)
        spread = sum(part**2 / (len(side) - 1) for part, side in zip(variances, sides, strict=True))
        degrees = variance**2 / spread if spread > 0 else float(min(map(len, sides)) - 1)
    reach = float(stats.t.ppf(0.5 + confidence / 2, degrees)) * math.sqrt(variance)
    value = second.value - first.value
    return Difference(first.value, second.value, (max(-1.0, value - reach), min(1.0, value + reach)), paired)


def _variance(influence: FloatArray) -> float:
    groups = len(influence)
    return groups / (groups - 1) * float(np.sum((influence - influence.mean()) ** 2))


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
