"""Accuracy on D_u, D_r and the test set, and the tug of war between them."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from privaudit.results.unlearning.run import Accuracies

PARTS = ("forget", "retain", "test")


def accuracy(margin: npt.NDArray[Any]) -> float:
    """Share of samples whose margin is positive: the true class is the one and only top class."""
    return float((margin > 0).mean())


def tug_of_war(unlearned: Accuracies, retrained: Accuracies) -> float:
    """Return ToW (eq. 2 of the paper): Π over D_u, D_r and test of 1 − |a(θ_u) − a(θ_r)|; 0 … 1, higher is better."""
    return (
        (1 - abs(unlearned.forget - retrained.forget))
        * (1 - abs(unlearned.retain - retrained.retain))
        * (1 - abs(unlearned.test - retrained.test))
    )
