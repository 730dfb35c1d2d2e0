"""Attacks and scores at their edges: single values, ties, gaps and scales, each against a number known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.scoring.blind import BlindBaseline, _weights
from privaudit.shadow.design import paired_design


def test_a_statistic_that_no_other_model_shares_scores_as_far_as_float32_can_tell() -> None:
    """All other models say 0, the target says 10: away by 10 / (10 · 10⁻⁶) deviations, and not by infinitely many."""
    keep = paired_design(40, 8, 0)
    values = np.zeros(keep.shape)
    values[0] = 10.0
    one, two = (lira.offline(values, keep, sides=sides)[0] for sides in ("one", "two"))
    np.testing.assert_allclose(one, -stats.norm.logsf(1e6))
    np.testing.assert_allclose(two, 0.5 * (np.log(1e-10) + 1e12))
    of_other = lira.of_other_model(values[0], np.zeros(keep.shape), keep)
    np.testing.assert_array_equal(of_other, np.zeros(40))


def test_a_cell_without_a_ratio_has_no_verdict() -> None:
    scores = np.array([[np.nan, 2.0, -2.0, 0.0], [np.nan, 2.0, -2.0, 0.0]])
    keep = np.array([[True] * 4, [False] * 4])
    np.testing.assert_array_equal(lira.verdict_is_right(scores, keep), [[np.nan, 1, 0, 0.5], [np.nan, 0, 1, 0.5]])


def test_pairs_and_masks_bound_an_odd_sample_alike() -> None:
    """Half of the work by pairs, or cell by cell: one sample of a spread far off counts for as much in either."""
    random = np.random.default_rng(0)
    keep = paired_design(100, 10, 0)
    values = random.normal(size=keep.shape)
    values[:, 7] *= 1e4
    by_pairs = lira.online(values, keep, variance="global")
    by_cells = lira.online(values, keep, variance="global", used=np.ones(keep.shape, np.bool_))
    np.testing.assert_allclose(by_pairs, by_cells, rtol=1e-9)


def test_two_questions_of_the_blind_baseline_double_the_smaller_p() -> None:
    def found(inputs: float, classes: float) -> BlindBaseline:
        return BlindBaseline(0.5, None, inputs_p=inputs, classes_p=classes, training=100, test=100)

    assert found(0.02, 0.5).p == found(0.5, 0.02).p == pytest.approx(0.04)
    assert found(0.9, 0.8).p == 1
    assert found(0.0126, 0.5).holds
    assert not found(0.0124, 0.5).holds


def test_the_blind_baseline_weighs_a_class_alike_on_both_sides() -> None:
    labels = np.repeat([0, 1, 2], [100, 40, 30])
    is_training = np.concatenate([np.arange(100) < 80, np.arange(40) < 10, np.ones(30, np.bool_)])
    fitted = np.arange(170) % 2 == 0
    weights = _weights(is_training, labels, fitted)
    assert np.all(weights[~fitted] == 0)
    for label, count in ((0, 50), (1, 20)):
        for side in (is_training, ~is_training):
            assert weights[side & (labels == label)].sum() == pytest.approx(count / 2)
    assert np.all(weights[labels == 2] == 0), "a class of one side alone would tell the sides by its label"
