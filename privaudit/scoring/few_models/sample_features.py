"""What the conditional attack is told of every sample: how it looks, its label, what the model says of it elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data.plain_features import MOST_COLUMNS, Components, reduced, statistics_of
from privaudit.statistics.intervals import FloatArray

#: Principal components of the inputs that are told.
COMPONENTS = 16

#: Components are found on at most so many samples.
MOST_SAMPLES = 4_000

#: Up to so many classes, each has a column of its own.
MOST_CLASSES = 32


def of_inputs(inputs: npt.NDArray[Any]) -> FloatArray:
    """Describe inputs ``[n, …]`` without any model, ``[n, d]``: columns of a narrow table as they are."""
    is_table, rows = inputs.ndim != 4, reduced(inputs)
    found = Components(rows[:: max(1, len(rows) // MOST_SAMPLES)], is_table=is_table, most=COMPONENTS).of(rows)
    parts = [found.astype(np.float64), statistics_of(inputs)]
    if is_table and rows.shape[1] <= MOST_COLUMNS:
        parts.append(rows.astype(np.float64))
    return np.concatenate(parts, axis=1)


def of_labels(labels: npt.NDArray[np.int64]) -> FloatArray:
    """Return a column for each class, or of many classes the label alone."""
    classes, place = np.unique(labels, return_inverse=True)
    return np.eye(len(classes))[place] if len(classes) <= MOST_CLASSES else place[:, np.newaxis].astype(np.float64)
