"""The population attack (Ye et al. 2022): is the sample better known than samples that the model never saw?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray


def population_rank(statistic: npt.NDArray[Any], population: npt.NDArray[Any]) -> FloatArray:
    """Share of the population below each sample, within the same model; equal values count half.

    Parameters
    ----------
    statistic
        ``[S, N]``; larger means better known.
    population
        ``[S, Z]`` of samples that no model was trained on.

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]`` in [0, 1]: one minus the sample's p-value under "never seen".
    """
    scores = np.empty(statistic.shape)
    for model, others in enumerate(np.sort(population, axis=1)):
        below = np.searchsorted(others, statistic[model], side="left")
        upto = np.searchsorted(others, statistic[model], side="right")
        scores[model] = (below + upto) / 2
    share: FloatArray = scores / population.shape[1]
    return share
