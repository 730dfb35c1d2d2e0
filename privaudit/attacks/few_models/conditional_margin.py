"""How far above what is usual for such a sample? Bertran et al. 2023, without any shadow model.

Among samples that the model was never trained on, boosted trees learn what it says of a sample from what the sample
looks like. The published attack fits quantiles by a network; this one fits mean and scale, as that paper's Gaussian
form does, since few samples place a far quantile badly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray

#: Trees of the mean and of the scale; few leaves, many samples in each: there is little to learn from.
TREES, TREES_OF_SCALE, LEAVES, FEWEST_IN_A_LEAF, RATE = 80, 40, 8, 30, 0.1

#: A scale is never less than this share of the mean one.
LEAST_SCALE = 0.05

#: With fewer samples to learn from, everybody is held against their mean.
FEWEST_SAMPLES = 4 * FEWEST_IN_A_LEAF


def conditional_margin(
    statistic: npt.NDArray[np.floating],
    features: npt.NDArray[np.floating],
    member: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
) -> FloatArray:
    """Score by how many scales a statistic lies above what is expected of it: (s − μ(x)) / σ(x).

    μ and σ are fitted to samples of the other folds that are no members, by squared error, of the statistic and of the
    distance from μ.

    Parameters
    ----------
    statistic
        ``[n]``: larger means better known.
    features
        ``[n, d]`` of the samples, and of what the model says of them elsewhere. What tells the statistic itself would
        leave nothing to score.
    member, fold
        ``[n]``: who is a member, which nothing is fitted to, and who is judged together.

    Returns
    -------
    numpy.ndarray
        float64 ``[n]``.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    values, scores = np.asarray(statistic, np.float64), np.empty(len(member))
    # One thread: the order of additions, and so the last bits, never vary.
    with threadpool_limits(1):
        for one in np.unique(fold):
            known, judged = (fold != one) & ~member, fold == one
            centre, scale = np.full(len(values), values[known].mean()), np.ones(len(values))
            if known.sum() >= FEWEST_SAMPLES:
                trees = {
                    "max_leaf_nodes": LEAVES, "min_samples_leaf": FEWEST_IN_A_LEAF, "learning_rate": RATE,
                    "early_stopping": False, "random_state": 0,
                }  # fmt: skip
                mean = HistGradientBoostingRegressor(max_iter=TREES, **trees).fit(features[known], values[known])
                centre = mean.predict(features)
                away = np.abs(values - centre)
                spread = HistGradientBoostingRegressor(max_iter=TREES_OF_SCALE, **trees)
                scale = spread.fit(features[known], away[known]).predict(features)
                floor = max(LEAST_SCALE * float(away[known].mean()), float(np.finfo(np.float64).tiny))
                scale = np.maximum(scale, floor)
            scores[judged] = ((values - centre) / scale)[judged]
    return scores
