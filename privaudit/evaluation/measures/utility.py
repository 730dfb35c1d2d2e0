"""Accuracy on D_u, D_r and the test set, and the tug of war between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

PARTS = ("forget", "retain", "test")


def accuracy(margin: npt.NDArray[Any]) -> float:
    """Share of samples whose margin is positive: the true class is the one and only top class."""
    return float((margin > 0).mean())


def tug_of_war(unlearned: Mapping[str, float], retrained: Mapping[str, float]) -> float:
    """ToW (eq. 2 of the paper): Π over D_u, D_r and test of 1 − |a(θ_u) − a(θ_r)|; 0 … 1, higher is better."""
    product = 1.0
    for part in PARTS:
        product *= 1 - abs(unlearned[part] - retrained[part])
    return product
