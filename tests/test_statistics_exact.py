"""Statistics where the answer can be counted or written down: what coverage simulations are too coarse to hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from privaudit.attacks.gaussian_separation import bayes_accuracy, d_prime
from privaudit.inversion.image_similarity import psnr, ssim
from privaudit.statistics.group_accuracy import right_shares
from privaudit.statistics.intervals import clopper_pearson, logit_interval, mean_interval, spearman
from privaudit.statistics.jackknife import Refits, jackknife_error, jackknife_influence
from privaudit.statistics.performance import Evaluation, performance
from privaudit.statistics.roc import auc, balanced_accuracy, roc


def interleaved(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Members at ½, 1½, …, others at 0, 1, …: from the top a member, another, a member, …"""
    scores = np.concatenate([np.arange(count) + 0.5, np.arange(count)])
    return scores, np.arange(2 * count) < count


def test_a_rate_allows_exactly_as_many_false_alarms_as_it_says() -> None:
    """With at most k of 1,000 others called, k + 1 of 1,000 members are: not k, where k is allowed to the letter."""
    curve = roc(*interleaved(1000))
    for allowed in (1, 10, 100):
        tpr, threshold = curve.tpr_at(allowed / 1000)
        assert tpr == (allowed + 1) / 1000
        assert threshold == 1000 - allowed - 0.5
    assert curve.tpr_at(0.0)[0] == 1 / 1000


def test_slope_and_width_of_a_straight_curve() -> None:
    """Members lie three times as densely as others at the top: the slope is 3. Others lie evenly: so do thresholds."""
    others = np.arange(10_000) / 10_000
    members = np.repeat(1 - np.arange(1000) / 3000, 3) + 1e-6
    curve = roc(np.concatenate([members, others]), np.arange(13_000) < 3000)
    assert curve.slope_at(0.01) == pytest.approx(3.0, rel=0.02)
    assert curve.width_at(0.01) == pytest.approx(0.0075, rel=0.02)  # (1 − 0.005) less (1 − 0.02), halved
    flat = roc(np.zeros(100), np.arange(100) < 50)
    assert (flat.slope_at(0.1), flat.width_at(0.1)) == (0, 0)


def test_no_threshold_is_better_than_calling_nobody() -> None:
    member = np.arange(100) < 50
    assert roc(np.zeros(100), member).best_threshold() == np.inf
    assert roc(np.where(member, 0.0, 1.0), member).best_threshold() == np.inf
    assert roc(np.where(member, 1.0, 0.0), member).best_threshold() == 1.0


def test_shares_below_count_equal_scores_half() -> None:
    random = np.random.default_rng(1)
    scores, member = random.integers(0, 12, 400).astype(float), random.random(400) < 0.4
    at, members, others = roc(scores, member).shares_below()
    assert at.tolist() == sorted(set(scores))
    for place, value in enumerate(at):
        for found, side in ((members, member), (others, ~member)):
            part = scores[side]
            assert found[place] == pytest.approx((part < value).mean() + (part == value).mean() / 2)


def test_a_threshold_is_chosen_on_one_half_and_judged_on_the_other() -> None:
    """Halves that ask for opposite thresholds: each judged by its own would read 1, by the other's a half."""
    scores = np.array([1.0, 1, 0, 0, 3, 3, 2, 2])
    member = np.array([True, True, False, False] * 2)
    fold = np.repeat([0, 1], 4)
    # The first half's best threshold, 1, calls all of the second; the second's, 3, calls nobody of the first.
    assert balanced_accuracy(scores, member, fold) == 0.5
    third = np.concatenate([scores[:4], scores[:4]])
    assert balanced_accuracy(third, member, fold) == 1.0
    # Chosen on the first half, 3, it calls nobody of the second; chosen there, 2, it is right on all of the first.
    assert balanced_accuracy(np.array([3.0, 3, 0, 0, 2, 2, 1, 1]), member, fold) == 0.75


