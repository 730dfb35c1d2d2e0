"""Answers without a class: the original model's own, its mass on what is gone spread over the rest in proportion.

A shadow model saw half of every class, so none of them knows how a model without a class behaves. Which of the others
a sample of a forgotten class resembles is what the original model says of it besides its own class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.training.loop import Samples, logits_of
from privaudit.unlearning.teachers import Teachers

Rows = npt.NDArray[np.int64]

#: Of a class that is left: from here on shadow models, which saw half of it, say how a model without the rest behaves.
ENOUGH_LEFT = 0.5


def share_left(labels: Rows, forget: Rows, retain: Rows, classes: int) -> npt.NDArray[np.float64]:
    """Return the share of each class ``[C]`` that is retained; 1 for a class of which nothing is forgotten."""
    kept = np.bincount(labels[retain], minlength=classes)
    lost = np.bincount(labels[forget], minlength=classes)
    share: npt.NDArray[np.float64] = np.where(lost > 0, kept / np.maximum(kept + lost, 1), 1.0)
    return share


def own_answers(
    model: nn.Module, samples: Samples, rows: Rows, left: npt.NDArray[np.float64]
) -> tuple[Rows, torch.Tensor]:
    """Return ``rows``, ascending, and the model's softmax there without what is gone, float32 ``[n, C]``.

    Taken out are the classes of which nothing is left, and of each sample its own, where less than half of it is left.
    """
    rows = np.sort(rows)
    device = samples.labels.device
    logits = torch.from_numpy(logits_of(model, samples, rows)).to(device)
    labels = samples.labels[torch.from_numpy(rows).to(device)]
    gone = torch.from_numpy(left == 0).to(device)
    few = torch.from_numpy(left < ENOUGH_LEFT).to(device)[labels]
    out = gone | (torch.nn.functional.one_hot(labels, len(left)).bool() & few[:, None])
    # Where everything else is out too there is nothing to spread over: all are as likely.
    out = out & ~out.all(1, keepdim=True)
    return rows, logits.masked_fill(out, -torch.inf).softmax(1)


def mixed(
    own: tuple[Rows, torch.Tensor], shadow: Teachers | None, left: npt.NDArray[np.float64], labels: Rows
) -> Teachers:
    """Return the original's own answers, and as far as enough of a sample's class is left the shadow models'.

    The weight of the shadow models is twice the share of the class that is left, at most 1: they saw half of it. What
    they give to classes that are gone is spread over the others.

    Parameters
    ----------
    own
        From `own_answers`.
    shadow
        Of the same rows; None where only whole classes are forgotten.
    left
        ``[C]``, from `share_left`.
    labels
        Of the whole pool.
    """
    rows, answers = own
    if shadow is None:
        return Teachers(rows, answers, torch.zeros(len(rows), device=answers.device), np.ones(len(rows), np.int64))
    there = shadow.answers * torch.from_numpy(left > 0).to(answers.device)
    there = there / there.sum(1, keepdim=True).clamp_min(torch.finfo(there.dtype).tiny)
    weight = torch.from_numpy(np.minimum(1.0, left[labels[rows]] / ENOUGH_LEFT)).to(there)[:, None]
    mean = weight * there + (1 - weight) * answers
    return Teachers(rows, mean, shadow.divergence, shadow.count)
