"""Folds: what judges a sample has learned from others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Each half of the samples is judged by what was fitted on the other.
FOLDS = 2


def folds_of(member: npt.NDArray[np.bool_], random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw one of `FOLDS` for every sample, members and others apart, so that each fold has its share of both.

    A member is judged by what was fitted without its fold, as everybody is. So where members are like the others,
    their scores are too: an attack that learned nothing reads ½.
    """
    found = np.empty(len(member), np.int64)
    for side in (member, ~member):
        found[side] = random.permutation(int(side.sum())) % FOLDS
    return found
