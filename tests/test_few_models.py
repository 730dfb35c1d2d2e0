"""Attacks with few or no shadow models, against what is known of made-up models; where nothing is to be found, ½."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privaudit.attacks.few_models.conditional_margin import conditional_margin
from privaudit.attacks.few_models.cross_fitting import folds_of
from privaudit.attacks.few_models.offline_rmia import offline_rmia
from privaudit.attacks.few_models.tail_forecast import missing_tail
from privaudit.attacks.few_models.transferred import transferred
from privaudit.scoring.few_models.attack_target import TargetEvidence, attack_target, forecast
from privaudit.scoring.few_models.sample_features import of_inputs, of_labels
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS, signals_of
from privaudit.statistics.roc import auc

Array = npt.NDArray[np.float64]


def halves(members: int, others: int) -> npt.NDArray[np.bool_]:
    return np.arange(members + others) < members


def test_every_fold_has_its_share_of_either_side() -> None:
    member = halves(101, 40)
    fold = folds_of(member, np.random.default_rng(0))
    assert [int((fold[member] == one).sum()) for one in (0, 1)] == [51, 50]
    assert [int((fold[~member] == one).sum()) for one in (0, 1)] == [20, 20]


def world(random: np.random.Generator, member: npt.NDArray[np.bool_], gain: float) -> tuple[Array, Array, Array]:
    """Features, a statistic whose mean and scale hang on them, and the score of whoever knows both."""
    features = random.uniform(-2, 2, (len(member), 3))
    centre, scale = 3 * features[:, 0] + features[:, 1] ** 2, 0.5 + 0.4 * np.abs(features[:, 2])
    away = random.normal(size=len(member)) + gain * member
    return features, centre + scale * away, away


def test_the_conditional_attack_finds_nearly_what_is_found_knowing_mean_and_scale() -> None:
    random, member = np.random.default_rng(1), halves(2_000, 2_000)
    features, statistic, known = world(random, member, 1.0)
    scores = conditional_margin(statistic, features, member, folds_of(member, random))
    plain, found, best = (auc(one, member) for one in (statistic, scores, known))
    assert best == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.02)
    assert plain < 0.60 < best - 0.04 < found


@pytest.mark.parametrize("samples", [60, 300])
def test_the_conditional_attack_reads_a_half_where_members_are_like_the_others(samples: int) -> None:
    areas = []
    for seed in range(6):
        random, member = np.random.default_rng(seed), halves(samples, samples)
        features, statistic, _ = world(random, member, 0.0)
        areas.append(auc(conditional_margin(statistic, features, member, folds_of(member, random)), member))
    assert np.mean(areas) == pytest.approx(0.5, abs=3 * np.sqrt(1 / (6 * samples * len(areas))))


def test_offline_rmia_ranks_as_the_published_share_of_a_population_does() -> None:
    random = np.random.default_rng(2)
    loss, others = random.exponential(size=40), random.exponential(size=(4, 40))
    out = np.stack([random.permutation(4) < 2 for _ in range(40)], axis=1)
    ratio = offline_rmia(loss, others, out, a=0.3)
    population = np.sort(random.uniform(0.2, 2, 4_000))
    for i in range(40):
        p_out = np.mean([np.exp(-others[s, i]) for s in range(4) if out[s, i]])
        assert ratio[i] == pytest.approx(np.exp(-loss[i]) / (0.5 * (1.3 * p_out + 0.7)))
    for gamma in (1.0, 2.0):
        share = np.array([np.mean(one / population >= gamma) for one in ratio])
        first, second = np.triu_indices(40, 1)
        # A share never contradicts the ratio: it only calls some equal.
        assert np.all((share[first] - share[second]) * (ratio[first] - ratio[second]) >= 0)


def pair_world(
    random: np.random.Generator, members: int, others: int, models: int, gain: float, of_target: float
) -> tuple[Array, Array, npt.NDArray[np.bool_], Array]:
    """Margins of a target and of shadow models over samples of some difficulty; and that difficulty."""
    difficulty = random.normal(scale=2.0, size=members + others)
    seen = np.concatenate([paired_design(members, models, 0), paired_design(others, models, 1)], axis=1)
    really = seen & halves(members, others)
    shadows = difficulty + random.normal(size=seen.shape) + gain * really
    target = difficulty + random.normal(size=len(difficulty)) + of_target * halves(members, others)
    return target, shadows, seen, difficulty


def test_the_transferred_attack_finds_what_the_exact_likelihood_ratio_finds() -> None:
    random, member = np.random.default_rng(3), halves(3_000, 3_000)
    target, shadows, seen, _ = pair_world(random, 3_000, 3_000, 2, 2.0, 2.0)
    scores = transferred(target[:, None], shadows[:, :, None], seen, member, folds_of(member, random))
    # Of a sample only its target's margin and that of the one model that never saw it are known: both are Gaussian.
    reference = np.where(seen[0], shadows[1], shadows[0])
    both = np.stack([target, reference], axis=1)
    spread = [[5.0, 4.0], [4.0, 5.0]]
    inside, outside = (stats.multivariate_normal([gain, 0.0], spread) for gain in (2.0, 0.0))
    exact = inside.logpdf(both) - outside.logpdf(both)
    assert auc(scores, member) == pytest.approx(auc(exact, member), abs=0.005)
    assert np.corrcoef(scores, exact)[0, 1] > 0.99
    assert auc(target, member) < auc(exact, member) - 0.1


def test_nobody_is_judged_by_what_is_known_of_their_own_fold() -> None:
    """Nor by what models say of a sample that they were trained on, nor by what the target says of any other sample."""
    random, member = np.random.default_rng(5), halves(300, 300)
    target, shadows, seen, _ = pair_world(random, 300, 300, 4, 2.0, 2.0)
    features, statistic, _ = world(random, member, 1.0)
    fold = folds_of(member, random)
    own = fold == fold[7]
    changed = own & (np.arange(600) != 7)
    conditional = conditional_margin(statistic, features, member, fold)
    learned = transferred(target[:, None], shadows[:, :, None], seen, member, fold)
    # Of the other fold the conditional attack reads those who are no members.
    told = np.where(changed | (~own & member), statistic + random.normal(size=600), statistic)
    looks = np.where(changed[:, None], random.permuted(features, axis=0), features)
    assert conditional_margin(told, looks, member ^ changed, fold)[7] == conditional[7]
    of_target = np.where(np.arange(600) == 7, target, target + random.normal(size=600))
    of_shadows = np.where(changed, shadows + random.normal(size=shadows.shape), shadows)
    of_shadows[seen[:, 7], 7] += 5
    assert transferred(of_target[:, None], of_shadows[:, :, None], seen, member ^ changed, fold)[7] == learned[7]
    # What is known of the other fold is what everybody is judged by.
    told = np.where(own, statistic, statistic + random.normal(size=600))
    of_shadows = np.where(own, shadows, shadows + random.normal(size=shadows.shape))
    assert conditional_margin(told, features, member, fold)[7] != conditional[7]
    assert transferred(target[:, None], of_shadows[:, :, None], seen, member, fold)[7] != learned[7]


@pytest.mark.parametrize("models", [2, 4])
def test_what_shadow_models_learned_by_heart_gives_nothing_away_of_a_target_that_saw_nobody(models: int) -> None:
    areas = []
    for seed in range(10):
        random, member = np.random.default_rng(seed), halves(300, 300)
        target, shadows, seen, _ = pair_world(random, 300, 300, models, 4.0, 0.0)
        fold = folds_of(member, random)
        areas.append(auc(transferred(target[:, None], shadows[:, :, None], seen, member, fold), member))
    assert np.mean(areas) == pytest.approx(0.5, abs=3 * np.sqrt(1 / (6 * 300 * len(areas))))


def test_the_forecast_is_the_tail_that_members_lack() -> None:
    random = np.random.default_rng(4)
    others = random.normal(size=100_000)
    assert missing_tail(random.normal(size=100_000), others, 0.01) == pytest.approx(0.01, abs=0.002)
    # Of members one deviation lower, all but 1% lie below 2.326 − 1.
    assert missing_tail(random.normal(size=100_000) - 1, others, 0.01) == pytest.approx(stats.norm.sf(1.326), abs=0.005)


def evidence(seed: int, gain: float, shadows: int, samples: int = 400) -> TargetEvidence:
    random, member = np.random.default_rng(seed), halves(samples, samples)
    labels = random.integers(0, 3, 2 * samples)
    keep = paired_design(samples, shadows, 0)
    common = random.normal(size=(2 * samples, 3))

    def answers(seen: npt.NDArray[np.bool_]) -> Any:
        logits = common + random.normal(scale=0.7, size=common.shape)
        logits[np.arange(len(labels)), labels] += 1 + gain * seen
        return signals_of(logits, labels)

    of_shadows = [answers(np.concatenate([row, np.zeros(samples, np.bool_)])) for row in keep]
    said = np.stack(of_shadows) if shadows else np.empty((0, 2 * samples, len(SIGNALS)))
    features = np.concatenate([of_inputs(common.astype(np.float32)), of_labels(labels)], axis=1)
    return TargetEvidence(answers(member), samples, features, said, keep)


def test_each_attack_finds_members_that_there_are_and_none_that_there_are_not() -> None:
    found = attack_target(evidence(0, 2.0, 2), 0)
    assert list(found) == ["loss", "conditional", "rmia-offline", "transferred"]
    areas = {name: attack.auc for name, attack in found.items()}
    assert areas["loss"] > 0.7
    assert areas["transferred"] > areas["loss"] + 0.03
    assert all(attack.auc_ci is not None and attack.auc_ci[0] > 0.6 for attack in found.values())
    assert list(attack_target(evidence(0, 2.0, 0), 0)) == ["loss", "conditional"]
    nothing = [[attack.auc for attack in attack_target(evidence(seed, 0.0, 2, 200), 0).values()] for seed in range(8)]
    assert np.mean(nothing, axis=0) == pytest.approx(0.5, abs=3 * np.sqrt(1 / (6 * 200 * 8)))


def test_a_forecast_is_made_of_many_members_alone() -> None:
    assert forecast(evidence(0, 0.0, 0)) is None
    found = forecast(evidence(0, 0.0, 0, 1_500))
    assert found is not None
    assert found["0.01"] == pytest.approx(0.01, abs=0.01)
