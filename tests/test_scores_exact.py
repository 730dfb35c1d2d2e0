"""Attacks and scores at their edges: single values, ties, gaps and scales, each against a number known beforehand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success
from privaudit.attacks.suite import Evidence
from privaudit.errors import EvidenceError
from privaudit.scoring.blind_baseline import LEVEL, _weights, smaller_p
from privaudit.scoring.reliability.risk_interval import risk_interval
from privaudit.scoring.sample_scores import clusters_of, score
from privaudit.scoring.score_table import SampleFacts, tail_of
from privaudit.scoring.target_audit import audit_target
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from privaudit.statistics.performance import performance


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
    assert smaller_p(0.02, 0.5) == smaller_p(0.5, 0.02) == pytest.approx(0.04)
    assert smaller_p(0.9, 0.8) == 1
    assert smaller_p(0.0124, 0.5) < LEVEL <= smaller_p(0.0126, 0.5)


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


def test_masked_cells_have_no_ratio_and_no_say_in_that_of_others() -> None:
    """Online LiRA where every sample lacks another pair of models, one model and one sample at a time with scipy."""
    models, samples = 8, 24
    keep = paired_design(samples, models, 1)
    used = np.ones(keep.shape, np.bool_)
    for sample in range(samples):
        used[[2 * (sample % 4), 2 * (sample % 4) + 1], sample] = False
    values = np.random.default_rng(1).normal(size=keep.shape) * (1 + 2 * (np.arange(samples) % 4)) + keep
    found = lira.online(values, keep, used=used)
    np.testing.assert_array_equal(np.isnan(found), ~used)
    for model in range(models):
        others = used & (np.arange(models) // 2 != model // 2)[:, np.newaxis]
        asked = np.flatnonzero(used[model])
        density = []
        for side in (keep, ~keep):
            groups = [values[others[:, i] & side[:, i], i] for i in asked]
            squares = np.array([len(group) * np.var(group) for group in groups])
            degrees = np.array([len(group) - 1 for group in groups])
            variance = (squares + 8 * squares.sum() / degrees.sum()) / (degrees + 8)
            means = np.array([group.mean() for group in groups])
            density.append(stats.norm.logpdf(values[model, asked], means, np.sqrt(variance)))
        np.testing.assert_allclose(found[model, asked], density[0] - density[1])


def margins_as_signals(margins: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Signals with two queries, of which the second is nonsense that nobody must read."""
    signals = np.full((*margins.shape, 2, len(SIGNALS)), 1e9)
    signals[..., 0, SIGNALS.index("margin")] = margins
    return signals


def test_the_target_is_attacked_by_those_who_never_saw_a_sample() -> None:
    """Eq. 4 of Carlini et al. with scipy; test samples are judged by a made-up half of the models, another by seed."""
    random = np.random.default_rng(2)
    keep = paired_design(60, 8, 5)
    shadow, shadow_test = random.normal(size=keep.shape) + 2 * keep, random.normal(size=(8, 40))
    member, test = random.normal(size=60) + 1.5, random.normal(size=40)
    areas = []
    for seed in (3, 4):
        out = ~np.concatenate([keep, paired_design(40, 8, seed, "target-audit")], axis=1)
        values = np.concatenate([shadow, shadow_test], axis=1)
        of_out = np.where(out, values, np.nan)
        mean, squares = np.nanmean(of_out, axis=0), np.nanvar(of_out, axis=0) * 4
        scale = np.sqrt((squares + 8 * squares.sum() / (3 * 100)) / (3 + 8))
        z = (np.concatenate([member, test]) - mean) / scale
        expected = np.mean(z[:60, np.newaxis] > z[60:])
        of_shadow, of_member, of_shadow_test, of_test = map(margins_as_signals, (shadow, member, shadow_test, test))
        found = audit_target(of_shadow, keep, of_member, of_shadow_test, of_test, seed)
        assert found.auc == pytest.approx(expected)
        assert (found.positives, found.negatives) == (60, 40)
        areas.append(found.auc)
    assert areas[0] != areas[1]


