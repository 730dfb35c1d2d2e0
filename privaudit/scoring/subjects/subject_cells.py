"""From records to the people whose they are: sums of likelihood ratios, and whose records are all on one side.

The target was trained on all records of a person or, of an outsider, on none. Shadow models split *records*: all of a
person's k records, or none, were seen by a model with a chance of 2^(1 − k). Only such cells are what happens to
people, and only they are counted. Their score is the sum of the records' log-likelihood ratios, which is that of the
person where records are independent given whether they were seen.

People with many records have few such cells or none. For them records can be *taken* for independent: the sum of a
person's records where each was seen, whichever model saw it, against the sum where none was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privaudit.runtime.seeds import generator
from privaudit.statistics.intervals import FloatArray

#: How often the models of a subject's records are shuffled against each other.
SHUFFLES = 24

#: Cells held at once while they are.
BLOCK = 4_000_000


@dataclass(frozen=True)
class Subjects:
    """Whose each record is.

    Parameters
    ----------
    of_record
        ``[N]`` in ``0 … subjects-1``, none of them without a record.
    records
        ``[subjects]``: how many each has.
    """

    of_record: npt.NDArray[np.int64]
    records: npt.NDArray[np.int64]

    @classmethod
    def of(cls, names: npt.NDArray[np.object_]) -> Subjects:
        """Number the subjects by name; a record without one (None) is a subject of its own."""
        keys = [(0, str(name)) if name is not None else (1, f"{row}") for row, name in enumerate(names)]
        place = {key: index for index, key in enumerate(sorted(set(keys)))}
        of_record = np.array([place[key] for key in keys], np.int64)
        return cls(of_record, np.bincount(of_record, minlength=len(place)))

    def sums(self, values: npt.NDArray[np.floating]) -> FloatArray:
        """Return the sum over each subject's records of ``values [R, N]``, ``[R, subjects]``."""
        order = np.argsort(self.of_record, kind="stable")
        starts = np.concatenate([[0], np.cumsum(self.records)[:-1]])
        summed: FloatArray = np.add.reduceat(np.asarray(values, np.float64)[:, order], starts, axis=1)
        return summed

    def one_sided(
        self, keep: npt.NDArray[np.bool_], used: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return whether a model saw all records of a subject, and whether none, ``[S, subjects]`` each.

        Parameters
        ----------
        keep
            bool ``[S, N]``: whether model s saw record i.
        used
            bool ``[S, N]``: the cells that take part; a subject's must all.
        """
        inside, there = self.sums((keep & used).astype(np.float64)), self.sums(used.astype(np.float64))
        whole = there == self.records
        return whole & (inside == self.records), whole & (inside == 0)


def risk_if_independent(
    ratio: FloatArray, keep: npt.NDArray[np.bool_], used: npt.NDArray[np.bool_], subjects: Subjects, seed: int
) -> FloatArray:
    """Return how often the sum's sign is right about each subject, its records drawn from models of their own.

    Of a single record it is the share of right verdicts, its attack success rate. Where nothing leaks it is ½ on
    average: each record's cells where it was seen are exchangeable with those where it was not.

    Parameters
    ----------
    ratio
        LiRA's, ``[S, N]``.
    keep, used
        bool ``[S, N]``.
    subjects
        Whose each record is.
    seed
        Of the shuffles.

    Returns
    -------
    numpy.ndarray
        ``[subjects]`` in [0, 1]: mean of both sides, ties by half.
    """
    width = max(1, BLOCK // len(ratio))
    risk = np.empty(len(subjects.records))
    order = np.argsort(subjects.of_record, kind="stable")
    ends = np.cumsum(subjects.records)
    first = 0
    while first < len(ends):
        start = ends[first] - subjects.records[first]
        last = max(first + 1, int(np.searchsorted(ends, start + width, side="right")))
        rows = order[start : ends[last - 1]]
        part = Subjects(subjects.of_record[rows] - first, subjects.records[first:last])
        random = generator(seed, "subjects", first)
        inside = _drawn_right(ratio[:, rows], (keep & used)[:, rows], part, random)
        outside = _drawn_right(-ratio[:, rows], (~keep & used)[:, rows], part, random)
        risk[first:last] = (inside + outside) / 2
        first = last
    return risk


def _drawn_right(
    towards: FloatArray, side: npt.NDArray[np.bool_], subjects: Subjects, random: np.random.Generator
) -> FloatArray:
    """How often the sum over records points to their side, each record from a model of its own where it is on it."""
    count = side.sum(axis=0)
    columns = np.arange(side.shape[1])
    # Each record's own cells first, in a random order; then every draw takes them in turn from a random one on.
    places = np.argsort(np.where(side, random.random(side.shape), 2.0), axis=0)
    own = np.take_along_axis(towards, places, axis=0)
    turn = np.arange(int(count.max()))[:, np.newaxis]
    right = np.zeros(len(subjects.records))
    for _ in range(SHUFFLES):
        summed = subjects.sums(own[(turn + random.integers(count)) % count, columns])
        right += ((np.sign(summed) + 1) / 2).mean(axis=0)
    return right / SHUFFLES
