"""The rotation over complementary pairs: both targets of a pair are judged by one and the same fit.

Models 2p and 2p+1 complete each other, so exactly one of them saw a sample. Whichever is the target, both are dropped.
So what is left is the same for either, and half of the work of `privaudit.statistics.gaussian.rotated_moments` is
enough. Sorted into "the model of the pair that saw the sample" and "the one that did not", each side is a plain array:
no cell has to be masked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.gaussian import Moments
from privaudit.statistics.intervals import FloatArray

#: Cells (model × sample) handled at once: the dozen temporary arrays of a block stay in a core's own cache.
BLOCK = 32_768


def is_paired(keep: npt.NDArray[np.bool_]) -> bool:
    """Whether models 2p and 2p+1 are complements in ``[S, N]``."""
    return len(keep) % 2 == 0 and bool(np.all(keep[0::2] != keep[1::2]))


def paired_moments(
    values: npt.NDArray[Any], keep: npt.NDArray[np.bool_]
) -> Iterator[tuple[slice, FloatArray, Moments, Moments]]:
    """Yield, block by block of samples, what each pair of targets is judged by.

    Parameters
    ----------
    values
        The statistic, ``[S, N]``.
    keep
        ``[S, N]``: whether model s saw sample i; complementary pairs.

    Yields
    ------
    tuple
        The block's samples (a slice of n); the statistic ``[2, P, n]`` of the model of each pair that saw the sample
        and of the one that did not; and the IN and OUT moments ``[P, n]`` without that pair.
    """
    models, samples = values.shape
    width = max(1, BLOCK // models)
    for start in range(0, samples, width):
        block = slice(start, min(start + width, samples))
        first, even, odd = keep[0::2, block], values[0::2, block], values[1::2, block]
        x = np.empty((2, *first.shape))
        x[0], x[1] = np.where(first, even, odd), np.where(first, odd, even)
        yield block, x, _without_each(x[0]), _without_each(x[1])


def unpaired(scores: FloatArray, keep: npt.NDArray[np.bool_], out: npt.NDArray[Any]) -> None:
    """Add ``scores [2, P, n]`` (of the models that saw a sample, and of those that did not) to ``out [S, n]``."""
    first = keep[0::2]
    out[0::2] += np.where(first, scores[0], scores[1])
    out[1::2] += np.where(first, scores[1], scores[0])


def _without_each(x: FloatArray) -> Moments:
    """Moments over the first axis of ``[P, n]``, without each row in turn."""
    count = len(x)
    mean = x.mean(axis=0)
    away = x - mean
    squared = away * away
    left = max(count - 1, 1)
    # μ′ = μ − (x − μ)/(n − 1) and M₂′ = M₂ − (x − μ)² n/(n − 1), written over the arrays that they are made of.
    squares = squared.sum(axis=0) - np.multiply(squared, count / left, out=squared)
    away /= -left
    away += mean
    return Moments(np.full((1, 1), count - 1.0), away, np.maximum(squares, 0.0, out=squares))
