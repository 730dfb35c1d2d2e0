"""A seeded, class-stratified subset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data.dataset import IntArray
from privaudit.errors import DataError, UsageError
from privaudit.runtime.seeds import generator

#: The share of a dataset without a test part that is held out for testing.
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Limits:
    """The most training samples to keep where nobody asked for a number; None keeps all."""

    images: int | None
    features: int | None

    def of(self, is_image: bool) -> int | None:
        """The limit for this kind of input."""
        return self.images if is_image else self.features


NO_LIMITS = Limits(None, None)


def drawn_rows(labels: IntArray, samples: int | None, limit: int | None, seed: int) -> IntArray:
    """Rows to keep: ``samples`` of them where asked, else all, or ``limit`` of them where there are more."""
    if samples is None and limit is not None and len(labels) > limit:
        samples = limit
    return np.arange(len(labels)) if samples is None else stratified_rows(labels, samples, seed, "samples")


def stratified_rows(labels: IntArray, count: int, seed: int, purpose: str) -> IntArray:
    """Choose ``count`` rows so that every class keeps its share (largest remainders, at least one each).

    Returns
    -------
    numpy.ndarray
        int64 ``[count]``, ascending.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if count > len(labels):
        raise UsageError(f"{count:,} samples were asked for, but there are only {len(labels):,}")
    if count < len(classes):
        raise UsageError(f"{count} samples can't hold one of each of the {len(classes)} classes")
    exact = sizes * (count / len(labels))
    quota = np.maximum(1, np.floor(exact)).astype(np.int64)
    while quota.sum() != count:
        short = quota.sum() < count
        gap = exact - quota
        # Add where the shortfall is largest, take where the excess is (never a class's last sample).
        pick = np.argmax(gap) if short else np.argmin(np.where(quota > 1, gap, np.inf))
        quota[pick] += 1 if short else -1
    random = generator(seed, purpose, "stratified")
    chosen = [random.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def held_out_rows(labels: IntArray, purpose: str, share: float = TEST_SHARE) -> IntArray:
    """Draw rows to test with: this share of each class, at least one, and none of a class that has one sample.

    What is drawn is part of the dataset: the same whatever the seed of an audit.

    Returns
    -------
    numpy.ndarray
        int64, ascending.
    """
    random = generator(0, purpose)
    chosen: list[IntArray] = [np.empty(0, np.int64)]
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        chosen.append(rows[: min(len(rows) - 1, max(1, round(share * len(rows))))])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def held_out(x: npt.NDArray[Any], y: IntArray, source: str, what: str) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Hold some of the samples out for testing; return the arrays of a dataset, and a sentence that says so.

    ``what`` stands for the samples in messages: ``(X, y)``.
    """
    test = held_out_rows(y, "arrays-test")
    if not len(test):
        raise DataError(f"{source}: {what} holds {len(y)} samples: too few to hold some of them out for testing")
    train = np.setdiff1d(np.arange(len(y)), test)
    arrays = {"x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test], "sample_ids": train}
    said = (
        f"{what} has no test part: {len(test):,} samples, {TEST_SHARE:.0%} of each class, were drawn to be it, the "
        "same whatever --seed"
    )
    return arrays, said
