"""The blind baseline: can training samples be told from test samples where no model is asked?

Membership figures that compare the two mean something only where they come from the same source (Das et al. 2024,
Meeus et al. 2024). So classifiers that see the inputs and labels alone try to tell them apart; they must fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.data.plain_features import MOST_COLUMNS, Components, reduced, statistics_of
from privaudit.results.audit.controls import BlindBaseline, Sides
from privaudit.runtime.seeds import generator
from privaudit.statistics.intervals import FloatArray, clopper_pearson, logit_interval
from privaudit.statistics.performance import placements
from privaudit.statistics.roc import auc

#: The most samples of a side: half of them to fit on, half to judge by, then the other way round.
MOST_SAMPLES = 4_000

#: Fewer of a side say nothing.
FEWEST_SAMPLES = 20

#: It fails where chance alone would be as far off in fewer than this share of audits.
LEVEL = 0.025

#: The χ² distribution holds where chance puts so many of each class on either side (Cochran 1954); else redraws.
FEWEST_EXPECTED = 5
REDRAWS = 9_999

#: Up to so many classes, trees are told each of them apart.
MOST_INDICATORS = 32


#: Inputs and labels of training or of test samples.
Side = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]


def blind_baseline(train: Side, test: Side, seed: int) -> BlindBaseline | None:
    """Tell training from test samples by inputs and labels alone, cross-fitted in two halves.

    Inputs are told apart within classes: a class weighs the same on both sides. Whether classes are mixed alike is a
    question of its own (χ² over the drawn samples), which a stratified split answers better than chance would.

    A logistic regression, boosted trees and the nearest neighbour add up their log odds: on principal components,
    simple statistics of each input (brightness, contrast, gradients, frequencies, or the like for tables), the columns
    of a narrow table, and the label. Each half of the samples is judged by what was fitted on the other.

    Both halves judge the same pairs of samples, so their AUCs may move together: the standard error is that of one half
    alone, which is at least that of their mean.

    Parameters
    ----------
    train, test
        Inputs ``[N, …]`` and labels ``[N]`` of each side; at most `MOST_SAMPLES` of each are drawn.
    seed
        The audit's seed; draws the samples and the halves.

    Returns
    -------
    BlindBaseline or None
        None where a side has fewer than `FEWEST_SAMPLES` samples.
    """
    from threadpoolctl import threadpool_limits

    if min(len(train[1]), len(test[1])) < FEWEST_SAMPLES:
        return None
    random = generator(seed, "blind-baseline")
    drawn = [np.sort(random.permutation(len(labels))[:MOST_SAMPLES]) for _, labels in (train, test)]
    is_training = np.repeat([True, False], [len(rows) for rows in drawn])
    half = np.concatenate([random.permutation(len(rows)) % 2 for rows in drawn])
    inputs = np.concatenate([train[0][drawn[0]], test[0][drawn[1]]])
    labels = np.concatenate([train[1][drawn[0]], test[1][drawn[1]]])
    # One thread: the order of additions, and so the last bits, never vary.
    with threadpool_limits(1):
        described = _Described.of(inputs, labels)
        halves = [(half != one, half == one) for one in (0, 1)]
        areas, errors, widths = [], [], []
        for fitted, judged in halves:
            scores = described.log_odds(is_training, _weights(is_training, labels, fitted), judged)
            side = is_training[judged]
            areas.append(auc(scores, side))
            errors.append(_error(scores, side))
            widths.append(np.sqrt((len(side) + 1) / (12 * side.sum() * (~side).sum())))
    area = float(np.mean(areas))
    above = float(stats.norm.sf((area - 0.5) / np.mean(widths)))
    mixed = np.stack([np.bincount(labels[part], minlength=labels.max() + 1) for part in (is_training, ~is_training)])
    uneven = _uneven(mixed[:, mixed.sum(axis=0) > 0], random)
    fewest = int(min(map(len, drawn)))
    interval = logit_interval(area, float(np.mean(errors)), fewest - 1)
    if interval is None:
        # All of one side lie above all of the other: as sure as that many heads in a row.
        interval = (clopper_pearson(fewest, fewest)[0], 1.0) if area > 0.5 else (0.0, clopper_pearson(0, fewest)[1])
    p = smaller_p(above, uneven)
    return BlindBaseline(
        auc=area,
        ci=interval,
        p=p,
        inputs_p=above,
        classes_p=uneven,
        holds=p >= LEVEL,
        samples=Sides(training=len(drawn[0]), test=len(drawn[1])),
    )


def smaller_p(inputs_p: float, classes_p: float) -> float:
    """Return the smaller of both, corrected for there being two."""
    return min(1.0, 2 * min(inputs_p, classes_p))


def _uneven(counts: npt.NDArray[np.int64], random: np.random.Generator) -> float:
    """How often chance mixes classes as unevenly as ``[2, C]`` counts, by χ².

    Where classes have few samples the χ² distribution does not hold (with 25 test samples it calls 4% of audits uneven
    where 1.25% should be): then samples change sides at random, within the number of each class and side.
    """
    classes, test = counts.sum(axis=0), int(counts[1].sum())
    expected = classes * test / classes.sum()
    if min(expected.min(), (classes - expected).min()) >= FEWEST_EXPECTED:
        return float(stats.chi2_contingency(counts, correction=False).pvalue)
    redrawn = random.multivariate_hypergeometric(classes, test, size=REDRAWS, method="marginals")
    off = [np.square(drawn - expected) @ (1 / expected) for drawn in (counts[1], redrawn)]
    return float((1 + (off[1] >= off[0] * (1 - 1e-9)).sum()) / (1 + REDRAWS))


def _weights(
    is_training: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], fitted: npt.NDArray[np.bool_]
) -> FloatArray:
    """Weights of the fitted, 0 for all others: each class weighs the same on both sides, and as much as is there."""
    cell = 2 * labels + is_training
    counts = np.bincount(cell[fitted], minlength=2 * int(labels.max()) + 2).reshape(-1, 2).astype(np.float64)
    shared = counts.min(axis=1) > 0
    if not shared.any():
        counts[:] = counts.sum(axis=0)
        shared[:] = True
    weight = np.where(shared[:, np.newaxis], counts.sum(axis=1, keepdims=True) / np.maximum(2 * counts, 1), 0.0)
    return np.where(fitted, weight.ravel()[cell], 0.0)


def _error(scores: FloatArray, side: npt.NDArray[np.bool_]) -> float:
    """Standard error of an AUC over independent samples (DeLong et al. 1988)."""
    placed = placements(scores, side)
    return float(np.sqrt(sum(np.var(placed[part], ddof=1) / part.sum() for part in (side, ~side))))


@dataclass(frozen=True)
class _Described:
    """What the classifiers see: ``linear`` and ``trees`` are standardised features, ``components`` give distances."""

    linear: FloatArray
    trees: FloatArray
    components: FloatArray

    @classmethod
    def of(cls, inputs: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> _Described:
        """Describe the samples; nothing here knows which side one is of."""
        is_table, rows = inputs.ndim != 4, reduced(inputs)
        found = Components(rows, is_table=is_table).of(rows).astype(np.float64)
        parts = [found, statistics_of(inputs)]
        if is_table and rows.shape[1] <= MOST_COLUMNS:
            parts.append(rows.astype(np.float64))
        features = np.concatenate(parts, axis=1)
        deviation = features.std(axis=0)
        features = ((features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))[:, deviation > 0]
        classes, place = np.unique(labels, return_inverse=True)
        indicators = np.eye(len(classes))[place]
        of_trees = indicators if len(classes) <= MOST_INDICATORS else place[:, np.newaxis].astype(np.float64)
        return cls(np.concatenate([features, indicators], 1), np.concatenate([features, of_trees], 1), found)

    def log_odds(
        self, is_training: npt.NDArray[np.bool_], weights: FloatArray, judged: npt.NDArray[np.bool_]
    ) -> FloatArray:
        """Return the log odds of being a training sample for the judged, by what those with a weight teach."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression

        fitted = weights > 0
        side, weight = is_training[fitted], weights[fitted]
        linear = LogisticRegression(C=0.01, max_iter=1_000).fit(self.linear[fitted], side, sample_weight=weight)
        trees = HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=8, l2_regularization=5, max_bins=63, early_stopping=False, random_state=0
        ).fit(self.trees[fitted], side, sample_weight=weight)
        scores: FloatArray = (
            linear.decision_function(self.linear[judged])
            + trees.decision_function(self.trees[judged])
            + self._nearest(side, fitted, judged)
        )
        return scores

    def _nearest(
        self, side: npt.NDArray[np.bool_], fitted: npt.NDArray[np.bool_], judged: npt.NDArray[np.bool_]
    ) -> FloatArray:
        """Half the log ratio of squared distances to the nearest of either side: finds copies."""
        known, asked = self.components[fitted], self.components[judged]
        floor = 1e-6 * max(float(np.sum(self.components**2)) / len(self.components), np.finfo(np.float64).tiny)
        squares = np.sum(asked**2, axis=1)[:, np.newaxis] + np.sum(known**2, axis=1) - 2 * asked @ known.T
        nearest = [np.maximum(squares[:, part].min(axis=1), 0.0) + floor for part in (side, ~side)]
        ratio: FloatArray = np.clip(0.5 * np.log(nearest[1] / nearest[0]), -3, 3)
        return ratio
