"""The labels of a batch, read off the update of the last layer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import torch

Labels = npt.NDArray[np.int64]


def class_signal(bias: torch.Tensor | None, weight: torch.Tensor) -> torch.Tensor:
    """The update of each logit, ``[G, K]``: the last layer's bias, or the sums of its weight's rows ``[G, K, D]``.

    Row j of the weight is Σ_i (p_ij − 1[j = y_i]) a_i: where features are never negative, its sum has the sign of the
    bias's entry. It is read where there is no bias, or the bias tells of no class (it was pruned away).
    """
    sums = weight.sum(2)
    if bias is None:
        return sums
    return torch.where((bias < 0).any(1, keepdim=True), bias, sums)


def recover_batch_labels(signal: torch.Tensor, count: int) -> Labels:
    """The labels of ``count`` records, sorted, from the last layer's update alone (LLG, Wainakh et al. 2022).

    The derivative by logit j, averaged over n records, is g_j = (1/n) Σ_i (p_ij − 1[y_i = j]). Probabilities are never
    negative, so a negative g_j is proof that class j is among the labels: all of those are taken once. Each record of a
    class is held to lower its g_j by m = −(1/n)(1 + 1/K) Σ_{g_j < 0} g_j; so each label that is taken adds m to its
    class, and the lowest class is taken until there are n. Where a network has learned, most records lower nothing, and
    the labels of the few that it is unsure of are taken several times over: of all labels fewer are right, but it is
    those records whose images an update can give away.

    Parameters
    ----------
    signal
        ``[G, K]``.
    count
        n.

    Returns
    -------
    numpy.ndarray
        ``[G, n]``.
    """
    rows = signal.detach().double().cpu().numpy()
    return np.stack([_of_one(row.copy(), count) for row in rows])


def _of_one(row: npt.NDArray[np.float64], count: int) -> Labels:
    negative = row < 0
    impact = -(1 + 1 / len(row)) / count * float(row[negative].sum())
    taken = [int(label) for label in np.argsort(row, kind="stable") if negative[label]][:count]
    for label in taken:
        row[label] += impact
    while len(taken) < count:
        taken.append(int(row.argmin()))
        # Without any signal (nothing is negative) classes are taken in turn.
        row[taken[-1]] += impact if impact > 0 else 1.0
    return np.sort(np.array(taken, np.int64))


def share_right(recovered: Labels, truth: Labels) -> float:
    """The share of labels that are right, whatever their order."""
    found, true = Counter(recovered.tolist()), Counter(truth.tolist())
    return sum((found & true).values()) / len(truth)
