"""What a model's logits say of one sample: margin, logit gap, scaled logit, loss, entropy, confidence.

Everything is computed in float64 from the logits themselves. Going through probabilities loses it: in float32,
log(p / (1 - p)) is infinite once the gap passes 17.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

#: The signals of a sample, in the order in which they are stored.
SIGNALS = ("margin", "logit-gap", "scaled-logit", "loss", "entropy", "confidence")


def signals_of(logits: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Compute every signal.

    Parameters
    ----------
    logits
        ``[N, C]``; ``[N, 1]`` is a binary model's single logit, of class 1.
    labels
        int64 ``[N]`` in ``0 … C-1``.

    Returns
    -------
    numpy.ndarray
        float32 ``[N, K]`` in the order of `SIGNALS`:

        - margin: z_y − max_{j≠y} z_j
        - logit-gap: largest minus second largest logit (the paper's; it ignores the label)
        - scaled-logit: z_y − log Σ_{j≠y} exp z_j (Carlini et al. 2022)
        - loss: cross-entropy, −log softmax(z)_y, in nats
        - entropy: of softmax(z), in nats, 0 … ln C
        - confidence: softmax(z)_y, 0 … 1
    """
    z = np.asarray(logits, np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    rows = np.arange(len(z))
    own = z[rows, labels]
    others = z.copy()
    others[rows, labels] = -np.inf
    margin = own - others.max(axis=1)
    top_two = np.partition(z, -2, axis=1)[:, -2:]
    scaled = own - logsumexp(others, axis=1)
    log_p = z - logsumexp(z, axis=1, keepdims=True)
    probability = np.exp(log_p)
    # p log p is 0 at p = 0, where log p may be -inf.
    entropy = -np.sum(np.where(probability > 0, probability * np.where(probability > 0, log_p, 0.0), 0.0), axis=1)
    columns = [margin, top_two[:, 1] - top_two[:, 0], scaled]
    columns += [np.logaddexp(0.0, -scaled), np.maximum(entropy, 0.0), np.exp(-np.logaddexp(0.0, -scaled))]
    return np.stack(columns, axis=1).astype(np.float32)


def signal(signals: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """One signal out of an array whose last axis is `SIGNALS`."""
    chosen: npt.NDArray[Any] = signals[..., SIGNALS.index(name)]
    return chosen
