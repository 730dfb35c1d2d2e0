"""Models of a cross-validation among somebody else's: sets of which each leaves out another part of the samples.

What one model of a set did not see its siblings did, so given a sample's membership they are negatively correlated, as
complements are (digits in 4 folds: −.13). So of each set one model a side takes part in a sample: a pair.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.runtime.seeds import generator

Mask = npt.NDArray[np.bool_]
Sets = tuple[tuple[int, ...], ...]

#: Two models are of one set whose left-out parts have at most this share in common of what chance would make it.
MOST_IN_COMMON = 0.25

#: And chance would give a set so little in common in fewer than this share of files.
CHANCE = 1e-9

#: Samples handled at once.
BLOCK = 65_536


def find_folds(keep: Mask, models: Iterable[int]) -> Sets:
    """Find sets of models that leave out (or alone saw) disjoint parts of the samples.

    Parameters
    ----------
    keep
        bool ``[S, N]``.
    models
        Those that are asked about, in the order in which they are taken.

    Returns
    -------
    tuple
        Sets of two models or more, each in rising order. A set need not be whole: models may be lost.
    """
    found: list[tuple[int, ...]] = []
    share = keep.mean(axis=1)
    asked = [model for model in models if 0 < share[model] < 1]
    for leaves_out in (True, False):
        side = [model for model in asked if (share[model] > 0.5) == leaves_out]
        parts = ~keep[side] if leaves_out else keep[side]
        common, expected = _in_common(parts), np.outer(parts.mean(axis=1), parts.sum(axis=1))
        alike = common <= MOST_IN_COMMON * expected
        left = list(range(len(side)))
        while left:
            chosen = left[:1]
            for other in left[1:]:
                if alike[other, chosen].all():
                    chosen.append(other)
            left = [place for place in left if place not in chosen]
            pairs = np.ix_(chosen, chosen)
            overlap, by_chance = (float(np.triu(what[pairs], 1).sum()) for what in (common, expected))
            if len(chosen) > 1 and stats.poisson.cdf(overlap, by_chance) < CHANCE:
                found.append(tuple(side[place] for place in chosen))
    return tuple(sorted(found))


def _in_common(parts: Mask) -> npt.NDArray[np.float64]:
    """How many samples each two parts have in common, ``[M, M]``."""
    common = np.zeros((len(parts), len(parts)))
    for start in range(0, parts.shape[1], BLOCK):
        block = parts[:, start : start + BLOCK].astype(np.float32)
        common += block @ block.T
    return common


def drawn_of_folds(keep: Mask, sets: Sets, seed: int) -> tuple[Mask, Mask, npt.NDArray[np.int64]]:
    """Draw which models of each set take part in each sample.

    Parameters
    ----------
    keep
        bool ``[S, N]``.
    sets
        Models by their row.
    seed
        Of the draws.

    Returns
    -------
    tuple
        bool ``[S, N]`` each: cells drawn as a pair, one of either side; and single cells of sets that are all on one
        side of the sample. ``[S, N]``: the other model of the pair, the model itself where there is none.
    """
    random = generator(seed, "folds")
    paired, alone = np.zeros((2, *keep.shape), np.bool_)
    partners = np.broadcast_to(np.arange(len(keep))[:, np.newaxis], keep.shape).copy()
    columns = np.arange(keep.shape[1])
    for models in sets:
        rows = np.array(models)
        draw = random.random((len(rows), keep.shape[1]))
        inside, outside = (rows[np.argmax(draw * side, axis=0)] for side in (keep[rows], ~keep[rows]))
        both = keep[inside, columns] & ~keep[outside, columns]
        paired[inside, columns] |= both
        paired[outside, columns] |= both
        partners[inside[both], columns[both]] = outside[both]
        partners[outside[both], columns[both]] = inside[both]
        one = rows[np.argmax(draw, axis=0)]
        alone[one, columns] |= ~both
    return paired, alone, partners
