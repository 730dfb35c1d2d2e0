"""Which measures no other one beats in both accuracy and risk."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def pareto_front(accuracy: npt.ArrayLike, risk: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Tell which points are on the front: none is at least as accurate and at most as risky, and better in one.

    Parameters
    ----------
    accuracy, risk
        ``[n]``, higher and lower being better; a point without one of them (NaN) is never on the front.

    Returns
    -------
    numpy.ndarray
        bool ``[n]``; equal points are both on it.
    """
    up, down = np.asarray(accuracy, np.float64), np.asarray(risk, np.float64)
    known = np.isfinite(up) & np.isfinite(down)
    front = np.zeros(len(up), np.bool_)
    lowest = np.inf
    # From the most accurate on: what follows must be less risky than everything before it.
    order = [place for place in np.lexsort((down, -up)) if known[place]]
    for rank, place in enumerate(order):
        equal = rank > 0 and up[place] == up[order[rank - 1]] and down[place] == down[order[rank - 1]]
        front[place] = front[order[rank - 1]] if equal else down[place] < lowest
        lowest = min(lowest, float(down[place]))
    return front