def test_the_tail_is_the_least_confident_fifth_of_a_class_canaries_aside() -> None:
    labels = np.repeat([0, 1], [12, 4])
    canary = np.arange(16) < 2
    logit = np.concatenate([[-9, -8], np.arange(10.0), [-5, 0, 0, 0]])
    # Of ten ordinary samples of class 0 two; of four of class 1 a fifth is less than one.
    assert np.flatnonzero(tail_of(logit, labels, canary)).tolist() == [2, 3]


def audit_with_canaries(models: int = 8) -> tuple[Evidence, SampleFacts, npt.NDArray[np.float64]]:
    random = np.random.default_rng(6)
    keep = paired_design(60, models, 0)
    margins = random.normal(size=keep.shape) * random.uniform(0.5, 2, 60) + keep * random.uniform(0, 3, 60)
    signals = margins_as_signals(margins)
    signals[..., SIGNALS.index("margin")] = margins[..., np.newaxis]
    canary = np.arange(60) >= 55
    target = random.normal(size=(60, 1, len(SIGNALS)))
    target[canary, :, SIGNALS.index("loss")] = 50
    ids = np.where(canary, 54 - np.arange(60), np.arange(60))
    facts = SampleFacts(ids, np.arange(60) % 2, ("a", "b"), canary)
    return Evidence(signals, keep), facts, target


def test_canaries_are_scored_and_take_no_part_in_anything_else() -> None:
    evidence, facts, target = audit_with_canaries()
    scores = score(evidence, facts, target)
    table, canary = scores.table, facts.canary
    assert table.loc[canary, "rank"].isna().all()
    # Ordinary samples: risk falls, then evidence, then ids rise.
    ordinary = table[~canary]
    expected = sorted(ordinary.index, key=lambda i: (-table["asr"][i], -table["lira"][i], table["sample_id"][i]))
    assert ordinary.sort_values("rank").index.tolist() == expected
    # A canary's ratio is that of the attack on everybody.
    with_all = attack_success(np.asarray(lira.online(evidence.every_query("margin"), evidence.keep)), evidence.keep)
    np.testing.assert_array_equal(table.loc[canary, "asr"], with_all[canary])
    # And everybody else's is that of the attack without canaries.
    alone = attack_success(
        np.asarray(lira.online(evidence.every_query("margin")[:, ~canary], evidence.keep[:, ~canary])),
        evidence.keep[:, ~canary],
    )
    np.testing.assert_array_equal(ordinary["asr"], alone)
    assert scores.risk_vs_difficulty.loss_as_proxy is not None
    rho = stats.spearmanr(target[~canary, 0, SIGNALS.index("loss")], alone).statistic
    assert scores.risk_vs_difficulty.loss_as_proxy.spearman == pytest.approx(rho)
    assert scores.attacks["lira"].positives == 55 * 4
    margin, keep = evidence.plain("margin")[:, ~canary], evidence.keep[:, ~canary]
    seen, unseen = (np.where(side, margin > 0, False).sum(axis=0) / 4 for side in (keep, ~keep))
    np.testing.assert_allclose(ordinary["memorisation"], seen - unseen)
    # How attacks agree goes by each sample's gap: the mean score where IN minus that where OUT.
    ratio = np.asarray(lira.online(evidence.every_query("margin")[:, ~canary], keep))
    of_lira = (np.where(keep, ratio, 0) - np.where(keep, 0, ratio)).sum(axis=0)
    rho = stats.spearmanr(of_lira, seen - unseen).statistic
    assert scores.agreement["label-only"].spearman == pytest.approx(rho)


def test_intervals_of_risk_know_how_pairs_go_together() -> None:
    evidence, facts, _ = audit_with_canaries()
    margin = SIGNALS.index("margin")
    noise = np.random.default_rng(7).normal(size=(4, 60))
    evidence.signals[0::2, :, :, margin] = noise[:, :, np.newaxis]
    evidence.signals[1::2, :, :, margin] = -noise[:, :, np.newaxis]
    table = score(evidence, facts).table[~facts.canary]
    low, high = risk_interval(table["asr"].to_numpy(), np.full(55, 8), -1.0)
    np.testing.assert_array_equal(table["risk_low"], low)
    np.testing.assert_array_equal(table["risk_high"], high)
    assert np.any(low != risk_interval(table["asr"].to_numpy(), np.full(55, 8), 0.0)[0])


