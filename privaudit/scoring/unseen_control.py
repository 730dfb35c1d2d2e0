"""Training samples that a shadow model never saw, against test samples: under that model neither is a member.

The target's figure compares its members with test samples. Where the same comparison under models that saw neither
reads something, the difference lies in the data, and the target's figure is not one of membership alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.attacks import lira
from privaudit.results.audit.controls import Sides, SpreadOfModels, UnseenControl
from privaudit.results.measures import Interval
from privaudit.runtime.seeds import generator
from privaudit.shadow.design import paired_design
from privaudit.signals import signal
from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, logit_interval
from privaudit.statistics.leave_pair_out import paired_moments, unpaired
from privaudit.statistics.performance import placements

#: The most samples of a side.
MOST_SAMPLES = 5_000

#: Fewer of a side say nothing.
FEWEST_SAMPLES = 20

#: How often samples change sides at random.
REDRAWS = 999

#: It fails where chance alone would be as far off in fewer than this share of audits.
LEVEL = 0.025


def never_seen(
    shadow_signals: npt.NDArray[Any], keep: npt.NDArray[np.bool_], shadow_test: npt.NDArray[Any], seed: int
) -> UnseenControl | None:
    """Tell never-seen training samples from test samples, each shadow model in turn standing for the target.

    Each test sample gets a made-up membership, so that it is judged by as many models as a training sample, and its
    complement dropped alike. Only cells outside are looked at: under the null hypothesis a row of them (a sample under
    the models that did not see it) is the same whichever side it is of, so rows may change sides at random. That is an
    exact test (Fisher 1935), however models and samples depend on each other.

    Parameters
    ----------
    shadow_signals, keep
        ``[S, N, Q, K]`` and ``[S, N]`` of training samples, complementary pairs.
    shadow_test
        ``[S, M, Q, K]`` of test samples.
    seed
        The audit's seed; draws samples, made-up membership and changes of side.

    Returns
    -------
    UnseenControl or None
        None where a side has fewer than `FEWEST_SAMPLES` samples.
    """
    if min(shadow_signals.shape[1], shadow_test.shape[1]) < FEWEST_SAMPLES:
        return None
    random = generator(seed, "never-seen")
    drawn = [np.sort(random.permutation(count)[:MOST_SAMPLES]) for count in (keep.shape[1], shadow_test.shape[1])]
    made_up = paired_design(len(drawn[1]), len(keep), seed, "never-seen")
    outside = ~np.concatenate([keep[:, drawn[0]], made_up], axis=1)
    margins = np.concatenate(
        [signal(part[:, rows, 0], "margin") for part, rows in zip((shadow_signals, shadow_test), drawn, strict=True)], 1
    )
    is_training = np.arange(len(drawn[0]) + len(drawn[1])) < len(drawn[0])
    kinds = [_Ranked.of(scores, outside) for scores in (_offline(margins, ~outside), margins)]
    sides = np.stack([is_training, *(random.permutation(is_training) for _ in range(REDRAWS))])
    attacked, bare = (kind.areas(sides) for kind in kinds)
    off = np.stack([abs(attacked.mean(1) - 0.5), np.square(attacked - 0.5).sum(1), abs(bare.mean(1) - 0.5)], axis=1)
    p = _smallest_p(off)
    return UnseenControl(
        auc=float(attacked[0].mean()),
        ci=_interval(kinds[0], is_training, attacked[0]),
        margin_auc=float(bare[0].mean()),
        of_models=SpreadOfModels(
            lowest=float(attacked[0].min()),
            highest=float(attacked[0].max()),
            spread=float(attacked[0].std(ddof=1)),
            spread_by_chance=float(np.sqrt(attacked[1:].var(axis=1, ddof=1).mean())),
        ),
        p=p,
        holds=p >= LEVEL,
        models=len(keep),
        samples=Sides(training=len(drawn[0]), test=len(drawn[1])),
    )


def _offline(margins: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Offline LiRA of every model, and with a single pair left, which has no spread, the distance from its OUT mean."""
    if len(keep) >= 6:
        return lira.offline(margins, keep)
    scores = np.zeros(margins.shape)
    for block, x, _, outside in paired_moments(np.asarray(margins, np.float64), keep):
        unpaired(x - outside.mean, keep[:, block], scores[:, block])
    return scores


def _smallest_p(off: FloatArray) -> float:
    """Chance of being as far off in any respect, from ``[1 + R, T]`` whose first row is what was observed.

    The smallest p-value over respects is held against the smallest ones of the redraws (Westfall and Young 1993).
    """
    count = len(off)
    shares = np.stack([(count + 1 - stats.rankdata(column, "min")) / count for column in off.T], axis=1).min(axis=1)
    return float((shares <= shares[0]).mean())


@dataclass(frozen=True)
class _Ranked:
    """Ranks ``[S, n]`` of the cells outside within their model, 0 for the others, and which cells are outside."""

    ranks: FloatArray
    outside: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, scores: npt.NDArray[Any], outside: npt.NDArray[np.bool_]) -> _Ranked:
        """Rank each model's cells outside."""
        ranks = np.zeros(scores.shape)
        for model, cells in enumerate(outside):
            ranks[model, cells] = stats.rankdata(scores[model, cells])
        return cls(ranks, outside)

    def areas(self, sides: npt.NDArray[np.bool_]) -> FloatArray:
        """Return each model's AUC, ``[R, S]``, for each assignment of sides ``[R, n]``."""
        inside = sides.astype(np.float32)
        # Centred, so that float32 sums stay exact enough.
        centre = (self.outside.sum(axis=1) + 1) / 2
        ranks = np.where(self.outside, self.ranks - centre[:, np.newaxis], 0.0)
        count = (inside @ self.outside.T.astype(np.float32)).astype(np.float64)
        sums = (inside @ ranks.T.astype(np.float32)).astype(np.float64) + count * centre
        others = self.outside.sum(axis=1) - count
        with np.errstate(invalid="ignore", divide="ignore"):
            areas = (sums - count * (count + 1) / 2) / (count * others)
        # A model that has all its cells on one side says nothing.
        return np.where((count > 0) & (others > 0), areas, 0.5)


def _interval(ranked: _Ranked, side: npt.NDArray[np.bool_], areas: FloatArray) -> Interval | None:
    """The interval of the mean AUC over models, where both samples and pairs of models are random.

    The variance is that over samples (each under all its models), and what the scatter over pairs exceeds that of their
    single cells by: the two-way clustered variance (Cameron, Gelbach and Miller 2011).
    """
    pairs = len(areas) // 2
    if pairs < FEWEST_PAIRS:
        return None
    influence = np.zeros(ranked.ranks.shape)
    for model, cells in enumerate(ranked.outside):
        own_side = side[cells]
        beats = placements(ranked.ranks[model, cells], own_side)
        mean = np.where(own_side, areas[model], 1 - areas[model])
        weight = np.where(own_side, 1, -1) / np.where(own_side, own_side.sum(), (~own_side).sum())
        influence[model, cells] = (beats - mean) * weight / len(areas)
    of_samples = float(np.square(influence.sum(axis=0)).sum())
    of_cells = float(np.square(influence).sum())
    of_pairs = float(areas.reshape(pairs, 2).mean(axis=1).var(ddof=1)) / pairs
    error = float(np.sqrt(of_samples + max(of_pairs - of_cells, 0.0)))
    return logit_interval(float(areas.mean()), error, pairs - 1)
