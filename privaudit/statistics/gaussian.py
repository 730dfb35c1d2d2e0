"""IN and OUT Gaussians of every sample, for every target model of the rotation at once, in closed form.

Taking each shadow model in turn as the target means fitting without it. Dropping it alone would leave one model
fewer on the side that it was on, which tells its membership: on pure noise the AUC then reads below ½. So the target
*and one model of the other side* (its complement) are dropped, and both sides stay equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray

#: How many observations the pooled variance counts for when it is mixed into a sample's own.
SHRINKAGE = 8.0

#: Statistics are stored as float32: deviations below this share of their size are rounding.
RESOLUTION = 1e-6

#: Cells (model × sample) handled at once, so that the temporary arrays stay in cache.
BLOCK = 131_072


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of a group of models, per cell."""

    count: FloatArray
    mean: FloatArray
    squares: FloatArray

    def without(self, value: FloatArray) -> Moments:
        """The same group less one observation: n′ = n − 1, μ′ = (nμ − x)/n′, M₂′ = M₂ − (x − μ)(x − μ′)."""
        count = self.count - 1
        mean = (self.count * self.mean - value) / np.maximum(count, 1)
        squares = self.squares - (value - self.mean) * (value - mean)
        return Moments(count, mean, np.maximum(squares, 0.0))

    def where(self, condition: npt.NDArray[np.bool_], other: Moments) -> Moments:
        """This group where ``condition`` holds, ``other`` elsewhere."""
        return Moments(
            np.where(condition, self.count, other.count),
            np.where(condition, self.mean, other.mean),
            np.where(condition, self.squares, other.squares),
        )


def moments_of(values: FloatArray, chosen: npt.NDArray[np.bool_]) -> Moments:
    """Moments over the first axis (models) of the chosen cells of ``[S, N]``; each result is ``[N]``."""
    count = chosen.sum(axis=0, dtype=np.float64)
    mean = np.where(chosen, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(chosen, (values - mean) ** 2, 0.0).sum(axis=0)
    return Moments(count, mean, squares)


def rotated_moments(
    values: npt.NDArray[Any], keep: npt.NDArray[np.bool_], partners: npt.NDArray[np.int64]
) -> Iterator[tuple[slice, FloatArray, Moments, Moments]]:
    """Yield, block by block of samples, the moments that each target model is judged by.

    Parameters
    ----------
    values
        The statistic, ``[S, N]``.
    keep
        ``[S, N]``: whether model s saw sample i.
    partners
        ``[S]`` the complement of each model, or ``[S, N]`` a model of the other side for each cell.

    Yields
    ------
    tuple
        The block's samples (a slice of n), its values ``[S, n]``, and its IN and OUT moments ``[S, n]`` without the
        target and its partner.
    """
    models, samples = values.shape
    width = max(1, BLOCK // models)
    for start in range(0, samples, width):
        block = slice(start, min(start + width, samples))
        x, member = np.asarray(values[:, block], np.float64), keep[:, block]
        dropped = x[partners] if partners.ndim == 1 else np.take_along_axis(x, partners[:, block], axis=0)
        inside, outside = moments_of(x, member), moments_of(x, ~member)
        own, other = inside.where(member, outside), outside.where(member, inside)
        own, other = own.without(x), other.without(dropped)
        yield block, x, own.where(member, other), other.where(member, own)


def pooled_variance(squares: FloatArray, count: FloatArray, axis: int | None = None) -> FloatArray:
    """Variance within samples, pooled over samples: Σ M₂ / Σ (n − 1).

    A plain variance over all cells would also hold the spread *between* samples.
    """
    degrees = np.maximum(count - 1, 0).sum(axis=axis)
    return np.asarray(squares.sum(axis=axis) / np.maximum(degrees, 1), np.float64)


def shrunk_variance(moments: Moments, pooled: FloatArray, floor: float) -> FloatArray:
    """A sample's variance, shrunk toward the pooled one: (M₂ + 8·pooled)/(n − 1 + 8), at least ``floor``."""
    degrees = np.maximum(moments.count - 1, 0)
    return np.maximum((moments.squares + SHRINKAGE * pooled) / (degrees + SHRINKAGE), floor)


def variance_floor(values: npt.NDArray[Any]) -> float:
    """The smallest variance that float32 statistics of this size can tell from rounding."""
    largest = float(np.abs(values).max(initial=0.0))
    return max((RESOLUTION * largest) ** 2, np.finfo(np.float64).tiny)
