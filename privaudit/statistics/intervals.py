"""Confidence intervals, each for the kind of evidence it is made for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from privaudit.results.measures import Correlation

FloatArray = npt.NDArray[np.float64]
Interval = tuple[float, float]

#: Below this many complementary pairs there is no interval over models.
FEWEST_PAIRS = 4


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Wilson's score interval of a proportion (Wilson 1927).

    Parameters
    ----------
    successes
        Counts, 0 … trials; halves are allowed (a tie counts as half a success).
    trials
        Number of independent trials, > 0.
    confidence
        Coverage.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bounds in [0, 1].
    """
    n = np.asarray(trials, np.float64)
    p = np.asarray(successes, np.float64) / n
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At p = 0 and p = 1 the bound is 0 and 1 exactly; rounding must not say otherwise.
    return np.where(p == 0, 0.0, centre - half), np.where(p == 1, 1.0, centre + half)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a proportion (Clopper and Pearson 1934), for independent trials."""
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(stats.beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(stats.beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def logit_interval(estimate: float, standard_error: float, degrees: int, confidence: float = 0.95) -> Interval | None:
    """A t-interval on the logit scale (delta method) for an estimate strictly between 0 and 1; else None."""
    if not 0 < estimate < 1 or not math.isfinite(standard_error) or degrees < 1:
        return None
    reach = stats.t.ppf(0.5 + confidence / 2, degrees) * standard_error / (estimate * (1 - estimate))
    centre = special.logit(estimate)
    return float(special.expit(centre - reach)), float(special.expit(centre + reach))


def share_interval(hits: int, trials: int, standard_error: float, degrees: int) -> Interval | None:
    """A 95% interval of a share of cells that depend on each other: `logit_interval`, and exact where all or none hit.

    A share of exactly 0 or 1 has no spread to read an error from: then it is Clopper and Pearson's, which takes the
    cells for independent. None where there is no error at all (too few groups).
    """
    if not math.isfinite(standard_error) or degrees < 1:
        return None
    if hits in (0, trials):
        return clopper_pearson(hits, trials)
    return logit_interval(hits / trials, standard_error, degrees)


def mean_interval(values: npt.ArrayLike, confidence: float = 0.95, fewest: int = 3) -> Interval | None:
    """Student's t-interval of a mean; None below ``fewest`` values."""
    x = np.asarray(values, np.float64)
    if len(x) < fewest:
        return None
    reach = float(stats.t.ppf(0.5 + confidence / 2, len(x) - 1)) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return float(x.mean()) - reach, float(x.mean()) + reach


def welch_degrees(variances: Sequence[float], counts: Sequence[int]) -> float:
    """Degrees of freedom of a difference of means (Welch 1947), from either mean's squared error and sample size."""
    spread = sum(part**2 / (count - 1) for part, count in zip(variances, counts, strict=True))
    return sum(variances) ** 2 / spread if spread > 0 else float(min(counts) - 1)


def spearman(first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = 0.95) -> Correlation:
    """Spearman's ρ with the interval of Bonett and Wright (2000): Fisher's z with variance (1 + ρ²/2)/(n − 3).

    Returns ``None`` for ρ where a side is constant (there is no ranking), and for the interval where n < 10.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    usable = np.isfinite(a) & np.isfinite(b)
    a, b = a[usable], b[usable]
    n = len(a)
    if n < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(spearman=None, ci=None, n=n)
    rho = float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])
    if n < 10:
        return Correlation(spearman=rho, ci=None, n=n)
    centre = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, rho)))
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return Correlation(spearman=rho, ci=(math.tanh(centre - reach), math.tanh(centre + reach)), n=n)
