"""Samples that are there twice: within the training set, and across training and test set."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data.plain_features import Components, reduced
from privaudit.results.audit.controls import Duplicates, NearDuplicates, Sides
from privaudit.runtime.seeds import generator

FloatArray = npt.NDArray[np.float64]

#: Samples whose nearest neighbours are looked for, and the samples that components are found on.
MOST_ASKED = 2_000

#: Neighbours that say how dense the data is around a sample.
NEIGHBOURS = 20

#: A neighbour is a near-duplicate where chance puts one as near to any of the samples asked in fewer than this share.
CHANCE = 0.01

#: And only where it is at less than this share of the distance of the farthest of the neighbours.
NEAREST = 0.4

#: A row that a table with independent columns would repeat with less than 2⁻ᵇ for each other row is no coincidence:
#: b is this much above log₂ N, for columns that depend on each other.
SPARE_BITS = 16


def find_duplicates(
    train: tuple[npt.NDArray[Any], npt.NDArray[np.int64]],
    test: tuple[npt.NDArray[Any], npt.NDArray[np.int64]],
    seed: int,
) -> Duplicates:
    """Count equal inputs by hash over everything, and near-duplicates around a random part.

    Parameters
    ----------
    train, test
        Inputs ``[N, …]`` and labels ``[N]``.
    seed
        The audit's seed; draws the part.

    Returns
    -------
    Duplicates
        Inputs are equal where every number is. ``ordinary``: rows repeat by nature, with so few different values that
        chance makes them equal. ``near``: of a part, those that have a near-duplicate in the training set, equal ones
        left out; None where nearness means nothing.
    """
    digests = [_digests(inputs) for inputs, _ in (train, test)]
    _, place, count = np.unique(np.concatenate(digests), return_inverse=True, return_counts=True)
    own, other = place[: len(digests[0])], place[len(digests[0]) :]
    of_training = np.bincount(own, minlength=len(count))
    shared = of_training[other] > 0
    with_label = set(zip(own.tolist(), train[1].tolist(), strict=True))
    same = sum(pair in with_label for pair in zip(other[shared].tolist(), test[1][shared].tolist(), strict=True))
    repeated = of_training[own] > 1
    first = np.unique(own, return_index=True)[1]
    ordinary = bool(shared.any() or repeated.any()) and _repeats_by_chance(train[0][first], len(own))
    random = generator(seed, "near-duplicates")
    asked = [random.permutation(len(part))[:MOST_ASKED] for part in (other, own)]
    near = None
    if len(first) > 2 * NEIGHBOURS and not ordinary:
        space = _Space(train[0][first], random)
        near = NearDuplicates(
            asked=Sides(test=len(asked[0]), training=len(asked[1])),
            test=space.count_near(test[0][asked[0]], equal=shared[asked[0]]),
            # A training sample's own row is at no distance, and left out as an equal one is.
            training=space.count_near(train[0][asked[1]], equal=np.ones(len(asked[1]), np.bool_)),
        )
    return Duplicates(
        training=len(own),
        test=len(other),
        test_in_training=int(shared.sum()),
        test_in_training_share=int(shared.sum()) / len(other),
        same_label=int(same),
        within_training=int(repeated.sum()),
        ordinary=ordinary,
        near=near,
    )


def _digests(inputs: npt.NDArray[Any]) -> npt.NDArray[np.bytes_]:
    """A 128-bit hash of each input, in hexadecimal; −0 and 0 are equal."""
    found = []
    for one in inputs:
        plain = one if one.dtype.kind == "u" else one + 0.0
        found.append(hashlib.blake2b(np.ascontiguousarray(plain).tobytes(), digest_size=16).hexdigest())
    return np.array(found, "S32")


def _repeats_by_chance(distinct: npt.NDArray[Any], samples: int) -> bool:
    """Whether rows take so few values that equal ones are no wonder.

    Two rows whose columns are independent are equal with probability Π Σ p², the product over columns of the chance
    that two samples agree in one. Different rows alone are counted: a copy would make its own values look common.
    """
    rows = distinct[:MOST_ASKED].reshape(min(len(distinct), MOST_ASKED), -1)
    bits, enough = 0.0, np.log2(samples) + SPARE_BITS
    for column in rows.T:
        counts = np.unique(column, return_counts=True)[1].astype(np.float64)
        agree = float((counts * (counts - 1)).sum()) / max(len(rows) * (len(rows) - 1), 1)
        bits += -np.log2(max(agree, 1 / max(len(rows), 2) ** 2))
        if bits > enough:
            return False
    return True


class _Space:
    """Principal components of the different training samples, and how near its neighbours are to a sample."""

    def __init__(self, distinct: npt.NDArray[Any], random: np.random.Generator) -> None:
        self._rows = reduced(distinct)
        part = self._rows[np.sort(random.permutation(len(self._rows))[:MOST_ASKED])]
        self._components = Components(part, is_table=distinct.ndim != 4)
        self._known = self._components.of(self._rows)

    def count_near(self, inputs: npt.NDArray[Any], equal: npt.NDArray[np.bool_]) -> int:
        """Count the inputs that have a near-duplicate; of those with an ``equal`` one, that is left out.

        Around a sample in d dimensions of even density the nearest of k neighbours lies within a share r of the k-th
        one's distance with probability 1 − (1 − rᵈ)ᵏ⁻¹. d is estimated from the other neighbours (Levina and Bickel
        2004), around the sample and for all together; the smaller counts, for which chance does more.
        """
        rows = reduced(inputs)
        distances = self._nearest(rows)
        # Shift past an equal neighbour.
        start = equal.astype(np.int64)[:, np.newaxis]
        found = np.take_along_axis(distances, start + np.arange(NEIGHBOURS), axis=1)
        tiny = np.finfo(np.float64).tiny
        farthest = np.maximum(found[:, -1], tiny)
        ratio = found[:, 0] / farthest
        logs = np.log(np.maximum(farthest[:, np.newaxis], tiny) / np.maximum(found[:, 1:-1], tiny))
        around = 1 / np.maximum(logs.mean(axis=1), 1e-3)
        dimension = np.minimum(around, np.median(around))
        chance = -np.expm1((NEIGHBOURS - 1) * np.log1p(-np.minimum(ratio**dimension, 1 - 1e-12)))
        return int(((ratio < NEAREST) & (chance < CHANCE / len(rows)) & (found[:, -1] > 0)).sum())

    def _nearest(self, rows: npt.NDArray[np.float32]) -> FloatArray:
        """Distances to the nearest `NEIGHBOURS` + 1 training samples, ``[n, NEIGHBOURS + 1]``, rising."""
        known = self._known
        squares = np.sum(np.square(known), axis=1)
        found = []
        for start in range(0, len(rows), 200):
            asked = self._components.of(rows[start : start + 200])
            away = squares - 2 * asked @ known.T
            nearest = np.argpartition(away, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
            # Once more by differences: a sum of squares this close to 0 is rounding.
            exact = np.linalg.norm(known[nearest].astype(np.float64) - asked[:, np.newaxis], axis=2)
            found.append(np.sort(exact, axis=1))
        return np.concatenate(found)
