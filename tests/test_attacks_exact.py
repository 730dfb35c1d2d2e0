"""Attacks and what is made of them where a plain case says nothing: ties, queries, groups, few models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.rmia import rmia
from privaudit.attacks.suite import ATTACKS, Evidence
from privaudit.evaluation.measures.difficulty import relate_to_risk
from privaudit.inversion.image_similarity import place
from privaudit.results.audit.outliers import Outliers, OutlyingModel
from privaudit.results.audit.score_results import Stability
from privaudit.scoring.canary_epsilon import bound_from_trials
from privaudit.scoring.reliability.confirmation import _why_not, is_certain
from privaudit.scoring.reliability.outliers import find_outliers, models_to_leave_out
from privaudit.scoring.reliability.simulated_audits import pair_correlation
from privaudit.scoring.subgroups import differences, exposure
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS, signals_of
from privaudit.statistics.epsilon_bounds import epsilon_from_trials
from privaudit.statistics.gaussian import Moments, log_density, moments_of
from privaudit.statistics.group_accuracy import right_shares
from privaudit.statistics.intervals import clopper_pearson, logit_interval
from privaudit.statistics.paired_tests import holm
from privaudit.statistics.performance import Evaluation, performance
from privaudit.statistics.roc import balanced_accuracy, roc


def two_queries(models: int = 8, used: npt.NDArray[np.bool_] | None = None) -> Evidence:
    random = np.random.default_rng(0)
    keep = paired_design(40, models, 0)
    shape = (models, 40, 2, len(SIGNALS))
    population = random.normal(size=(models, 30, 2, len(SIGNALS)))
    return Evidence(random.normal(size=shape), keep, None, used, population)


def test_plain_signals_are_those_of_the_first_query_and_fewer_models_have_their_own_population() -> None:
    evidence = two_queries()
    margin = SIGNALS.index("margin")
    np.testing.assert_array_equal(evidence.plain("margin"), evidence.signals[:, :, 0, margin])
    assert evidence.population is not None
    np.testing.assert_array_equal(evidence.plain_population("margin"), evidence.population[:, :, 0, margin])
    left = np.arange(8) > 3
    np.testing.assert_array_equal(
        evidence.of_models(left).plain_population("margin"), evidence.population[left, :, 0, margin]
    )
    np.testing.assert_array_equal(
        ATTACKS["loss"].score(evidence), -evidence.signals[:, :, 0, SIGNALS.index("loss")].astype(float)
    )


def test_attacks_leave_masked_cells_out_and_say_which_need_pairs() -> None:
    used = np.ones((8, 40), np.bool_)
    for sample in range(40):
        used[[2 * (sample % 4), 2 * (sample % 4) + 1], sample] = False
    evidence = two_queries(used=used)
    for name in ("lira", "lira-bayes", "lira-offline", "lira-offline-two-sided"):
        np.testing.assert_array_equal(np.isnan(ATTACKS[name].score(evidence)), ~used, err_msg=name)
    unpaired = replace(evidence, partners=np.arange(8) ^ 1)
    assert not ATTACKS["lira-hierarchical"].applies_to(unpaired)
    assert ATTACKS["lira-hierarchical"].applies_to(two_queries())
    assert {name for name, attack in ATTACKS.items() if not attack.compares_models} == {
        "loss",
        "label-only",
        "population",
    }


def test_a_sample_that_is_just_as_well_known_outdoes_it() -> None:
    """P(ratio(x)/ratio(z) ≥ γ): equal counts."""
    keep = paired_design(20, 8, 0)
    np.testing.assert_array_equal(rmia(np.zeros(keep.shape), keep, np.zeros((8, 10))), np.ones(keep.shape))


def test_logits_of_any_size_have_a_margin() -> None:
    found = signals_of(np.array([[5.0, -2000.0, -3000.0]]), np.array([0]))[0]
    assert found[SIGNALS.index("margin")] == found[SIGNALS.index("scaled-logit")] == 2005


def test_squares_that_are_left_are_never_negative_and_one_model_has_the_pooled_variance() -> None:
    values = 1e3 + np.random.default_rng(0).normal(size=(3, 2000))
    left = moments_of(values, np.ones(values.shape, np.bool_)).without(values[0])
    left = left.without(values[1])
    assert np.all(left.squares >= 0)
    moments = Moments(np.array([1.0, 4.0]), np.zeros(2), np.array([0.0, 6.0]))
    density = log_density(np.array([1.0, 1.0]), moments, np.array([4.0, 4.0]), np.full(2, 1e-9), "per-sample")
    np.testing.assert_allclose(density, [-0.5 * (np.log(4) + 1 / 4), -0.5 * (np.log(2) + 1 / 2)])


def test_who_may_be_named_at_the_edges() -> None:
    assert is_certain(np.array([0.9, 0.9 - 1e-12, 0.89])).tolist() == [True, True, False]

    def stability(low: float, high: float) -> Stability:
        return Stability(split_half=0.3, spread=0.1, split_half_ci=(0.2, 0.4), reliability=0.5, ci=(low, high))

    assert _why_not(stability(0.06, 0.9), 0.5, 10, anyone=True) is None
    assert "not surely above" in (_why_not(stability(0.04, 0.9), 0.9, 10, anyone=True) or "")
    assert "less than half" in (_why_not(stability(0.06, 0.9), 0.49, 10, anyone=True) or "")
    assert "no sample" in (_why_not(stability(0.06, 0.9), 0.9, 10, anyone=False) or "")


def test_the_bound_is_that_of_the_most_exposed_canary_on_halves_that_the_seed_draws() -> None:
    random = np.random.default_rng(3)
    keep = paired_design(5, 64, 0)
    noise = random.normal(size=keep.shape)
    exposed = noise.copy()
    exposed[:, 3] += 6 * keep[:, 3]
    bound = bound_from_trials(exposed, keep, 0)
    assert bound is not None
    assert (bound.canary, bound.hits, bound.trials) == (-4, 16, 16), "canaries are -1, -2, …"
    found = [bound_from_trials(noise, keep, seed) for seed in range(6)]
    assert len({(one.canary, one.hits, one.alarms) for one in found if one is not None}) > 1


def test_a_test_that_never_misses_bounds_epsilon_by_its_misses() -> None:
    """Where alarms are many and misses none, it is 1 − FPR over 1 − TPR that can't be private."""
    hits, alarms, trials = 400, 200, 400
    low, high = clopper_pearson(hits, trials)[0], clopper_pearson(alarms, trials)[1]
    assert np.log(low / high) < 1 < np.log((1 - high) / (1 - low))
    assert epsilon_from_trials(hits, trials, alarms, trials, 0) == pytest.approx(np.log((1 - high) / (1 - low)))


