"""Two treatments on the same seeds: the mean difference, its interval and its p-value; corrections for several."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.results.measures import PairedDifference
from privaudit.runtime.seeds import generator
from privaudit.statistics.intervals import mean_interval

#: Sign flips are enumerated up to this many pairs, and drawn beyond.
MOST_ENUMERATED = 16
DRAWN = 100_000


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = 0.95) -> PairedDifference:
    """Compare ``first`` with ``second``, ``[n]`` each, entry by entry.

    Fisher's sign-flip permutation test of the mean: exact for any n ≤ 16, with ties and zeros; the smallest p that n
    pairs can give is 2/2ⁿ.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    differences = a - b
    interval = mean_interval(differences, confidence) if np.ptp(differences) > 0 else None
    wins = int((differences > 0).sum())
    p = sign_flip_p(differences)
    return PairedDifference(mean=float(differences.mean()), ci=interval, p=p, wins=wins, pairs=len(differences))


def sign_flip_p(differences: npt.NDArray[np.float64]) -> float | None:
    """Two-sided p of Fisher's permutation test of the mean under flipped signs; None below 2 pairs."""
    n = len(differences)
    if n < 2:
        return None
    if n <= MOST_ENUMERATED:
        signs = 1.0 - 2.0 * (np.arange(2**n)[:, np.newaxis] >> np.arange(n) & 1)
    else:
        drawn = generator(0, "sign-flips")
        signs = np.concatenate([np.ones((1, n)), drawn.choice([-1.0, 1.0], size=(DRAWN, n))])
    sums = np.abs(signs @ differences)
    # Equal sums must count as equal, whatever order they were added in.
    tolerance = 1e-12 * float(np.abs(differences).sum())
    return float((sums >= abs(differences.sum()) - tolerance).mean())


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction (1979): p-values that hold for all of them together."""
    order = np.argsort(p_values)
    corrected = np.empty(len(p_values))
    largest = 0.0
    for step, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[index]))
        corrected[index] = largest
    return [float(value) for value in corrected]
