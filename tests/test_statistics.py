"""Statistics against scipy, scikit-learn, closed forms and simulations with a known answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from privaudit.attacks import lira
from privaudit.shadow.design import paired_design
from privaudit.statistics.gaussian import moments_of, pooled_variance, rotated_moments
from privaudit.statistics.group_accuracy import right_shares
from privaudit.statistics.intervals import FloatArray, clopper_pearson, logit_interval, spearman, wilson
from privaudit.statistics.jackknife import Refits, jackknife_error
from privaudit.statistics.performance import performance
from privaudit.statistics.roc import auc, balanced_accuracy, roc


def test_wilson_is_scipys() -> None:
    for successes, trials in [(0, 16), (3, 16), (8, 16), (16, 16), (700, 1000)]:
        expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
        low, high = wilson(successes, trials)
        assert low == pytest.approx(expected.low, abs=1e-12)
        assert high == pytest.approx(expected.high, abs=1e-12)


def test_wilson_covers() -> None:
    random = np.random.default_rng(1)
    for p in (0.5, 0.8, 0.95):
        low, high = wilson(random.binomial(64, p, 20_000), 64)
        assert 0.93 < float(((low <= p) & (p <= high)).mean()) < 0.98


def test_spearman_is_scipys_and_its_interval_covers() -> None:
    random = np.random.default_rng(2)
    a = random.normal(size=200).round(1)
    b = a + random.normal(size=200)
    assert spearman(a, b).spearman == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    # Normal pairs with Pearson r have Spearman's ρ = 6/π asin(r/2).
    r, covered = 0.6, 0
    truth = 6 / np.pi * np.arcsin(r / 2)
    for _ in range(1000):
        pair = random.multivariate_normal([0, 0], [[1, r], [r, 1]], size=80)
        interval = spearman(pair[:, 0], pair[:, 1]).ci
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert 0.93 <= covered / 1000 <= 0.97


def test_spearman_of_a_constant_is_none() -> None:
    found = spearman(np.ones(50), np.arange(50))
    assert found.spearman is None
    assert found.ci is None


def test_logit_interval_needs_an_estimate_inside() -> None:
    assert logit_interval(1.0, 0.1, 7) is None
    assert logit_interval(0.7, float("inf"), 7) is None
    low, high = logit_interval(0.7, 0.02, 7) or (0, 0)
    assert 0 < low < 0.7 < high < 1


@pytest.mark.parametrize("decimals", [1, 6], ids=["many ties", "few ties"])
def test_roc_is_scikit_learns(decimals: int) -> None:
    random = np.random.default_rng(3)
    member = random.random(3000) < 0.4
    scores = (random.normal(size=3000) + member).round(decimals)
    ours = roc(scores, member)
    fpr, tpr, _ = roc_curve(member, scores, drop_intermediate=False)
    np.testing.assert_allclose(ours.false_positives / ours.negatives, fpr[1:], atol=1e-12)
    np.testing.assert_allclose(ours.true_positives / ours.positives, tpr[1:], atol=1e-12)
    assert auc(scores, member) == pytest.approx(roc_auc_score(member, scores), abs=1e-12)
    assert performance(scores, member).auc == pytest.approx(roc_auc_score(member, scores), abs=1e-9)
    for rate in (0.2, 0.05, 0.01):
        assert ours.tpr_at(rate)[0] == pytest.approx(tpr[fpr <= rate].max(), abs=1e-12)


def test_choosing_a_threshold_costs_nothing_on_noise() -> None:
    """The best threshold on the same cells reads above ½; chosen on others it reads ½, or the closed form."""
    random = np.random.default_rng(20)
    member = np.arange(400) % 4 < 2
    fold = np.arange(400) // 50
    found = []
    for _ in range(300):
        value = balanced_accuracy(random.normal(size=400), member, fold)
        assert value is not None
        found.append(value)
    assert abs(np.mean(found) - 0.5) <= 4 * np.std(found) / np.sqrt(300)
    many = np.arange(200_000)
    scores = random.normal(size=len(many)) + 2 * (many % 2)
    assert balanced_accuracy(scores, many % 2 == 1, many // 2) == pytest.approx(stats.norm.cdf(1), abs=0.004)
    assert balanced_accuracy(scores[:4], np.array([True, True, False, False]), np.array([0, 0, 1, 1])) is None


def test_ties_make_no_phantom_tpr() -> None:
    member = np.arange(1000) % 2 == 0
    assert roc(np.zeros(1000), member).tpr_at(0.01)[0] == 0
    found = performance(np.zeros((10, 1000)), np.broadcast_to(member, (10, 1000)))
    assert found.auc == 0.5
    assert found.tpr_at_fpr["0.01"] == 0


def test_too_little_evidence_is_said() -> None:
    random = np.random.default_rng(4)
    found = performance(random.normal(size=1200), np.arange(1200) < 200)
    assert found.tpr_at_fpr["0.01"] is not None  # 1% of 1,000 is 10 false alarms
    assert found.tpr_at_fpr["0.001"] is None  # 0.1% is one
    assert found.smallest_fpr == pytest.approx(0.01)


def test_clustered_interval_covers_where_models_differ() -> None:
    """Models differ in how much they leak: cells of one pair are dependent, and the interval must know it."""
    random = np.random.default_rng(5)
    pairs, cells, simulations = 8, 300, 600
    effects = random.normal(1.0, 0.25, (simulations, pairs))
    # With a pair's own shift d, the pooled AUC is the mean over d of Φ(d/√2): members of N(d, 1) against N(0, 1).
    truth = float(stats.norm.cdf(1.0 / np.sqrt(2 + 0.25**2)))
    member = np.tile(np.arange(cells) < cells // 2, (pairs, 1))
    clusters = np.repeat(np.arange(pairs)[:, None], cells, axis=1)
    covered = naive = 0
    for effect in effects:
        scores = random.normal(size=(pairs, cells)) + effect[:, None] * member
        interval = performance(scores, member, clusters).auc_ci
        independent = performance(scores, member).auc_ci
        assert interval is not None
        assert independent is not None
        covered += interval[0] <= truth <= interval[1]
        naive += independent[0] <= truth <= independent[1]
    assert 0.92 <= covered / simulations <= 0.98
    assert naive < covered  # what pooling cells as if independent would claim


def leaking_models(
    random: np.random.Generator, pairs: int, cells: int, shift: float, spread: float
) -> tuple[FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Scores of models that differ in how much they leak and in where their scores lie."""
    member = np.tile(np.arange(cells) < cells // 2, (pairs, 1))
    scores = random.normal(size=(pairs, cells)) + random.normal(0, spread / 2, (pairs, 1))
    scores = scores + random.normal(shift, spread, (pairs, 1)) * member
    return scores, member, np.repeat(np.arange(pairs)[:, None], cells, axis=1)


def tpr_coverage(pairs: int, cells: int, shift: float, spread: float, simulations: int) -> dict[float, float]:
    """How often the 95% interval of TPR at each FPR holds the TPR of infinitely many models."""
    random = np.random.default_rng(11)
    many, member, _ = leaking_models(random, 2000, 1000, shift, spread)
    truth = {fpr: float((many[member] >= np.quantile(many[~member], 1 - fpr)).mean()) for fpr in (0.01, 0.001)}
    held: dict[float, list[bool]] = {fpr: [] for fpr in truth}
    for _ in range(simulations):
        found = performance(*leaking_models(random, pairs, cells, shift, spread)).tpr_ci
        for fpr, value in truth.items():
            if (interval := found[f"{fpr:g}"]) is not None:
                held[fpr].append(interval[0] <= value <= interval[1])
    return {fpr: float(np.mean(often)) for fpr, often in held.items() if often}


def test_tpr_interval_covers() -> None:
    for fpr, coverage in tpr_coverage(8, 3000, 1.0, 0.2, 300).items():
        assert coverage >= 0.91, fpr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pairs", "cells", "shift", "spread"),
    [
        (4, 3000, 1, 0),
        (4, 3000, 1, 0.2),
        (16, 3000, 1, 0.2),
        (8, 6000, 0.2, 0.05),
        (8, 6000, 2.5, 0.3),
        (8, 6000, 0, 0),
    ],
)
def test_tpr_interval_covers_everywhere(pairs: int, cells: int, shift: float, spread: float) -> None:
    for fpr, coverage in tpr_coverage(pairs, cells, shift, spread, 1000).items():
        assert 0.92 <= coverage <= 0.985, fpr


