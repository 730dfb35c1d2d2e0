"""The likelihood ratio attack (Carlini et al. 2022), over all targets of the rotation at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.errors import EvidenceError
from privaudit.statistics.gaussian import (
    Moments,
    moments_of,
    pooled_variance,
    rotated_moments,
    shrunk_variance,
    variance_floor,
)
from privaudit.statistics.intervals import FloatArray

FEWEST_MODELS = 4


def complements(models: int) -> npt.NDArray[np.int64]:
    """The partner of each model in a paired design: 2p and 2p+1 complete each other."""
    return np.arange(models, dtype=np.int64) ^ 1


def online(
    statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_], partners: npt.NDArray[np.int64] | None = None
) -> FloatArray:
    """Online LiRA: log N(x; μ_in, σ_in) − log N(x; μ_out, σ_out), each model in turn being the target.

    Parameters
    ----------
    statistic
        ``[S, N]`` or, with augmented queries, ``[S, N, Q]`` (the ratio is averaged over queries).
    keep
        bool ``[S, N]``: whether model s was trained on sample i.
    partners
        ``[S]`` or ``[S, N]``: the model of the other side that is dropped together with the target. By default the
        complements of a paired design.

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]``: the log-likelihood ratio of every sample under every target. Where dropping the pair
        leaves fewer than two models a side there is no variance to speak of, and it is the difference of squared
        distances to the two means.

    Raises
    ------
    EvidenceError
        Where fewer than 4 models are given, or a sample has no model left on a side.
    """
    models = len(statistic)
    if models < FEWEST_MODELS:
        raise EvidenceError(
            f"LiRA needs at least {FEWEST_MODELS} shadow models, not {models}: the target and its complement are "
            "dropped from each fit, and both sides must keep a model",
            hint=f"Use --shadows {FEWEST_MODELS} or more; 16 and more give intervals worth having.",
        )
    if partners is None:
        partners = complements(models)
    queries = statistic[..., np.newaxis] if statistic.ndim == 2 else statistic
    total = np.zeros(queries.shape[:2])
    for query in range(queries.shape[2]):
        total += _one_query(queries[:, :, query], keep, partners)
    mean: FloatArray = total / queries.shape[2]
    return mean


def _one_query(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_], partners: npt.NDArray[np.int64]) -> FloatArray:
    models = len(values)
    squares = {side: np.zeros(models) for side in ("in", "out")}
    degrees = {side: np.zeros(models) for side in ("in", "out")}
    fewest = np.inf
    # First pass: each target's pooled variances, which must not have seen the target either.
    for _, _, inside, outside in rotated_moments(values, keep, partners):
        for side, moments in (("in", inside), ("out", outside)):
            squares[side] += moments.squares.sum(axis=1)
            degrees[side] += np.maximum(moments.count - 1, 0).sum(axis=1)
            fewest = min(fewest, float(moments.count.min()))
    if fewest < 1:
        raise EvidenceError("a sample has no shadow model left that saw it, or none that did not", hint=None)
    pooled = {side: (squares[side] / np.maximum(degrees[side], 1))[:, np.newaxis] for side in squares}
    floor = variance_floor(values)
    scores = np.empty(values.shape)
    for block, x, inside, outside in rotated_moments(values, keep, partners):
        if fewest < 2:
            scores[:, block] = (x - outside.mean) ** 2 - (x - inside.mean) ** 2
        else:
            scores[:, block] = _log_density(x, inside, pooled["in"], floor) - _log_density(
                x, outside, pooled["out"], floor
            )
    return scores


def _log_density(x: FloatArray, moments: Moments, pooled: FloatArray, floor: float) -> FloatArray:
    # Up to the constant −½ log 2π, which cancels in the ratio.
    variance = shrunk_variance(moments, pooled, floor)
    density: FloatArray = -0.5 * (np.log(variance) + (x - moments.mean) ** 2 / variance)
    return density


def offline_one_sided(target: npt.NDArray[Any], statistic: npt.NDArray[Any], out: npt.NDArray[np.bool_]) -> FloatArray:
    """Offline LiRA, one-sided (eq. 4 of Carlini et al. 2022): −log P(Z > (x − μ_out)/σ_out).

    Parameters
    ----------
    target
        ``[N]``: the statistic of each sample under the model that is attacked.
    statistic
        ``[S, N]``: the same under the shadow models.
    out
        bool ``[S, N]``: which shadow models speak for "never saw it"; equally many for every sample, or the sample
        variance itself would tell members apart.

    Returns
    -------
    numpy.ndarray
        float64 ``[N]``.
    """
    values = np.asarray(statistic, np.float64)
    moments = moments_of(values, out)
    if moments.count.min(initial=np.inf) < 2:
        raise EvidenceError("offline LiRA needs at least two shadow models that never saw each sample")
    pooled = pooled_variance(moments.squares, moments.count)
    deviation = np.sqrt(shrunk_variance(moments, pooled, variance_floor(values)))
    scores: FloatArray = -stats.norm.logsf((np.asarray(target, np.float64) - moments.mean) / deviation)
    return scores


def verdict_is_right(scores: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """1 where the sign of the ratio names the membership, 0 where it does not, ½ on a tie; ``[S, N]``."""
    return np.where(scores == 0, 0.5, (scores > 0) == keep)
