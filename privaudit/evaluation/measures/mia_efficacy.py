"""MIA-efficacy: how many of the forgotten a confidence-based attack takes for never seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.runtime.seeds import generator

#: The machine is fitted to at most so many samples of a side: its time grows with their square.
MOST_FITTED = 2_000


def mia_efficacy(
    member: npt.NDArray[Any], outsider: npt.NDArray[Any], forgotten: npt.NDArray[Any]
) -> tuple[float, float]:
    """Share of the forgotten that an SVM on the true-label probability calls non-members.

    The attack of the unlearning literature (Jia et al. 2023, Fan et al. 2024), with their parameters: one feature, the
    softmax probability of the true label, and ``SVC(C=3, gamma="auto", kernel="rbf")``.

    Parameters
    ----------
    member
        ``[m]`` probabilities of retained samples: those that `choose_members` chose.
    outsider
        ``[m]`` probabilities of samples that were never trained on. Of more than `MOST_FITTED` a side so many are used,
        evenly spaced, which keeps the shares of classes in data that is sorted by class.
    forgotten
        ``[n]`` probabilities of the forgotten.

    Returns
    -------
    tuple of float
        The share in [0, 1] (higher: less is known of them), and the attack's balanced accuracy on what it was fitted
        to: near ½ it tells nobody from anybody, and the share means little.
    """
    from sklearn.svm import SVC

    member, outsider = _spaced(member), _spaced(outsider)
    features = np.concatenate([member, outsider]).astype(np.float64)[:, np.newaxis]
    is_member = np.arange(len(features)) < len(member)
    attack = SVC(C=3, gamma="auto", kernel="rbf").fit(features, is_member)
    right = attack.predict(features) == is_member
    balanced = 0.5 * (right[is_member].mean() + right[~is_member].mean())
    called_member = attack.predict(np.asarray(forgotten, np.float64)[:, np.newaxis])
    return float(1 - called_member.mean()), float(balanced)


def _spaced(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if len(values) <= MOST_FITTED:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_FITTED).round().astype(np.int64)]


def choose_members(
    rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], count: int, seed: int
) -> npt.NDArray[np.int64]:
    """A random, class-stratified choice of ``count`` of the rows (all of them where there are fewer), sorted.

    Published code takes the first of them, which is the first classes alone where data is sorted by class.

    Parameters
    ----------
    rows
        Rows of the pool to choose from: D_r.
    labels
        ``[N]``: label of every row of the pool.
    count
        As many as there are never-trained samples.
    seed
        Chooses.
    """
    random = generator(seed, "mia-members")
    shuffled = rows[random.permutation(len(rows))]
    # Every class gives the same share of itself: sort by place within the class, relative to its size.
    of_class = labels[shuffled]
    place = np.empty(len(shuffled))
    for label in np.unique(of_class):
        own = np.flatnonzero(of_class == label)
        place[own] = (np.arange(len(own)) + random.random()) / len(own)
    return np.sort(shuffled[np.argsort(place, kind="stable")[:count]])
