"""Three meanings of "difficult to unlearn", kept apart, and when each sample was forgotten (docs/unlearning.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.results.measures import Correlation
from privaudit.statistics.intervals import spearman

DIFFICULTIES = ("forgettability", "fidelity", "shift")


def per_sample_difficulty(
    original: npt.NDArray[Any], unlearned: npt.NDArray[Any], reference: npt.NDArray[Any] | None
) -> pd.DataFrame:
    """Compare margins ``[n]`` of the forget samples under three models.

    Returns
    -------
    pandas.DataFrame
        - forgettability: original − unlearned (the paper's sense: how far it moved; higher is easier to forget)
        - fidelity: |unlearned − reference| (RUM's sense: how far from where it should be; higher is harder)
        - shift: original − reference (intrinsic: how far it should move)

        The last two are NaN where there is no reference.
    """
    nothing = np.full(len(original), np.nan)
    return pd.DataFrame(
        {
            "forgettability": (original - unlearned).astype(np.float64),
            "fidelity": nothing if reference is None else np.abs(unlearned - reference).astype(np.float64),
            "shift": nothing if reference is None else (original - reference).astype(np.float64),
        }
    )


def relate_to_risk(
    risk: npt.NDArray[Any], risk_beside_reference: npt.NDArray[Any], difficulty: pd.DataFrame
) -> dict[str, Correlation]:
    """Spearman's correlation of risk with each difficulty, with intervals.

    Fidelity and shift are held against ``risk_beside_reference``, measured by other models than the reference.
    """
    return {
        name: spearman(risk if name == "forgettability" else risk_beside_reference, difficulty[name])
        for name in DIFFICULTIES
    }


def forgotten_at(steps: npt.NDArray[np.int64], is_forgotten: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The first moment from which on a sample stays forgotten, ``[n]``; NaN where it is not forgotten at the end.

    Parameters
    ----------
    steps
        ``[T]`` moments, rising.
    is_forgotten
        bool ``[T, n]``.
    """
    # Read backwards: how many looks in a row, up to the last, found the sample forgotten.
    lasting = np.cumprod(is_forgotten[::-1], axis=0).sum(axis=0)
    first = len(steps) - lasting
    return np.where(lasting > 0, steps[np.minimum(first, len(steps) - 1)], np.nan)
