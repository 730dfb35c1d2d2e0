"""How far apart two Gaussians are: the accuracy of the best guess between them, and d′."""

from __future__ import annotations

import numpy as np
from scipy import stats

from privaudit.statistics.intervals import FloatArray


def bayes_accuracy(
    mean: FloatArray, variance: FloatArray, other_mean: FloatArray, other_variance: FloatArray
) -> FloatArray:
    """Accuracy of the best possible guess between two equally likely Gaussians: ½ + ½ · total variation.

    The densities cross where A u² + B u + C = 0 (u = x − other mean); between the crossings the narrower one is higher.

    Parameters
    ----------
    mean, variance, other_mean, other_variance
        Any equal shape; variances > 0.

    Returns
    -------
    numpy.ndarray
        Same shape, in [½, 1].
    """
    distance = mean - other_mean
    a = 0.5 * (1 / other_variance - 1 / variance)
    b = distance / variance
    c = -0.5 * np.log(variance / other_variance) - distance**2 / (2 * variance)
    # Dividing by q rather than subtracting roots: it holds where the variances are nearly equal and a crossing is far.
    q = -0.5 * (b + np.where(b < 0, -1.0, 1.0) * np.sqrt(np.maximum(b**2 - 4 * a * c, 0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.sort(np.stack([q / a, c / q]), axis=0)
        inside = stats.norm.cdf((roots - distance) / np.sqrt(variance))
        outside = stats.norm.cdf(roots / np.sqrt(other_variance))
    gap = np.abs((inside[1] - inside[0]) - (outside[1] - outside[0]))
    # Identical Gaussians have no crossing (0/0).
    accuracy: FloatArray = np.clip(0.5 + 0.5 * np.nan_to_num(gap), 0.5, 1.0)
    return accuracy


def d_prime(mean: FloatArray, variance: FloatArray, other_mean: FloatArray, other_variance: FloatArray) -> FloatArray:
    """d′ = (μ₁ − μ₀)/√(½(σ₁² + σ₀²)), the signal-to-noise ratio of signal detection theory."""
    ratio: FloatArray = (mean - other_mean) / np.sqrt(0.5 * (variance + other_variance))
    return ratio