def test_tpr_interval_holds_its_estimate() -> None:
    """Also where nothing is found, everything is, or all scores are equal."""
    random = np.random.default_rng(12)
    member = np.tile(np.arange(1000) < 500, (8, 1))
    clusters = np.repeat(np.arange(8)[:, None], 1000, axis=1)
    for scores in (random.normal(size=member.shape), 50.0 * member, -50.0 * member, np.zeros(member.shape)):
        for given in (clusters, None):
            found = performance(scores, member, given)
            for fpr, tpr in found.tpr_at_fpr.items():
                if tpr is not None:
                    interval = found.tpr_ci[fpr]
                    assert interval is not None
                    assert interval[0] <= tpr <= interval[1]
                    assert interval[0] < interval[1]


def test_clopper_pearson_is_scipys() -> None:
    for successes, trials in [(0, 16), (3, 16), (16, 16), (700, 1000)]:
        expected = stats.binomtest(successes, trials).proportion_ci(method="exact")
        assert clopper_pearson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_interval_below_four_pairs() -> None:
    random = np.random.default_rng(6)
    member = np.tile(np.arange(100) < 50, (6, 1))
    clusters = np.repeat(np.arange(3), 2)[:, None] * np.ones((1, 100), int)
    found = performance(random.normal(size=(6, 100)), member, clusters)
    assert found.auc_ci is None
    assert set(found.tpr_ci.values()) == {None}