@pytest.mark.parametrize("sizes", [(60, 40), (4, 96)])
def test_the_p_of_two_groups_in_closed_form(sizes: tuple[int, int]) -> None:
    """Two-sided t of the difference over √(V_pairs + V_samples − V_cells); no correction, and none of four samples."""
    random = np.random.default_rng(4)
    keep = paired_design(100, 16, 0)
    group = np.repeat([0, 1], sizes)
    right = random.random(keep.shape) < random.uniform(0.5, 1, 100) - 0.04 * group
    ratio = np.where(right == keep, 1.0, -1.0)
    shares = right_shares(ratio, keep, group, np.arange(16) // 2)
    found = differences(right.astype(float), group, shares)
    if min(sizes) < 5:
        assert found == {}
        return
    by_pair = right.reshape(8, 2, 100).mean(axis=1)
    gaps = by_pair[:, group == 0].mean(axis=1) - by_pair[:, group == 1].mean(axis=1)
    risk = right.mean(axis=0)
    variance = gaps.var(ddof=1) / 8
    extra = 0.0
    for label in (0, 1):
        part = risk[group == label]
        extra += stats.sem(part) ** 2 - np.mean(part * (1 - part) / 15) / len(part)
    assert extra > 0
    expected = 2 * stats.t.sf(abs(gaps.mean()) / np.sqrt(variance + extra), 7)
    assert 0.001 < expected < 0.9
    assert found == {0: pytest.approx(expected), 1: pytest.approx(expected)}


def test_groups_of_unequal_size_are_held_against_everybody_else() -> None:
    """The rest is a mean over its samples, not over its groups; nine right of ten is a high risk."""
    random = np.random.default_rng(5)
    keep = paired_design(150, 20, 0)
    group = np.repeat([0, 1, 2], [20, 30, 100])
    right = random.random(keep.shape) < 0.5 + 0.4 * (group == 1) * random.random((20, 1))
    right[:, 0] = np.arange(20) % 10 > 0
    ratio = np.where(right == keep, 1.0, -1.0)
    shares = right_shares(ratio, keep, group, np.arange(20) // 2)
    weights = np.array([1, -30 / 130, -100 / 130])
    by_pair = right.reshape(10, 2, 150).mean(axis=1)
    gaps = by_pair[:, group == 0].mean(axis=1) - by_pair[:, group > 0].mean(axis=1)
    assert shares.contrast_error(weights) == pytest.approx(stats.sem(gaps), rel=1e-6)
    risk, alone = right.mean(axis=0), []
    for index in range(3):
        sides = (group == index, group != index)
        gaps = by_pair[:, sides[0]].mean(axis=1) - by_pair[:, sides[1]].mean(axis=1)
        extra = 0.0
        for side in sides:
            part = risk[side]
            extra += stats.sem(part) ** 2 - np.mean(part * (1 - part) / 19) / len(part)
        alone.append(2 * stats.t.sf(abs(gaps.mean()) / np.sqrt(stats.sem(gaps) ** 2 + max(extra, 0.0)), 9))
    found_p = differences(right.astype(float), group, shares)
    assert [found_p[index] for index in range(3)] == pytest.approx(holm([float(p) for p in alone]), rel=1e-6)
    found = exposure(group.astype(str), ratio, keep, np.arange(20) // 2)
    for one in found.groups:
        assert one.high == int((risk[group == int(one.name)] > 0.9 - 1e-9).sum())


def test_a_group_is_attacked_anew_without_each_pair_by_itself() -> None:
    random = np.random.default_rng(6)
    keep = paired_design(400, 16, 0)
    group = np.repeat([0, 1], 200)
    values = random.normal(size=keep.shape) + keep
    values[3, :200] += 6
    left_out = [(np.arange(16) // 2 != pair) for pair in range(8)]
    refits = [(left, np.asarray(lira.online(values[left], keep[left]))) for left in left_out]
    ratio = np.asarray(lira.online(values, keep))
    found = exposure(group.astype(str), ratio, keep, np.arange(16) // 2, refits)
    pair = np.broadcast_to((np.arange(16) // 2)[:, np.newaxis], keep.shape)
    for one in found.groups:
        own = group == int(one.name)
        alone = performance(
            ratio[:, own], keep[:, own], pair[:, own], ((score[:, own], keep[left][:, own]) for left, score in refits)
        )
        assert one.attack is not None
        assert one.attack.auc_ci == pytest.approx(alone.auc_ci)


def test_degrees_of_freedom_of_one_model_and_of_models_left_out() -> None:
    random = np.random.default_rng(7)
    member = np.arange(60) < 12
    scores = random.normal(size=60) + member
    alone = performance(scores, member)
    assert alone.auc_standard_error is not None
    assert alone.auc_ci == pytest.approx(logit_interval(alone.auc, alone.auc_standard_error, 11))
    keep = paired_design(100, 10, 0)
    values = random.normal(size=keep.shape) + keep
    pair = np.broadcast_to((np.arange(10) // 2)[:, np.newaxis], keep.shape)
    refits = [
        (np.delete(values, [2 * one, 2 * one + 1], 0), np.delete(keep, [2 * one, 2 * one + 1], 0)) for one in range(5)
    ]
    together = performance(values, keep, pair, refits)
    assert together.auc_standard_error is not None
    assert together.auc_ci == pytest.approx(logit_interval(together.auc, together.auc_standard_error, 4))


def test_what_a_rate_becomes_without_some_models() -> None:
    """Smoothed: hits less slope times alarms; exactly: at the threshold that lets through 1% of those that are left."""
    # A member between any two others, and one that equals every second of them.
    scores = np.concatenate([np.arange(3000) + 0.5, np.arange(0.0, 3000, 2), np.arange(3000.0)])
    member = np.arange(7500) < 4500
    cluster = np.random.default_rng(8).integers(0, 8, 7500)
    evaluation = Evaluation(scores, member, cluster)
    curve = roc(scores, member)
    threshold, width, slope = curve.tpr_at(0.01)[1], curve.width_at(0.01), curve.slope_at(0.01)
    moved = []
    for left in (cluster != one for one in range(8)):
        evaluation.leave_out(scores[left], member[left])
        inside, outside = scores[left & member], scores[left & ~member]
        above = [stats.norm.cdf((part - threshold) / width).mean() for part in (inside, outside)]
        moved.append([above[0] - slope * above[1], roc(scores[left], member[left]).tpr_at(0.01)[0]])
    np.testing.assert_allclose([[part[1] for part in both] for both in evaluation._without], moved)
    # Of the two the one that varies less tells the error.
    influence = 7 / 8 * (np.mean(moved, axis=0) - moved)
    smaller = influence[:, np.argmin(np.std(moved, axis=0))]
    influence = evaluation.performance().influence
    assert influence is not None
    np.testing.assert_allclose(influence.tpr["0.01"], smaller)


def test_what_a_pair_contributes_to_a_rate_and_which_half_judges_it() -> None:
    """A model that says more of everything has more hits and more false alarms: in the error they make up."""
    random = np.random.default_rng(11)
    clusters = np.broadcast_to(np.arange(16)[:, np.newaxis] // 2, (16, 500))
    member = random.random((16, 500)) < 0.5
    scores = random.normal(size=(16, 500)) + member + 0.5 * random.normal(size=(8, 1)).repeat(2, axis=0)
    found = performance(scores, member, clusters)
    curve = roc(scores.ravel(), member.ravel())
    tpr, threshold = curve.tpr_at(0.01)
    called = scores >= threshold
    alarms = (called & ~member).sum() / curve.negatives
    cells = np.where(
        member, (called - tpr) / curve.positives, -curve.slope_at(0.01) * (called - alarms) / curve.negatives
    )
    assert found.influence is not None
    np.testing.assert_allclose(found.influence.tpr["0.01"], cells.reshape(8, -1).sum(axis=1), atol=1e-12)
    by_pairs = balanced_accuracy(scores.ravel(), member.ravel(), clusters.ravel())
    assert found.balanced_accuracy == by_pairs != balanced_accuracy(scores.ravel(), member.ravel(), np.arange(8000))


def test_verdicts_that_are_not_there_are_not_asked() -> None:
    keep = paired_design(50, 12, 0)
    ratio = np.where(keep, 1.0, -1.0)
    ratio[:4] *= -1
    ratio[2:4] = np.nan
    found = right_shares(ratio, keep, np.zeros(50, np.int64), np.arange(12) // 2)
    assert found.share[0] == pytest.approx((400 + 0.5) / (500 + 1))


def test_the_correlation_of_two_pairs_reads_what_it_is() -> None:
    """Of so few pairs a plain correlation reads a third too near 0."""
    random = np.random.default_rng(9)
    keep = np.zeros((4, 40_000), np.bool_)
    keep[0::2] = True
    values = random.normal(size=keep.shape)
    values[1::2] = -0.5 * values[0::2] + np.sqrt(0.75) * values[1::2]
    # A correlation of two pairs is ±1: its mean is (2/π) arcsin ρ, which is 2/π ρ for small ρ.
    assert pair_correlation(values, keep) == pytest.approx(np.arcsin(-0.5), abs=0.02)


def test_what_stands_out_at_its_edges() -> None:
    random = np.random.default_rng(10)
    values = random.normal(size=(16, 4000))
    values[5] = np.median(values, axis=0) + 0.1 * values[5]
    assert [(one.model, (one.times or 1) < 1 / 3) for one in find_outliers(values).models] == [(5, True)]
    wide = random.normal(size=(16, 4000))
    wide[:, 9] *= 1e4
    samples = find_outliers(wide).samples
    assert [one.sample_id for one in samples] == [9]
    queries = np.stack([random.normal(size=(16, 4000)) for _ in range(2)], axis=2)
    queries[3, 7] = [100, 50]
    cells = find_outliers(queries).values
    assert [(cell.model, cell.sample_id) for cell in cells] == [(3, 7)]
    assert (cells[0].spreads or 0) > 75, "the farthest of both queries counts"
    mates = np.arange(16) ^ 1
    odd = tuple(OutlyingModel(model=model, times=9.0) for model in (0, 2, 4, 6, 8))
    assert models_to_leave_out(Outliers(models=odd[:4]), mates) == tuple(range(8))
    assert models_to_leave_out(Outliers(models=odd), mates) == ()


def test_risk_is_held_against_what_it_should() -> None:
    rising, falling = np.arange(12.0), -np.arange(12.0)
    table: Any = dict.fromkeys(("forgettability", "fidelity", "shift"), rising)
    found = relate_to_risk(rising, falling, table)
    assert [found[name].spearman for name in table] == pytest.approx([1, -1, -1])


def test_an_image_as_near_as_the_true_one_is_no_nearer() -> None:
    """Black is reconstructed where the truth and another image are white: nothing is nearer, and nothing recovered."""
    black, white = np.zeros((1, 4, 4, 1)), np.full((1, 4, 4, 1), 0.0625)
    found = place(black, white, np.concatenate([white, white]), np.array([0]))
    assert found.rank.tolist() == [1]
    assert found.nearest.tolist() == [1]
    assert found.margin.tolist() == [0.0]
    assert found.recovered.tolist() == [False]
