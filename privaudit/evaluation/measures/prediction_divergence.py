"""How differently two models answer: the Jensen-Shannon distance between their predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, rel_entr


def jensen_shannon(logits: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Jensen-Shannon distance of each sample's two predictions, in [0, 1] (Endres and Schindelin 2003).

    Parameters
    ----------
    logits, others
        ``[n, C]`` of the same samples under two models; ``[n, 1]`` is a binary model's single logit, of class 1.

    Returns
    -------
    numpy.ndarray
        ``[n]``: √(½ KL(p‖m) + ½ KL(q‖m)) with m = ½(p + q), logarithms to base 2.
    """
    return distance_of(probabilities(logits), probabilities(others))


def distance_of(p: npt.NDArray[Any], q: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The same of two arrays ``[n, C]`` of probabilities."""
    middle = 0.5 * (p + q)
    divergence = 0.5 * (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=1) / np.log(2)
    distance: npt.NDArray[np.float64] = np.sqrt(np.clip(divergence, 0.0, 1.0))
    return distance


def probabilities(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Softmax of logits ``[n, C]`` (or of a binary model's ``[n, 1]``) in float64."""
    z = np.asarray(logits, np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    p: npt.NDArray[np.float64] = np.exp(log_softmax(z, axis=1))
    return p
