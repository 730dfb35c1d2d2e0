"""How often verdicts are right, for groups of samples, with intervals over the models that gave them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, Interval, logit_interval
from privaudit.statistics.jackknife import jackknife_error, jackknife_influence

#: A verdict is a sign, and signs jump: for the error alone it is smoothed over this share of the median |ratio|.
SMOOTHING = 0.5


@dataclass(frozen=True)
class Shares:
    """Share of right verdicts in each group of samples, and how sure it is.

    Parameters
    ----------
    share, error
        ``[groups]`` and its standard error, NaN below 4 clusters.
    degrees
        Degrees of freedom of the error.
    influence
        ``[G, groups]``: what each cluster of models, or each that was left out, contributes to the error.
    by_cluster
        ``[clusters, groups]``: the same where clusters are taken for independent; ``influence`` itself without refits.
    """

    share: FloatArray
    error: FloatArray
    degrees: int
    influence: FloatArray
    by_cluster: FloatArray

    def contrast_error(self, weights: FloatArray) -> float:
        """Return the standard error of a weighted sum of the shares, weights ``[groups]``; NaN below 4 clusters."""
        if len(self.by_cluster) < FEWEST_PAIRS:
            return float("nan")
        moved = [influence @ weights for influence in (self.influence, self.by_cluster)]
        return max(float(np.sqrt(len(one) / (len(one) - 1) * np.sum(one**2))) for one in moved)

    def intervals(self) -> list[Interval | None]:
        """95%, on the logit scale; None where there is no error."""
        return [
            logit_interval(float(share), float(error), self.degrees) if np.isfinite(error) else None
            for share, error in zip(self.share, self.error, strict=True)
        ]


def right_shares(
    ratio: FloatArray,
    keep: npt.NDArray[np.bool_],
    group: npt.NDArray[np.int64],
    clusters: npt.NDArray[np.int64],
    refits: Iterable[tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]] = (),
) -> Shares:
    """How often the sign of a likelihood ratio names the membership rightly.

    Parameters
    ----------
    ratio
        ``[S, N]``; NaN where there is none.
    keep
        bool ``[S, N]``.
    group
        ``[N]`` in ``0 … groups-1``, none of them empty.
    clusters
        ``[S]``: which models depend on each other.
    refits
        The models that are left and their ratios where each group of clusters in turn was never there.

    Returns
    -------
    Shares
        Half a right and half a wrong verdict more keep a share off 0 and 1. The error is the larger of that of
        independent clusters and, where there are refits, the jackknife's, for which a verdict is
        Φ(signed ratio/(½ median |ratio|)): the jackknife fails where estimates jump.
    """
    groups = int(group.max()) + 1
    _, cluster = np.unique(clusters, return_inverse=True)
    count = int(cluster.max()) + 1
    signed = np.where(keep, ratio, -ratio)
    right, asked = _sums((np.sign(signed) + 1) / 2, group, groups)
    share = (right.sum(axis=0) + 0.5) / (asked.sum(axis=0) + 1)
    by_cluster = np.stack(
        [right[cluster == one].sum(axis=0) / np.maximum(asked[cluster == one].sum(axis=0), 1) for one in range(count)]
    )
    influence = apart = (by_cluster - by_cluster.mean(axis=0)) / count
    if count < FEWEST_PAIRS:
        return Shares(share, np.full(groups, np.nan), 0, influence, apart)
    error, degrees = by_cluster.std(axis=0, ddof=1) / np.sqrt(count), count - 1
    width = SMOOTHING * float(np.nanmedian(np.abs(ratio)))
    moved = []
    for left, scores in refits:
        towards = np.where(keep[left], scores, -scores)
        smooth = special.ndtr(towards / width) if width > 0 else (np.sign(towards) + 1) / 2
        sums, number = _sums(smooth, group, groups)
        moved.append(sums.sum(axis=0) / np.maximum(number.sum(axis=0), 1))
    if moved:
        influence = jackknife_influence(moved)
        error, degrees = np.maximum(error, jackknife_error(moved)), len(moved) - 1
    return Shares(share, error, degrees, influence, apart)


def _sums(values: FloatArray, group: npt.NDArray[np.int64], groups: int) -> tuple[FloatArray, FloatArray]:
    """Sum and number of the values that are there, ``[S, groups]``."""
    there = np.isfinite(values)
    sums = [np.bincount(group, weights=row, minlength=groups) for row in np.where(there, values, 0.0)]
    number = [np.bincount(group, weights=row, minlength=groups) for row in there]
    return np.array(sums), np.array(number)
