"""Whether reconstructions of a class are nearer to what the model saw of it than to what it did not see.

What a class looks like in the population is no secret of anybody in the training data. Which half of a class a shadow
model saw was drawn at random, so a reconstruction that knows the population alone is as near to one half as to the
other. Nearness of sample i to the reconstruction of model m is −‖x̂ₘ − xᵢ‖², less its mean over models of other pairs:
some samples are near to everything. Its AUC over members and others of the class is ½ where nothing is remembered.

A mean of the samples that a model did *not* see, the guess of somebody with data of the class and no model, comes out
below ½ (it is nearer to those), and a mean of its members above.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privaudit.results.audit.class_results import ClassCloseness, ClassOutcome
from privaudit.results.measures import Share
from privaudit.statistics import roc
from privaudit.statistics.intervals import FEWEST_PAIRS, mean_interval, wilson

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ClassSamples:
    """The samples of the pool, class by class.

    Parameters
    ----------
    flat
        float32 ``[N, D]``.
    labels
        int ``[N]``.
    keep
        bool ``[S, N]``; models 2p and 2p+1 are complements.
    """

    flat: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    keep: Truths

    def mean_of(self, label: int, *, members: bool) -> npt.NDArray[np.float32]:
        """By model, the mean of those of a class that it saw, or of the others: ``[S, D]``."""
        rows = self.labels == label
        chosen = self.keep[:, rows] if members else ~self.keep[:, rows]
        counts = np.maximum(chosen.sum(axis=1, keepdims=True), 1)
        found: npt.NDArray[np.float32] = (chosen.astype(np.float32) @ self.flat[rows]) / counts.astype(np.float32)
        return found


@dataclass(frozen=True)
class Nearness:
    """Of one class's reconstructions: AUC, whether the nearest is a member, and differences, ``[S]`` each."""

    auc: Floats
    nearest_member: Floats
    to_members: Floats
    to_others: Floats


def nearness(samples: ClassSamples, label: int, images: npt.NDArray[np.float32]) -> Nearness | None:
    """Hold reconstructions ``[S, D]`` of a class against its samples; None where a model saw all of them or none."""
    rows = samples.labels == label
    flat, keep = samples.flat[rows].astype(np.float64), samples.keep[:, rows]
    if not (keep.any(axis=1) & ~keep.all(axis=1)).all():
        return None
    guess = images.astype(np.float64)
    squared = (guess**2).sum(axis=1)[:, np.newaxis] + (flat**2).sum(axis=1) - 2 * guess @ flat.T
    squared = np.maximum(squared, 0.0)
    own_pair = np.repeat(squared[0::2] + squared[1::2], 2, axis=0)
    others = len(squared) - 2
    excess = squared - (squared.sum(axis=0) - own_pair) / others
    members, strangers = (np.where(chosen, squared, np.inf).min(axis=1) for chosen in (keep, ~keep))
    width = flat.shape[1]
    return Nearness(
        auc=np.array([roc.auc(-row, seen) for row, seen in zip(_rounded(excess, squared), keep, strict=True)]),
        nearest_member=np.where(members == strangers, 0.5, members < strangers).astype(np.float64),
        to_members=np.sqrt(members / width),
        to_others=np.sqrt(strangers / width),
    )


def closeness(found: list[Nearness], recognised: Truths) -> ClassCloseness:
    """Sum up over classes and models.

    Parameters
    ----------
    found
        A class each.
    recognised
        bool ``[S, C]``.
    """
    auc = _of_pairs(np.mean([one.auc for one in found], axis=0))
    nearest = _of_pairs(np.mean([one.nearest_member for one in found], axis=0))
    return ClassCloseness(
        auc=float(auc.mean()),
        auc_ci=_interval(auc),
        nearest_member=float(nearest.mean()),
        nearest_member_ci=_interval(nearest),
        to_members=float(np.mean([one.to_members for one in found])),
        to_others=float(np.mean([one.to_others for one in found])),
        recognised=_share(recognised),
    )


def outcome(name: str, found: Nearness, recognised: Truths) -> ClassOutcome:
    """One class's; ``recognised [S]``."""
    auc = _of_pairs(found.auc)
    return ClassOutcome(name=name, auc=float(auc.mean()), auc_ci=_interval(auc), recognised=_share(recognised))


def _interval(values: Floats) -> tuple[float, float] | None:
    """Pairs are independent draws, each one's reconstructions hang on its own models; shares stay within 0 and 1."""
    bounds = mean_interval(values, fewest=FEWEST_PAIRS)
    return None if bounds is None else (max(0.0, bounds[0]), min(1.0, bounds[1]))


def _of_pairs(values: Floats) -> Floats:
    pairs: Floats = values.reshape(-1, 2).mean(axis=1)
    return pairs


def _share(hits: Truths) -> Share:
    low, high = wilson(int(hits.sum()), hits.size)
    return Share(rate=float(hits.mean()), ci=(float(low), float(high)), n=int(hits.size))


def _rounded(excess: Floats, squared: Floats) -> Floats:
    """Differences that are rounding alone count as none: a guess that never varies tells nobody."""
    unit = 1e-9 * max(float(squared.max()), 1e-300)
    rounded: Floats = np.round(excess / unit) * unit
    return rounded
