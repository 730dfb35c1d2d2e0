"""RMIA with models that never saw the sample (Zarifzadeh et al. 2024, offline), of one target."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray

#: How much of what models say of a sample is there whether or not they saw it; its authors' for CIFAR-10.
A = 0.3


def offline_rmia(
    loss: npt.NDArray[Any], reference_loss: npt.NDArray[Any], out: npt.NDArray[np.bool_], a: float = A
) -> FloatArray:
    """Score by ratio(x) = p(x | θ)/p(x), with p(x) = ½ ((1 + a) · p_out(x) + 1 − a).

    The published score is the share of a population that ratio(x) outdoes by γ. For one target the population is the
    same for everybody, so that share only coarsens the ratio: both rank alike, whatever γ is.

    Parameters
    ----------
    loss
        ``[n]``: cross-entropy of every sample under the target.
    reference_loss
        ``[S, n]``: the same under the shadow models.
    out
        bool ``[S, n]``: which shadow models never saw the sample; as many for everybody, at least one.
    a
        0 … 1: 1 takes a model that saw the sample for one that did not, 0 expects p = 1 of it.

    Returns
    -------
    numpy.ndarray
        float64 ``[n]``, at most 2 / (1 − a).
    """
    p, others = (np.exp(-np.asarray(of, np.float64)) for of in (loss, reference_loss))
    p_out = np.where(out, others, 0.0).sum(axis=0) / out.sum(axis=0)
    ratio: FloatArray = p / np.maximum(((1 + a) * p_out + 1 - a) / 2, np.finfo(np.float64).tiny)
    return ratio