def test_rotated_moments_are_those_of_what_is_left() -> None:
    random = np.random.default_rng(7)
    models, samples = 10, 7
    values = random.normal(size=(models, samples)) * 100
    keep = np.zeros((models, samples), bool)
    for pair in range(models // 2):
        keep[2 * pair] = random.random(samples) < 0.5
        keep[2 * pair + 1] = ~keep[2 * pair]
    ((_, _, inside, outside),) = rotated_moments(values, keep, np.arange(models) ^ 1)
    for model in range(models):
        left = np.setdiff1d(np.arange(models), [model, model ^ 1])
        for sample in range(samples):
            for moments, side in ((inside, True), (outside, False)):
                chosen = values[left][keep[left, sample] == side, sample]
                assert moments.count[model, sample] == len(chosen)
                assert moments.mean[model, sample] == pytest.approx(chosen.mean(), abs=1e-9)
                assert moments.squares[model, sample] == pytest.approx(chosen.var() * len(chosen), abs=1e-6)


def test_pooled_variance_ignores_the_spread_between_samples() -> None:
    random = np.random.default_rng(8)
    values = random.normal(scale=2, size=(40, 5000)) + random.normal(scale=50, size=5000)
    moments = moments_of(values, np.ones(values.shape, bool))
    assert float(pooled_variance(moments)) == pytest.approx(4, rel=0.02)


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(40).normal(size=12)
    without = [np.delete(values, i).mean() for i in range(12)]
    assert jackknife_error(without) == pytest.approx(stats.sem(values))


def test_refits_leave_each_pair_out_once() -> None:
    seen = np.zeros(40, int)
    for left, scores in Refits(40, lambda left: np.flatnonzero(left)[:, np.newaxis]):
        assert np.array_equal(left[0::2], left[1::2])  # whole pairs
        assert scores.ravel().tolist() == np.flatnonzero(left).tolist()
        seen += ~left
    assert (seen == 1).all()
    assert Refits(40, np.asarray).groups == 16
    assert list(Refits(6, np.asarray)) == []  # two pairs left would leave one model a side


def test_leaving_models_out_of_an_attack_that_compares_none_changes_nothing() -> None:
    """There the jackknife must agree with the intervals of independent clusters."""
    random = np.random.default_rng(41)
    scores, member, clusters = leaking_models(random, 12, 4000, 1.0, 0.3)
    plain = performance(scores, member, clusters)
    refits = [(np.delete(scores, pair, axis=0), np.delete(member, pair, axis=0)) for pair in range(12)]
    found = performance(scores, member, clusters, refits)
    assert found.auc_standard_error == pytest.approx(plain.auc_standard_error, rel=0.02)
    for fpr, theirs in plain.tpr_ci.items():
        if theirs is not None:
            assert found.tpr_ci[fpr] == pytest.approx(theirs, rel=0.1)


def test_one_odd_model_widens_an_interval() -> None:
    """Scores of all targets move with a model that all are compared with: only the jackknife sees it."""
    random = np.random.default_rng(42)
    keep = paired_design(400, 16, 0)
    values = random.normal(size=keep.shape) + keep
    values[3] += 6
    pair = np.broadcast_to((np.arange(16) // 2)[:, np.newaxis], keep.shape)
    refits = Refits(16, lambda left: lira.online(values[left], keep[left]))
    scores = np.asarray(lira.online(values, keep))
    apart = performance(scores, keep, pair).auc_ci
    together = performance(scores, keep, pair, ((left, keep[rows]) for rows, left in refits)).auc_ci
    assert apart is not None
    assert together is not None
    assert together[1] - together[0] > 1.2 * (apart[1] - apart[0])


def test_shares_of_known_chance_are_covered() -> None:
    random = np.random.default_rng(43)
    keep = paired_design(300, 16, 0)
    group = (np.arange(300) < 60).astype(np.int64)
    chance = np.where(group == 1, 0.8, 0.6)
    held = np.zeros(2)
    for _ in range(300):
        right = random.random(keep.shape) < chance
        intervals = right_shares(np.where(right == keep, 1.0, -1.0), keep, group, np.arange(16) // 2).intervals()
        for index, truth in enumerate((0.6, 0.8)):
            interval = intervals[index]
            assert interval is not None
            held[index] += interval[0] <= truth <= interval[1]
    assert ((held / 300 > 0.91) & (held / 300 < 0.99)).all()
