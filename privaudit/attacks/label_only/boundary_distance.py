"""How far a sample is from a model's decision boundary, told by labels alone and within a budget of questions.

HopSkipJump (Chen, Jordan and Wainwright 2020) in its L2 form: from a point beyond the boundary, a binary search to the
boundary, an estimate of the boundary's normal from the labels of points around it, a jump along that, and again. What
it finds is a point of another class, so its distance is an upper bound of the true one, and falls as the budget grows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray

Points = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

#: The class of every point: ``[m, d]`` to ``[m]``. It is all that is asked of a model.
Labels = Callable[[Points], IntArray]

#: Directions that the first normal is estimated from; the t-th takes √t times as many.
FIRST_DIRECTIONS = 40

#: How far around a point of the boundary is asked, in distances from the sample: with many dimensions and with few.
LEAST_PROBE, LARGEST_PROBE = 1 / 64, 1 / 16

#: A binary search has at least so many steps, so that the distance itself is told to half a percent.
FEWEST_STEPS = 8

TINY = np.finfo(np.float32).tiny

#: A jump is halved at most so often before it is given up.
HALVINGS = 5

#: Numbers of all points that are asked at once: what is more is asked block by block of samples.
MOST_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class Budget:
    """How many questions about a sample are planned, step by step; the same for every sample.

    Parameters
    ----------
    directions
        Of each estimate of the normal.
    search
        Steps of a binary search: enough that the boundary is nearer than the probes around it are long.
    """

    directions: tuple[int, ...]
    search: int

    @property
    def most(self) -> int:
        """The most questions about one sample: its own label, the first search, then probes, jump and search."""
        return 1 + self.search + sum(count + HALVINGS + self.search for count in self.directions)

    @classmethod
    def of(cls, queries: int, dimensions: int) -> Budget:
        """Plan at most so many questions about a sample of so many dimensions."""
        search = max(FEWEST_STEPS, int(np.ceil(np.log2(2 * np.sqrt(dimensions) / probe_of(dimensions)))))
        left, planned = queries - 1 - search, list[int]()
        while left - HALVINGS - search >= FIRST_DIRECTIONS // 2:
            wanted = int(FIRST_DIRECTIONS * np.sqrt(len(planned) + 1))
            planned.append(min(wanted, left - HALVINGS - search))
            left -= planned[-1] + HALVINGS + search
        return cls(tuple(planned), search)


def probe_of(dimensions: int) -> float:
    """How far around the boundary is asked, in distances from the sample."""
    return min(max(1 / dimensions, LEAST_PROBE), LARGEST_PROBE)


def boundary_distances(
    labels: Labels,
    inputs: Points,
    truth: IntArray,
    starts: Points,
    queries: int,
    random: np.random.Generator,
    bounds: tuple[Points, Points] | None = None,
) -> FloatArray:
    """Distance of each sample to the nearest point found that is given another class, ``[n]``.

    Parameters
    ----------
    labels
        The model's classes of points.
    inputs, truth
        ``[n, d]`` and ``[n]``: the samples and their classes. Of a sample that is given another class as it is, the
        distance is 0 (Choquette-Choo et al. 2021).
    starts
        ``[k, d]``: inputs at hand, of several classes. The walk begins at the nearest that is given another class; of a
        sample for which there is none, the distance is that of the farthest.
    queries
        The most questions about one sample, the ``k`` about the starts, which serve all of them, not counted.
    random
        Draws the directions: the same state gives the same questions about the same answers.
    bounds
        ``[d]`` each: the smallest and largest value that an input may have; None for none.
    """
    budget = Budget.of(queries, inputs.shape[1])
    most = max(1, MOST_AT_ONCE // (inputs.shape[1] * max([1, *budget.directions])))
    of_starts = labels(starts)
    parts = []
    for block in range(0, len(inputs), most):
        rows = slice(block, block + most)
        walk = _Walk(labels, inputs[rows], truth[rows], random, bounds)
        parts.append(walk.distances(starts, of_starts, budget))
    return np.concatenate(parts) if parts else np.zeros(0)


class _Walk:
    """Samples that walk along the boundary side by side."""

    def __init__(
        self,
        labels: Labels,
        inputs: Points,
        truth: IntArray,
        random: np.random.Generator,
        bounds: tuple[Points, Points] | None,
    ) -> None:
        self._labels, self._inputs, self._truth = labels, inputs, truth
        self._random, self._bounds = random, bounds

    def distances(self, starts: Points, of_starts: IntArray, budget: Budget) -> FloatArray:
        """Walk within the budget, and return the distances that are left."""
        nearest, begins = self._nearest(starts, of_starts)
        wrong = self._labels(self._inputs) != self._truth
        walking = np.flatnonzero(begins & ~wrong)
        found: FloatArray = np.asarray(_norms(starts[nearest] - self._inputs), np.float64)
        found[wrong] = 0.0
        if len(walking):
            found[walking] = self._walk(walking, starts[nearest[walking]], budget)
        return found

    def _nearest(self, starts: Points, of_starts: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """The nearest start of another class for each sample, or the farthest of all, and whether there is one."""
        squares = (starts.astype(np.float64) ** 2).sum(axis=1) - 2 * self._inputs.astype(np.float64) @ starts.T
        other = of_starts[np.newaxis] != self._truth[:, np.newaxis]
        begins = other.any(axis=1)
        nearest = np.where(other, squares, np.inf).argmin(axis=1)
        return np.where(begins, nearest, squares.argmax(axis=1)), begins

    def _walk(self, rows: IntArray, points: Points, budget: Budget) -> FloatArray:
        points = self._to_boundary(rows, points, budget.search)
        for step, directions in enumerate(budget.directions, 1):
            away = _norms(points - self._inputs[rows])
            normals = self._normals(rows, points, away, directions)
            jumped = self._jump(rows, points, normals, away / np.sqrt(step))
            jumped = self._to_boundary(rows, jumped, budget.search)
            nearer = _norms(jumped - self._inputs[rows]) < away
            points = np.where(nearer[:, np.newaxis], jumped, points)
        return np.asarray(_norms(points - self._inputs[rows]), np.float64)

    def _to_boundary(self, rows: IntArray, points: Points, steps: int) -> Points:
        """Search between sample and point, and return the end of the last interval that is given another class."""
        from_sample, whole = self._inputs[rows], points - self._inputs[rows]
        low, high = np.zeros(len(rows), np.float32), np.ones(len(rows), np.float32)
        for _ in range(steps):
            middle = (low + high) / 2
            beyond = self._is_beyond(rows, from_sample + middle[:, np.newaxis] * whole)
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        return from_sample + high[:, np.newaxis] * whole

    def _normals(self, rows: IntArray, points: Points, away: Points, directions: int) -> Points:
        """Unit vectors from the boundary into the other class, from the labels of points around."""
        dimensions = points.shape[1]
        drawn = self._random.normal(size=(len(rows), directions, dimensions)).astype(np.float32)
        drawn /= np.maximum(_norms(drawn), TINY)[..., np.newaxis]
        reach = probe_of(dimensions) * away
        asked = self._within(points[:, np.newaxis] + reach[:, np.newaxis, np.newaxis] * drawn)
        if self._bounds is not None:
            # Near a limit of what an input may be, a probe is as long as it could be made.
            drawn = (asked - points[:, np.newaxis]) / np.maximum(reach, TINY)[:, np.newaxis, np.newaxis]
        flat = asked.reshape(-1, dimensions)
        beyond = self._is_beyond(np.repeat(rows, directions), flat).reshape(len(rows), directions)
        sign = 2 * beyond.astype(np.float32) - 1
        centred = sign - sign.mean(axis=1, keepdims=True)
        one_sided = np.abs(sign.sum(axis=1)) == directions
        weights = np.where(one_sided[:, np.newaxis], sign, centred)
        normals = np.einsum("nb,nbd->nd", weights, drawn)
        return np.asarray(normals / np.maximum(_norms(normals), TINY)[:, np.newaxis], np.float32)

    def _jump(self, rows: IntArray, points: Points, normals: Points, lengths: Points) -> Points:
        """Go along the normal, half as far as long as that does not end in the other class; else stay."""
        ends, left = points.copy(), np.arange(len(rows))
        for _ in range(HALVINGS):
            if not len(left):
                break
            tried = self._within(points[left] + lengths[left, np.newaxis] * normals[left])
            beyond = self._is_beyond(rows[left], tried)
            ends[left[beyond]] = tried[beyond]
            left = left[~beyond]
            lengths = lengths * np.float32(0.5)
        return ends

    def _within(self, points: Points) -> Points:
        return points if self._bounds is None else np.clip(points, *self._bounds)

    def _is_beyond(self, rows: IntArray, points: Points) -> npt.NDArray[np.bool_]:
        return np.asarray(self._labels(points) != self._truth[rows])


def _norms(vectors: Points) -> Points:
    return np.asarray(np.linalg.norm(vectors, axis=-1), np.float32)