def test_halves_of_the_models_are_told_apart_in_the_table() -> None:
    """Risk by the first half of the pairs, shift by the second: what relates them is not built in."""
    evidence, facts, _ = audit_with_canaries(8)
    real = ~facts.canary
    scores = score(evidence, facts)
    margin, keep = evidence.plain("margin")[:, real], evidence.keep[:, real]
    first = np.arange(8) // 2 % 2 == 0
    risks, shifts, leaders = [], [], []
    for half in (first, ~first):
        part, side = margin[half], keep[half]
        ratio = np.asarray(lira.online(part, side))
        risks.append(attack_success(ratio, side))
        leaders.append(np.lexsort((np.where(side, ratio, -ratio).mean(axis=0), risks[-1]))[::-1][:5])
        shifts.append((np.where(side, part, 0).sum(0) - np.where(side, 0, part).sum(0)) / 2)
    np.testing.assert_allclose(scores.table.loc[real, "risk_of_half"], risks[0])
    np.testing.assert_allclose(scores.table.loc[real, "shift_of_half"], shifts[1], rtol=1e-6)
    assert scores.risk_vs_difficulty.intrinsic_shift is not None
    crossed = [stats.spearmanr(risks[one], shifts[1 - one]).statistic for one in (0, 1)]
    assert scores.risk_vs_difficulty.intrinsic_shift.spearman == pytest.approx(np.mean(crossed))
    certain = [risk >= 0.9 for risk in risks]
    np.testing.assert_array_equal(scores.table.loc[real, "confirmed"].to_numpy(bool), certain[0] & certain[1])
    told = [certain[1 - one][certain[one]].mean() for one in (0, 1) if certain[one].any()]
    found = scores.told_right
    assert found.confirmed == pytest.approx(np.mean(told))
    assert (found.leaders, found.samples) == (5, int((scores.table.loc[real, "asr"] >= 0.9).sum()))
    assert found.leaders_confirmed == pytest.approx(np.mean([certain[1 - one][leaders[one]].mean() for one in (0, 1)]))
    # Of noise one in eight is told right by all of 4 models, one in a hundred by all of 8.
    assert found.chance_confirmed == pytest.approx(0.125, abs=0.05)
    assert found.chance == pytest.approx(0.01, abs=0.02)


def test_cells_of_a_pair_share_a_cluster() -> None:
    evidence, *_ = audit_with_canaries()
    assert clusters_of(evidence)[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_one_model_that_never_saw_a_sample_has_no_spread_to_judge_by() -> None:
    out = np.array([[True], [False], [False], [False]])
    with pytest.raises(EvidenceError, match="at least two shadow models"):
        lira.offline_one_sided(np.zeros(1), np.zeros((4, 1)), out)


def test_the_error_of_an_attack_that_compares_models_is_that_of_attacking_anew_without_each_pair() -> None:
    evidence, facts, _ = audit_with_canaries()
    real = ~facts.canary
    margin, keep = evidence.every_query("margin")[:, real], evidence.keep[:, real]
    left_out = [np.arange(8) // 2 != pair for pair in range(4)]
    refits = [(np.asarray(lira.online(margin[left], keep[left])), keep[left]) for left in left_out]
    pair = np.broadcast_to((np.arange(8) // 2)[:, np.newaxis], keep.shape)
    ratio = np.asarray(lira.online(margin, keep))
    anew, apart = performance(ratio, keep, pair, refits), performance(ratio, keep, pair)
    found = score(evidence, facts).attacks["lira"]
    assert found.influence is not None
    assert anew.influence is not None
    assert apart.influence is not None
    assert found.influence.auc == pytest.approx(anew.influence.auc)
    assert found.influence.auc != pytest.approx(apart.influence.auc)
