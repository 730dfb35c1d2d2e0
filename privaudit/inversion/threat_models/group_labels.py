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
    """The labels of ``count`` records, sorted, from the last layer's update alone (after LLG, Wainakh et al. 2022).

    The derivative by logit j, averaged over n records, is g_j = (1/n) Σ_i (p_ij − 1[y_i = j]). Probabilities are never
    negative, so a negative g_j is proof that class j is among the labels: all of those are taken once. LLG then holds
    that each record of a class lowers its g_j by about the same, m = −(1/n)(1 + 1/K) Σ_{g_j < 0} g_j, so that class j
    has about −g_j/m records. In a network that has learned, records that it is sure of lower nothing and the few others
    all: so that is believed by the share λ of probability that is misplaced, and by the rest of it all classes are
    taken to be equally frequent,

        e_j = λ (−g_j/m) + (1 − λ) n/K,   λ = min(1, −Σ_{g_j < 0} g_j / (1 − #{g_j < 0}/K)),

    and the class that is furthest below e_j is taken until there are n. (The denominator is what the misplaced
    probability of other records, spread evenly, hides of the sum.) For λ = 1 that is LLG.

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
    return np.stack([_of_one(row, count) for row in rows])


def _of_one(row: npt.NDArray[np.float64], count: int) -> Labels:
    classes, negative = len(row), row < 0
    shown = -float(row[negative].sum())
    impact = (1 + 1 / classes) / count * shown
    believed = min(1.0, shown / max(1 - negative.mean(), 1 / classes))
    by_signal = -row / impact if impact > 0 else np.zeros(classes)
    expected = believed * by_signal + (1 - believed) * count / classes
    certain = [int(label) for label in np.argsort(row, kind="stable") if negative[label]][:count]
    taken = np.bincount(np.array(certain, np.int64), minlength=classes)
    # Of classes that are equally far below, the one with the lowest entry.
    tie = 1e-6 * row / max(float(np.abs(row).max()), 1e-30)
    while taken.sum() < count:
        taken[int((expected - taken - tie).argmax())] += 1
    return np.repeat(np.arange(classes), taken)


def share_right(recovered: Labels, truth: Labels) -> float:
    """The share of labels that are right, whatever their order."""
    found, true = Counter(recovered.tolist()), Counter(truth.tolist())
    return sum((found & true).values()) / len(truth)