def test_a_sketch_begins_with_its_first_point() -> None:
    scores, member = interleaved(50)
    curve = roc(scores, member).sketch()
    assert curve["fpr"][0] == pytest.approx(1 / 50)
    assert curve["fpr"][-1] == curve["tpr"][-1] == 1
    top = roc(np.where(member, 1.0, 0.0), member).sketch()
    assert (top["fpr"][0], top["tpr"][0]) == (0, 1)


def test_the_interval_of_a_mean_is_scipys_and_needs_three_values() -> None:
    values = np.random.default_rng(2).normal(size=7)
    expected = stats.t.interval(0.95, 6, loc=values.mean(), scale=stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)
    assert mean_interval(values[:2]) is None
    assert mean_interval(values[:3]) is not None


def test_the_interval_of_spearman_is_bonetts_and_wrights() -> None:
    random = np.random.default_rng(3)
    first = random.normal(size=40)
    second = first + random.normal(size=40)
    found = spearman(first, second)
    rho = stats.spearmanr(first, second).statistic
    reach = stats.norm.ppf(0.975) * np.sqrt((1 + rho**2 / 2) / 37)
    assert found.ci == pytest.approx(np.tanh([np.arctanh(rho) - reach, np.arctanh(rho) + reach]))
    for hole in (0, 1):
        sides = [first.copy(), second.copy()]
        sides[hole][5] = np.nan
        holed = spearman(sides[0], sides[1])
        assert holed.n == 39
        assert holed.spearman == pytest.approx(stats.spearmanr(np.delete(first, 5), np.delete(second, 5)).statistic)


def test_a_logit_interval_needs_an_error_that_is_a_number() -> None:
    for error in (float("nan"), float("inf")):
        assert logit_interval(0.5, error, 7) is None
    assert logit_interval(0.5, 0.1, 0) is None


