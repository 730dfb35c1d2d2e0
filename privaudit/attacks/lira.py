"""The likelihood ratio attack (Carlini et al. 2022), over all targets of the rotation at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.errors import EvidenceError
from privaudit.statistics.gaussian import (
    RESOLUTION,
    Moments,
    Variance,
    evenly_spaced,
    largest_variance,
    log_density,
    moments_of,
    pooled_variance,
    rotated_moments,
    shrunk_variance,
    variance_floor,
)
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.leave_pair_out import is_paired, paired_moments, unpaired

FEWEST_MODELS = 4

#: Whether offline LiRA looks at one side of the OUT distribution or at both.
Sides = Literal["one", "two"]

#: Moments of one side's models and its pooled variance.
Fit = tuple[Moments, FloatArray]


def complements(models: int) -> npt.NDArray[np.int64]:
    """The partner of each model in a paired design: 2p and 2p+1 complete each other."""
    return np.arange(models, dtype=np.int64) ^ 1


def online(
    statistic: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    partners: npt.NDArray[np.int64] | None = None,
    variance: Variance = "shrunk",
    used: npt.NDArray[np.bool_] | None = None,
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
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
    variance
        How the spread of each side is estimated; see `privaudit.statistics.gaussian.log_density`.
    used
        bool ``[S, N]``: the cells that take part, equally many a side for each sample; None where all do. The noise of
        a mean depends on how many models it is of: were a sample seen by more models than not, its ratios would all
        lean to one side, and tell how often it was seen.
    out
        Where to put the result, ``[S, N]`` of any float type, perhaps memory-mapped: besides it little memory is used.

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]`` (or ``out``), NaN outside ``used``: the log-likelihood ratio of every sample under every
        target. Where dropping the pair leaves one model a side of every sample, there is no variance to speak of, and
        it is the difference of squared distances to the two means.

    Raises
    ------
    EvidenceError
        Where fewer than 4 models are given, an odd number of them without ``partners``, or a sample has no model left
        on a side.
    """

    def ratio(x: FloatArray, inside: Fit, outside: Fit, floor: FloatArray) -> FloatArray:
        return log_density(x, *inside, floor, variance) - log_density(x, *outside, floor, variance)

    return _rotate(statistic, keep, partners, used, _Verdict(ratio, _nearer_mean), out)


def offline(
    statistic: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    partners: npt.NDArray[np.int64] | None = None,
    sides: Sides = "one",
    used: npt.NDArray[np.bool_] | None = None,
) -> FloatArray:
    """Offline LiRA: how unlikely the statistic is under models that never saw the sample, each model being the target.

    Parameters
    ----------
    statistic, keep, partners, used
        As for `online`. No cell of a model that saw the sample is read but the target's own. Yet a model of the other
        side is dropped with the target: without that the number of OUT models would tell the membership.
    sides
        - one: −log P(Z > (x − μ_out)/σ_out), eq. 4 of Carlini et al. (2022)
        - two: −log N(x; μ_out, σ_out), large on either side, as some reference code has it

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]``. Where one OUT model a sample is left there is no variance to speak of, and it is x − μ_out
        (one) or its square (two).
    """
    verdict = _Verdict(_tail, _above_others) if sides == "one" else _Verdict(_surprise, _far_from_others)
    return _rotate(statistic, keep, partners, used, replace(verdict, reads_inside=False))


@dataclass(frozen=True)
class _Verdict:
    """What an attack makes of a statistic and the models that are left.

    Parameters
    ----------
    of_fits
        Takes the statistic, the IN and OUT fits and the smallest variance.
    of_means
        Where one model a side is left, so that there is no variance: takes the statistic, IN and OUT moments.
    reads_inside
        Whether the models that saw a sample may have a say, be it only in what counts as rounding.
    """

    of_fits: Callable[[FloatArray, Fit, Fit, FloatArray], FloatArray]
    of_means: Callable[[FloatArray, Moments, Moments], FloatArray]
    reads_inside: bool = True


