"""Who is vulnerable, from the losses of one training alone (Pollock et al. 2024, LT-IQR)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray


def trace_range(losses: npt.NDArray[Any]) -> FloatArray:
    """Rank samples by the interquartile range of their loss over the epochs of the model's own training.

    What is learned late and then well was not known from others: its loss spans much. What is never learned, or known
    at once, spans little.

    Parameters
    ----------
    losses
        ``[E, N]``: the loss of every sample after each epoch, in eval mode.

    Returns
    -------
    numpy.ndarray
        float64 ``[N]``, larger for the more vulnerable.
    """
    low, high = np.quantile(np.asarray(losses, np.float64), [0.25, 0.75], axis=0)
    spread: FloatArray = high - low
    return spread


def precision_at(ranking: npt.NDArray[Any], truth: npt.NDArray[Any], share: float = 0.01) -> float:
    """Share of those that a ranking names first who are among as many that the truth names first.

    Parameters
    ----------
    ranking, truth
        ``[N]``, larger for the more vulnerable.
    share
        Of all samples, how many are named; at least one.
    """
    count = max(1, round(share * len(truth)))
    named, meant = (np.argsort(-np.asarray(of, np.float64), kind="stable")[:count] for of in (ranking, truth))
    return len(np.intersect1d(named, meant)) / count