def verdicts(models: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratios whose signs are right in seven cells of ten, membership in pairs, and whose pair each model is of."""
    random = np.random.default_rng(seed)
    half = random.random((models // 2, samples)) < 0.5
    keep = np.stack([half, ~half], 1).reshape(models, samples)
    right = random.random((models, samples)) < 0.7
    ratio = np.where(right == keep, 1.0, -1.0) * random.gamma(2.0, size=(models, samples))
    return ratio, keep, np.arange(models) // 2


def test_shares_are_counted_and_their_error_is_that_of_clusters() -> None:
    ratio, keep, clusters = verdicts(12, 30, 4)
    group = np.arange(30) % 3
    found = right_shares(ratio, keep, group, clusters)
    right = (ratio > 0) == keep
    for one in range(3):
        cells = right[:, group == one]
        assert found.share[one] == pytest.approx((cells.sum() + 0.5) / (cells.size + 1))
        of_pairs = cells.reshape(6, 2, -1).mean(axis=(1, 2))
        assert found.error[one] == pytest.approx(stats.sem(of_pairs))
    assert found.degrees == 5
    assert found.influence.sum(axis=0) == pytest.approx(0)


def test_the_error_of_shares_is_the_larger_of_two() -> None:
    """Refits that move nothing leave that of clusters; refits that move a lot replace it by the jackknife's."""
    ratio, keep, clusters = verdicts(12, 30, 5)
    group = np.zeros(30, np.int64)
    plain = right_shares(ratio, keep, group, clusters)
    everything = np.ones(12, np.bool_)
    calm = right_shares(ratio, keep, group, clusters, [(everything, ratio)] * 6)
    assert calm.error == pytest.approx(plain.error)
    wild = right_shares(ratio, keep, group, clusters, [(everything, ratio if odd else -ratio) for odd in (0, 1) * 3])
    assert (wild.error > 3 * plain.error).all()


def test_an_attack_is_left_to_fit_on_two_pairs_a_side_at_least() -> None:
    assert Refits(6, np.asarray).groups == 0
    assert Refits(8, np.asarray).groups == 4
    for left, _ in Refits(8, np.asarray):
        assert np.flatnonzero(~left).tolist() in ([0, 1], [2, 3], [4, 5], [6, 7])


def test_the_interval_of_one_model_is_delongs() -> None:
    random = np.random.default_rng(6)
    member = np.arange(24) < 9
    scores = random.normal(size=24) + member
    wins = (scores[member][:, None] > scores[~member]).astype(float)
    variance = wins.mean(1).var(ddof=1) / 9 + wins.mean(0).var(ddof=1) / 15
    assert performance(scores, member).auc_standard_error == pytest.approx(np.sqrt(variance))
    assert performance(scores, member).auc == pytest.approx(wins.mean()) == auc(scores, member)


def test_the_interval_of_clusters_is_obuchowskis() -> None:
    """The sum over clusters of what their members and their others contribute, each centred on the AUC."""
    random = np.random.default_rng(7)
    member = np.tile(np.arange(60) < 30, (6, 1))
    scores = random.normal(size=member.shape) + member + random.normal(size=(6, 1))
    clusters = np.repeat(np.arange(6), 60).reshape(6, 60)
    wins = scores[member][:, None] > scores[~member]
    area = wins.mean()
    of = [
        ((wins.mean(1) - area)[clusters[member] == one].sum() + (wins.mean(0) - area)[clusters[~member] == one].sum())
        for one in range(6)
    ]
    expected = np.sqrt(6 / 5 * np.sum((np.array(of) / 180) ** 2))
    found = performance(scores, member, clusters)
    assert found.auc_standard_error == pytest.approx(expected)
    assert found.auc_ci == pytest.approx(logit_interval(found.auc, float(expected), 5))


def test_the_error_of_a_rate_is_no_less_than_that_of_clusters_nor_of_independent_cells() -> None:
    random = np.random.default_rng(8)
    member = np.tile(np.arange(2000) < 1000, (8, 1))
    scores = random.normal(size=member.shape) + 0.5 * member
    clusters = np.repeat(np.arange(8), 2000).reshape(8, 2000)
    plain = performance(scores, member, clusters)
    # Refits that change nothing tell of no error: then that of clusters stands.
    calm = performance(scores, member, clusters, [(scores, member)] * 8)
    assert calm.auc_standard_error == pytest.approx(plain.auc_standard_error)
    # Refits that jump tell of more.
    wild = performance(scores, member, clusters, [(scores + (one % 2) * member, member) for one in range(8)])
    assert wild.auc_standard_error is not None
    assert plain.auc_standard_error is not None
    assert wild.auc_standard_error > 3 * plain.auc_standard_error
    for found in (plain, calm, wild):
        assert found.true_positives is not None
        for fpr, interval in found.tpr_ci.items():
            if interval is not None:
                hits = found.true_positives[fpr]
                assert hits is not None
                low, high = clopper_pearson(hits, 8000)
                assert interval[0] <= low < high <= interval[1]


def test_a_rate_without_some_models_is_counted_to_the_letter() -> None:
    """Of 1,000 others 10 may be called: the members above the eleventh are found."""
    scores, member = interleaved(1000)
    evaluation = Evaluation(scores, member, np.zeros(2000, np.int64))
    evaluation.leave_out(scores, member)
    ((_, exact),) = evaluation._without
    assert exact[1] == 11 / 1000


def test_of_two_ways_to_refit_a_rate_the_calmer_counts() -> None:
    """Many members share a score at the threshold: that way of counting jumps, the smoothed one does not."""
    random = np.random.default_rng(11)
    member = np.tile(np.arange(2000) < 1000, (8, 1))
    scores = random.normal(size=member.shape) + member
    scores[:, :300] = 2.33
    clusters = np.repeat(np.arange(8), 2000).reshape(8, 2000)
    evaluation = Evaluation(scores, member, clusters)
    for one in range(8):
        evaluation.leave_out(np.delete(scores, one, axis=0), np.delete(member, one, axis=0))
    moved = np.array(evaluation._without)[:, :, 1]
    errors = jackknife_error(moved)
    assert max(errors) > 1.2 * min(errors)
    expected = jackknife_influence(moved[:, int(np.argmin(errors))])
    influence = evaluation.performance().influence
    assert influence is not None
    assert influence.tpr["0.01"] == pytest.approx(expected.tolist())


def test_false_alarms_that_vary_widen_the_interval_of_a_rate() -> None:
    """Members behave alike in every model, others do not: all that moves the TPR is where they put the threshold."""
    random = np.random.default_rng(9)
    member = np.tile(np.arange(4000) < 2000, (10, 1))
    scores = np.where(member, np.tile(random.normal(size=4000) + 1, (10, 1)), random.normal(size=member.shape))
    clusters = np.repeat(np.arange(10), 4000).reshape(10, 4000)
    shifted = scores + np.where(member, 0.0, random.normal(scale=0.7, size=(10, 1)))
    widths = []
    for given in (scores, shifted):
        interval = performance(given, member, clusters).tpr_ci["0.01"]
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths[1] > 2.5 * widths[0]


def test_bayes_accuracy_by_numerical_integration() -> None:
    grid = np.linspace(-60, 60, 400_001)
    for mean, variance, other, other_variance in [
        (1, 1, 0, 1),
        (-1, 1, 0, 1),
        (2, 4, -1, 0.5),
        (0, 9, 0.5, 1),
        (-3, 0.3, 1, 5),
    ]:
        densities = (stats.norm.pdf(grid, mean, variance**0.5), stats.norm.pdf(grid, other, other_variance**0.5))
        expected = 0.5 + 0.25 * np.trapezoid(np.abs(densities[0] - densities[1]), grid)
        args = [np.array([value], float) for value in (mean, variance, other, other_variance)]
        assert bayes_accuracy(*args).item() == pytest.approx(expected, abs=1e-5)
        assert d_prime(*args).item() == pytest.approx((mean - other) / np.sqrt((variance + other_variance) / 2))


def test_the_jackknife_of_a_vector_is_that_of_each_part() -> None:
    values = np.random.default_rng(10).normal(size=(9, 3))
    without = [np.delete(values, one, axis=0).mean(axis=0) for one in range(9)]
    assert jackknife_error(without) == pytest.approx(stats.sem(values))


@pytest.mark.parametrize("side", [8, 9, 10, 12])
def test_images_that_are_hardly_apart(side: int) -> None:
    """PSNR is the error's until 100 dB, to the digit; the window of SSIM is odd, so that it has a middle."""
    image = np.random.default_rng(side).random((1, side, side, 1))
    for error in (1e-4, 1e-9, 2e-10):
        assert psnr(image, image + np.sqrt(error)).item() == pytest.approx(-10 * np.log10(error), abs=1e-6)
    assert psnr(image, image).item() == 100
    assert ssim(image, image).item() == pytest.approx(1)
    # An image and its mirror are as alike as the two mirrored: with an even window they would not be.
    other = np.random.default_rng(side + 1).random((1, side, side, 1))
    mirrored = ssim(image[:, ::-1, ::-1], other[:, ::-1, ::-1])
    assert ssim(image, other).item() == pytest.approx(mirrored.item(), abs=1e-12)


@pytest.mark.parametrize("models", [8, 32])
def test_a_perfect_attack_has_an_interval(models: int) -> None:
    """All of one side above all of the other: as sure as so many heads in a row, and no surer."""
    member = np.arange(models * 20).reshape(models, 20) % 2 == 0
    clusters = np.repeat(np.arange(models // 2), 2)[:, np.newaxis] + np.zeros((1, 20), np.int64)
    for sign, bounds in ((1, (0.025 ** (2 / models), 1.0)), (-1, (0.0, 1 - 0.025 ** (2 / models)))):
        found = performance(sign * member.astype(np.float64), member, clusters)
        assert found.auc == (1.0 if sign > 0 else 0.0)
        assert found.auc_ci == pytest.approx(bounds)