def _rotate(
    statistic: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    partners: npt.NDArray[np.int64] | None,
    used: npt.NDArray[np.bool_] | None,
    verdict: _Verdict,
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """Mean over queries of what ``verdict`` makes of each block's statistic and its IN and OUT fits."""
    models = len(statistic)
    if models < FEWEST_MODELS:
        raise EvidenceError(
            f"LiRA needs at least {FEWEST_MODELS} shadow models, not {models}: the target and its complement are "
            "dropped from each fit, and both sides must keep a model",
            hint=f"Use --shadows {FEWEST_MODELS} or more; 16 and more give intervals worth having.",
        )
    if partners is None and models % 2:
        raise EvidenceError(
            f"{models} models are no complementary pairs: who is dropped with each target must be given"
        )
    queries = statistic[..., np.newaxis] if statistic.ndim == 2 else statistic
    mean = np.empty(queries.shape[:2]) if out is None else out
    mean[...] = 0
    share = 1 / queries.shape[2]
    paired = partners is None and used is None and is_paired(keep)
    if partners is None:
        partners = complements(models)
    for query in range(queries.shape[2]):
        if paired:
            _add_paired(queries[:, :, query], keep, verdict, share, mean)
            continue
        for block, scores in _one_query(queries[:, :, query], keep, partners, used, verdict):
            mean[:, block] += share * scores
    return mean


def _one_query(
    values: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    partners: npt.NDArray[np.int64],
    used: npt.NDArray[np.bool_] | None,
    verdict: _Verdict,
) -> Iterator[tuple[slice, FloatArray]]:
    models = len(values)
    taking_part = np.ones(keep.shape, np.bool_) if used is None else used
    sides = (keep & taking_part, ~keep & taking_part)
    few = evenly_spaced(values.shape[1])
    bounds = [largest_variance(moments_of(np.asarray(values[:, few], np.float64), side[:, few])) for side in sides]
    squares, degrees = np.zeros((2, models)), np.zeros((2, models))
    fewest = np.inf
    # First pass: each target's pooled variances, which must not have seen the target either.
    for block, _, *both in rotated_moments(values, keep, partners, used):
        part = taking_part[:, block]
        for side, moments in enumerate(both):
            of_side = np.maximum(moments.count - 1, 0)
            squares[side] += np.sum(np.minimum(moments.squares, bounds[side] * of_side), axis=1, where=part)
            degrees[side] += np.sum(of_side, axis=1, where=part)
            fewest = min(fewest, float(np.min(moments.count, where=part, initial=np.inf)))
    if fewest < 1:
        raise EvidenceError("a sample has no shadow model left that saw it, or none that did not", hint=None)
    pooled_in, pooled_out = (squares / np.maximum(degrees, 1))[:, :, np.newaxis]
    floor = variance_floor(values, taking_part if verdict.reads_inside else sides[1])
    for block, x, inside, outside in rotated_moments(values, keep, partners, used):
        if degrees.any():
            scores = verdict.of_fits(x, (inside, pooled_in), (outside, pooled_out), floor[block])
        else:
            scores = verdict.of_means(x, inside, outside)
        yield block, scores if used is None else np.where(used[:, block], scores, np.nan)


def _add_paired(
    values: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    verdict: _Verdict,
    share: float,
    out: npt.NDArray[Any],
) -> None:
    """What `_one_query` does, for complementary pairs, in half of the work: see `leave_pair_out`."""
    pairs, samples = len(values) // 2, values.shape[1]
    if pairs < 3:
        for block, x, inside, outside in paired_moments(values, keep):
            unpaired(share * verdict.of_means(x, inside, outside), keep[:, block], out[:, block])
        return
    few = evenly_spaced(samples)
    spaced = np.asarray(values[:, few], np.float64)
    largest = [(pairs - 2) * largest_variance(moments_of(spaced, side[:, few])) for side in (keep, ~keep)]
    squares = np.zeros((2, pairs))
    for _, _, *both in paired_moments(values, keep):
        squares += [np.minimum(side.squares, most).sum(axis=1) for side, most in zip(both, largest, strict=True)]
    pooled_in, pooled_out = squares[:, :, np.newaxis] / (samples * (pairs - 2))
    floor = variance_floor(values, None if verdict.reads_inside else ~keep)
    for block, x, inside, outside in paired_moments(values, keep):
        scores = verdict.of_fits(x, (inside, pooled_in), (outside, pooled_out), floor[block])
        unpaired(scores if share == 1 else share * scores, keep[:, block], out[:, block])


def _nearer_mean(x: FloatArray, inside: Moments, outside: Moments) -> FloatArray:
    """One model a side leaves no variance to speak of: the nearer mean decides."""
    return (x - outside.mean) ** 2 - (x - inside.mean) ** 2


def _above_others(x: FloatArray, _: Moments, outside: Moments) -> FloatArray:
    return x - outside.mean


def _far_from_others(x: FloatArray, _: Moments, outside: Moments) -> FloatArray:
    away: FloatArray = (x - outside.mean) ** 2
    return away


def _tail(x: FloatArray, _: Fit, outside: Fit, floor: FloatArray) -> FloatArray:
    moments, pooled = outside
    variance = np.maximum(shrunk_variance(moments, pooled, floor), (RESOLUTION * x) ** 2)
    scores: FloatArray = -stats.norm.logsf((x - moments.mean) / np.sqrt(variance))
    return scores


def _surprise(x: FloatArray, _: Fit, outside: Fit, floor: FloatArray) -> FloatArray:
    return -log_density(x, *outside, np.maximum(floor, (RESOLUTION * x) ** 2))


def of_other_model(target: npt.NDArray[Any], statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Online LiRA of a model that is none of the shadow models, with all of them as reference.

    Parameters
    ----------
    target
        ``[N]``: the statistic under the model that is attacked.
    statistic, keep
        ``[S, N]`` of the shadow models.

    Returns
    -------
    numpy.ndarray
        float64 ``[N]``.
    """
    values = np.asarray(statistic, np.float64)
    x = np.asarray(target, np.float64)
    floor = np.maximum(variance_floor(values), (RESOLUTION * x) ** 2)
    density = []
    for side in (keep, ~keep):
        moments = moments_of(values, side)
        density.append(log_density(x, moments, pooled_variance(moments), floor))
    ratio: FloatArray = density[0] - density[1]
    return ratio


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
    x = np.asarray(target, np.float64)
    fit = (moments, pooled_variance(moments))
    return _tail(x, fit, fit, variance_floor(values, out))


def verdict_is_right(scores: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """1 where the sign of the ratio names the membership, 0 where it does not, ½ on a tie, NaN on NaN; ``[S, N]``."""
    right = np.where(scores == 0, 0.5, (scores > 0) == keep)
    return np.where(np.isnan(scores), np.nan, right)
