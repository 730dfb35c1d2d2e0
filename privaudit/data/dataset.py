"""A classification dataset in memory: uint8 images or float features, checked on entry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.errors import DataError
from privaudit.results.base import Result

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """One half of a dataset whose samples are decoded only when they are taken.

    Parameters
    ----------
    labels
        int64 ``[N]``.
    take
        Returns the inputs of the given rows, in their order.
    paths
        Where each sample came from, if it came from a file of its own.
    notes
        Says, once samples were taken, what was guessed or converted.
    """

    labels: IntArray
    take: Callable[[IntArray], npt.NDArray[Any]]
    paths: tuple[str, ...] | None = None
    notes: Callable[[], tuple[str, ...]] = tuple


@dataclass(frozen=True)
class TableFacts:
    """What is known of samples that were the rows of a table, besides their features.

    Parameters
    ----------
    encoding
        How cells became features: `privaudit.data.tables.encoding.TableEncoding`.
    digest
        SHA-256 over it.
    subjects
        Whose sample each is, words or None ``[N]``; None where the table does not say.
    groups
        Columns by which exposure is told: words or None ``[N]`` each.
    tested
        Ids of the rows that models are tested with and never trained on; None where they have none of their own.
    """

    encoding: Result
    digest: str
    subjects: npt.NDArray[np.object_] | None = None
    groups: dict[str, npt.NDArray[np.object_]] = field(default_factory=dict)
    tested: npt.NDArray[Any] | None = None


@dataclass(frozen=True)
class Dataset:
    """Training and test samples of a classification problem.

    Parameters
    ----------
    name
        What the user called it; the first part of an audit's name.
    x_train, x_test
        uint8 images ``[N, H, W, C]``, float32 images ``[N, H, W, C]``, or float32 features ``[N, D]``.
    y_train, y_test
        int64 labels ``[N]`` in ``0 … C-1``.
    class_names
        One name a class.
    sample_ids
        int64 or text ``[N]``, unique: what the outside world calls each training sample.
    source
        Where it came from, in words for the report.
    available
        How many training samples the source holds; more than N where these are a subset.
    paths
        One path per training sample, where it came from an image tree.
    encoding
        How columns of a DataFrame became the features, to be kept with the audit; no part of the content.
    notes
        What was guessed or converted to read it, a sentence each, for the terminal and the report; no part of the
        content.
    table
        What else its rows say, where it came from a table in a file.
    left_out
        How many training samples were taken out of those that were drawn.
    """

    name: str
    x_train: npt.NDArray[Any]
    y_train: IntArray
    x_test: npt.NDArray[Any]
    y_test: IntArray
    class_names: tuple[str, ...]
    sample_ids: npt.NDArray[Any]
    source: str
    available: int
    paths: tuple[str, ...] | None = field(default=None, repr=False)
    encoding: Result | None = field(default=None, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    table: TableFacts | None = field(default=None, repr=False)
    left_out: int = 0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def groups(self) -> dict[str, npt.NDArray[np.object_]]:
        """Columns of a table by which exposure is told."""
        return {} if self.table is None else self.table.groups

    @property
    def drawn(self) -> int:
        """Number of training samples before any were taken out."""
        return len(self) + self.left_out

    @property
    def is_image(self) -> bool:
        """Whether inputs are images ``[H, W, C]`` rather than feature vectors."""
        return self.x_train.ndim == 4

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: ``(H, W, C)`` or ``(D,)``."""
        return tuple(int(n) for n in self.x_train.shape[1:])

    def __len__(self) -> int:
        return len(self.y_train)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every array, name and id: equal if and only if the content is."""
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test, self.sample_ids):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        digest.update("\0".join(self.class_names).encode())
        if self.table is not None:
            digest.update(self.table.digest.encode())
        return digest.hexdigest()

    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation per channel (images, on the 0–1 scale) or per feature.

        Computed in float64, over evenly spaced training samples: all of them up to 10,000, never more than 20,000.
        A constant channel gets deviation 1.
        """
        rows = self.x_train[:: max(1, len(self) // 10_000)]
        axes = (0, 1, 2) if self.is_image else (0,)
        scale = 255.0 if self.x_train.dtype == np.uint8 else 1.0
        mean = rows.mean(axis=axes, dtype=np.float64) / scale
        deviation = rows.std(axis=axes, dtype=np.float64) / scale
        deviation = np.where(deviation > 1e-8, deviation, 1.0)
        return tuple(map(float, np.atleast_1d(mean))), tuple(map(float, np.atleast_1d(deviation)))

    def without_training_rows(self, rows: IntArray) -> Dataset:
        """Return the same dataset with some training samples taken out, and what is known of them."""
        kept = np.setdiff1d(np.arange(len(self)), rows)
        table = self.table
        if table is not None:
            subjects = None if table.subjects is None else table.subjects[kept]
            table = replace(table, subjects=subjects, groups={name: of[kept] for name, of in table.groups.items()})
        return replace(
            self,
            x_train=self.x_train[kept],
            y_train=self.y_train[kept],
            sample_ids=self.sample_ids[kept],
            paths=None if self.paths is None else tuple(self.paths[row] for row in kept),
            table=table,
            left_out=self.left_out + len(self) - len(kept),
            notes=(*self.notes, f"{len(self) - len(kept):,} training samples are left out, as was asked"),
        )


def _check(data: Dataset) -> None:
    for part, x, y in (("training", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
        if len(x) != len(y):
            raise DataError(f"{data.name}: {len(x)} {part} inputs but {len(y)} {part} labels")
        if len(y) == 0:
            raise DataError(f"{data.name}: the {part} set is empty")
        outside = np.flatnonzero((y < 0) | (y >= data.classes))
        if len(outside):
            raise DataError(
                f"{data.name}: {part} label {y[outside[0]]} at row {outside[0]} is out of range: "
                f"there are {data.classes} classes, so labels run from 0 to {data.classes - 1}"
            )
        if np.issubdtype(x.dtype, np.floating):
            bad = np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))
            if len(bad):
                raise DataError(
                    f"{data.name}: {part} row {bad[0]} holds NaN or infinity ({len(bad)} such rows)",
                    hint="Remove or impute those rows first.",
                )
    if data.x_train.dtype != data.x_test.dtype:
        raise DataError(
            f"{data.name}: training inputs are {data.x_train.dtype}, test inputs {data.x_test.dtype}: they must agree",
            hint="uint8 images are scaled to 0–1 and floats are not, so mixing them would train on one and test on "
            "another.",
        )
    if data.x_train.shape[1:] != data.x_test.shape[1:]:
        raise DataError(
            f"{data.name}: training inputs have shape {data.x_train.shape[1:]}, "
            f"test inputs {data.x_test.shape[1:]}: they must be equal"
        )
    if data.classes < 2:
        raise DataError(f"{data.name}: a classifier needs at least 2 classes, found {data.classes}")
    if len(set(data.class_names)) < data.classes:
        twice = next(name for name in data.class_names if data.class_names.count(name) > 1)
        raise DataError(f"{data.name}: two classes are called '{twice}'", hint="Give every class a name of its own.")
    empty = np.setdiff1d(np.arange(data.classes), data.y_train)
    if len(empty):
        raise DataError(
            f"{data.name}: class {empty[0]} ('{data.class_names[empty[0]]}') has no training sample",
            hint="Remove the class (an empty folder counts as one), or number the labels without gaps.",
        )
    if data.sample_ids.shape != data.y_train.shape or len(np.unique(data.sample_ids)) != len(data.sample_ids):
        raise DataError(
            f"{data.name}: sample_ids must be {len(data)} different integers or texts, one per training sample"
        )
    if data.paths is not None and len(data.paths) != len(data):
        raise DataError(f"{data.name}: {len(data.paths)} paths for {len(data)} training samples")
