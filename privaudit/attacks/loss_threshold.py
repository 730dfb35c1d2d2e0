"""Floors for anything cleverer: the loss threshold (Yeom et al. 2018) and label-only correctness."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray


def loss_threshold(loss: npt.NDArray[Any]) -> FloatArray:
    """Score every cell by its negated loss: members tend to have a smaller one. Any shape in, the same out."""
    return -np.asarray(loss, np.float64)


def label_only(margin: npt.NDArray[Any]) -> FloatArray:
    """1 where the model is right, 0 where it is wrong, ½ on a tie: all that an attacker without logits sees."""
    return (np.sign(np.asarray(margin, np.float64)) + 1) / 2
