"""The robust membership inference attack, RMIA (Zarifzadeh et al. 2024), and BASE (Lassila et al. 2025) within it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks.lira import complements
from privaudit.statistics.gaussian import means_of_others, rotated_means
from privaudit.statistics.intervals import FloatArray

#: By how much x must outdo a population sample z to count as more likely a member; its authors' default.
GAMMA = 1.0

TINY = np.finfo(np.float64).tiny


def rmia(
    loss: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    population_loss: npt.NDArray[Any],
    partners: npt.NDArray[np.int64] | None = None,
    gamma: float = GAMMA,
    used: npt.NDArray[np.bool_] | None = None,
) -> FloatArray:
    """Share of the population that a sample outdoes: P_z(ratio(x)/ratio(z) ≥ γ), each model in turn being the target.

    ratio(x) = p(x | θ)/p(x) with p the softmax of the true label, and p(x) = ½(mean over IN + mean over OUT models).
    Population samples were seen by no model: p(z) is the mean over all models but the target.

    Parameters
    ----------
    loss
        ``[S, N]``: cross-entropy −log p of every sample under every model.
    keep
        bool ``[S, N]``: whether model s was trained on sample i.
    population_loss
        ``[S, Z]`` of samples that no model was trained on.
    partners
        The model that is dropped from the references together with the target; by default its complement.
    gamma
        γ > 0. Above 1 a sample that is only a little better known than most of the population scores as low as one that
        is not, so what membership adds by little is lost.
    used
        bool ``[S, N]``: the cells that take part, as for `privaudit.attacks.lira.online`.

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]`` in [0, 1]; exact, in O(S (N + Z) log Z).
    """
    if partners is None:
        partners = complements(len(loss))
    x, z = np.exp(-np.asarray(loss, np.float64)), np.exp(-np.asarray(population_loss, np.float64))
    inside, outside = rotated_means(x, keep, partners, used)
    ratio_x = x / np.maximum((inside + outside) / 2, TINY)
    del inside, outside
    ratio_z = np.sort(z / np.maximum(means_of_others(z), TINY), axis=1)
    scores = np.empty(x.shape)
    for model in range(len(x)):
        scores[model] = np.searchsorted(ratio_z[model], ratio_x[model] / gamma, side="right")
    share: FloatArray = scores / z.shape[1]
    return share


def base(
    loss: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    partners: npt.NDArray[np.int64] | None = None,
    used: npt.NDArray[np.bool_] | None = None,
) -> FloatArray:
    """BASE: log p(x | θ) less the log of p(x)'s mean over the other models, each model in turn being the target.

    It is the logarithm of `rmia`'s ratio(x), so that within a model RMIA at γ = 1 ranks samples as BASE does, as far as
    its population can tell them apart. It needs no population, and its scores are not measured by one: a threshold
    over several models is another.

    Parameters
    ----------
    loss, keep, partners, used
        As for `rmia`.

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]``; higher means member.
    """
    if partners is None:
        partners = complements(len(loss))
    values = np.asarray(loss, np.float64)
    inside, outside = rotated_means(np.exp(-values), keep, partners, used)
    score: FloatArray = -values - np.log(np.maximum((inside + outside) / 2, TINY))
    return score
