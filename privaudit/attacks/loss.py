"""The loss threshold (Yeom et al. 2018): members tend to have a smaller loss. A floor for anything cleverer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray


def loss_threshold(loss: npt.NDArray[Any]) -> FloatArray:
    """Score every cell by its negated loss; any shape in, the same out."""
    return -np.asarray(loss, np.float64)
