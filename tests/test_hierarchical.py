"""Hierarchical LiRA against a slow, obvious implementation; on noise; and where its assumptions hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.hierarchical import hierarchical
from privaudit.shadow.design import paired_design
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.roc import auc


def in_bins(value: FloatArray, bins: int) -> list[npt.NDArray[np.int64]]:
    order = np.argsort(value, kind="stable")
    edges = np.linspace(0, len(value), bins + 1).astype(int)
    return [order[start:end] for start, end in pairwise(edges)]


def obvious_hierarchical(values: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """One target at a time, sample by sample, as the docstring has it."""
    models, samples = values.shape
    bins = int(np.clip(samples // 50, 1, 20))
    scores = np.empty((models, samples))
    for model in range(models):
        left = np.setdiff1d(np.arange(models), [model, model ^ 1])
        groups = {side: [values[left, i][keep[left, i] == side] for i in range(samples)] for side in (True, False)}
        mean = {side: np.array([group.mean() for group in groups[side]]) for side in groups}
        squares = {side: np.array([((group - group.mean()) ** 2).sum() for group in groups[side]]) for side in groups}
        n = len(groups[True][0])
        density = {}
        for side in (True, False):
            pooled, tau = np.empty(samples), np.empty(samples)
            for chosen in in_bins(mean[False], bins):
                pooled[chosen] = squares[side][chosen].mean() / (n - 1)
            variance = (squares[side] + 8 * pooled) / (n - 1 + 8)
            alike = in_bins(mean[not side], bins)
            at = [mean[not side][chosen].mean() for chosen in alike]
            expected = np.interp(mean[not side], at, [mean[side][chosen].mean() for chosen in alike])
            for chosen in alike:
                around = ((mean[side][chosen] - expected[chosen]) ** 2).mean()
                tau[chosen] = max(0.0, around - (variance[chosen] / n).mean())
            weight = tau / (tau + variance / n)
            centre = weight * mean[side] + (1 - weight) * expected
            scale = np.sqrt(variance + weight * variance / n)
            density[side] = stats.t.logpdf(values[model], n - 1 + 8, centre, scale)
        scores[model] = density[True] - density[False]
    return scores


@pytest.mark.parametrize("samples", [30, 170])
def test_it_is_the_obvious_one(samples: int) -> None:
    random = np.random.default_rng(0)
    keep = paired_design(samples, 10, 0)
    values = random.normal(size=samples) * 3 + random.normal(size=keep.shape) + keep * random.exponential(2, samples)
    np.testing.assert_allclose(hierarchical(values, keep), obvious_hierarchical(values, keep), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("models", [4, 6, 8, 16])
def test_noise_reads_one_half(models: int) -> None:
    """Also where samples differ wildly in level and spread: what is lent must not tell who is IN."""
    random = np.random.default_rng(models)
    areas = []
    for draw in range(40):
        keep = paired_design(600, models, draw)
        values = random.normal(size=600) * 5 + random.normal(size=keep.shape) * random.uniform(0.2, 5, 600)
        areas.append(auc(hierarchical(values, keep).ravel(), keep.ravel()))
    assert abs(np.mean(areas) - 0.5) <= 4 * np.std(areas, ddof=1) / np.sqrt(len(areas))


def test_few_models_are_worth_more() -> None:
    """Where a sample's shift follows from its level, more than half of what 8 models lose to the truth is regained."""
    random = np.random.default_rng(1)
    keep = paired_design(4000, 8, 0)
    level = random.normal(0, 2, 4000)
    shift = 1 + 0.5 * np.tanh(level)
    values = level + shift * keep + random.normal(size=keep.shape)
    best = auc(((values - level) * shift - shift**2 / 2).ravel(), keep.ravel())
    ours = auc(hierarchical(values, keep).ravel(), keep.ravel())
    plain = auc(np.asarray(lira.online(values, keep)).ravel(), keep.ravel())
    assert best - plain > 0.04
    assert best - ours < 0.5 * (best - plain)


def test_constants_huge_values_and_queries() -> None:
    keep = paired_design(120, 8, 0)
    assert np.all(hierarchical(np.full(keep.shape, 17.3, np.float32), keep) == 0)
    random = np.random.default_rng(2)
    assert np.isfinite(hierarchical(random.choice([-1e4, 1e4], size=keep.shape).astype(np.float32), keep)).all()
    queries = random.normal(size=(*keep.shape, 3))
    mean = np.mean([hierarchical(queries[:, :, query], keep) for query in range(3)], axis=0)
    np.testing.assert_allclose(hierarchical(queries, keep), mean, atol=1e-12)
