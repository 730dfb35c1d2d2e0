"""Membership by the distance to the decision boundary, against models that never saw the sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.leave_pair_out import paired_moments, unpaired


def calibrated_distance(distance: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Distance of each sample to the boundary, less its mean under models that never saw it; each being the target.

    A sample that any model is sure of lies far from the boundary of all of them. What membership adds is what is left
    when that is taken away (difficulty calibration, Watson et al. 2022).

    Parameters
    ----------
    distance
        ``[S, N]``.
    keep
        bool ``[S, N]``: whether model s was trained on sample i; complementary pairs. The target and its complement
        are left out of the mean, so that it is of as many models whether the target saw the sample or not.

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]``; higher means member.
    """
    scores = np.zeros(keep.shape)
    for block, own, _, outside in paired_moments(distance, keep):
        unpaired(own - outside.mean, keep[:, block], scores[:, block])
    return scores
