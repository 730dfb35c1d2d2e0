"""Bounds on ε against mechanisms whose ε is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.results.audit.controls import Epsilon, OneRunBound, TrialsBound
from privaudit.scoring.canary_epsilon import FEWEST_MODELS, bound_from_trials, bound_of_one_run
from privaudit.shadow.design import paired_design
from privaudit.statistics.epsilon_bounds import LARGEST, epsilon_from_trials, epsilon_of_one_run, fewest_trials


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
def test_randomised_response_is_rarely_overstated(epsilon: float) -> None:
    """Randomised response tells the truth with probability e^ε/(1 + e^ε): its ε is exact, so no bound may exceed it."""
    random = np.random.default_rng(0)
    truth = 1 / (1 + math.exp(-epsilon))
    simulations, over_trials, over_one_run, tightest = 500, 0, 0, 0.0
    for _ in range(simulations):
        hits, alarms = random.binomial(60, truth), random.binomial(60, 1 - truth)
        over_trials += epsilon_from_trials(int(hits), 60, int(alarms), 60, 0.0) > epsilon
        bound = epsilon_of_one_run(int(random.binomial(300, truth)), 300, 300, 0.0)
        over_one_run += bound > epsilon
        tightest = max(tightest, bound)
    assert over_trials <= 0.07 * simulations
    assert over_one_run <= 0.07 * simulations
    assert tightest > 0.5 * epsilon


def test_the_gaussian_mechanism_is_rarely_overstated() -> None:
    """Trainings that add Gaussian noise to a sum: ε(δ) is known (Balle and Wang 2018), and the canary is chosen."""
    random = np.random.default_rng(1)
    delta, shift = 1e-5, 1.0
    grid = np.linspace(0, 20, 20_001)
    spent = stats.norm.cdf(shift / 2 - grid / shift) - np.exp(grid) * stats.norm.cdf(-shift / 2 - grid / shift)
    epsilon = float(grid[np.argmax(spent <= delta)])
    over = 0
    keep = paired_design(10, 64, 0)
    for simulation in range(500):
        found = bound_from_trials(random.normal(size=keep.shape) + shift * keep, keep, simulation)
        assert found is not None
        over += found.epsilon > epsilon
    assert over <= 0.07 * 500


def test_choosing_the_canary_costs_no_validity() -> None:
    """Pure noise has ε = 0: the best of 200 canaries, counted on other trainings than chose it, must not exceed it."""
    random = np.random.default_rng(2)
    keep = paired_design(200, 32, 0)
    found = [bound_from_trials(random.normal(size=keep.shape), keep, seed) for seed in range(500)]
    assert sum(bound is not None and bound.epsilon > 0 for bound in found) <= 0.07 * 500
    assert bound_from_trials(np.zeros((20, 5)), paired_design(5, 20, 0), 0) is None


def test_the_counting_half_chooses_nothing() -> None:
    """On noise hits are as many as alarms, on average, wherever neither canary nor threshold was chosen.

    Either chosen on the trainings that are counted would show. The threshold would put hits ahead of alarms; the
    canary, which parts best one way or the other, would put them far apart: two shares of 12 trainings differ by a
    mean square of at most 1/24.
    """
    random = np.random.default_rng(5)
    keep = paired_design(50, 48, 0)
    ahead = []
    for seed in range(300):
        found = bound_from_trials(random.normal(size=keep.shape), keep, seed)
        assert found is not None
        ahead.append((found.hits - found.alarms) / found.trials)
    assert abs(np.mean(ahead)) <= 3.5 * np.std(ahead, ddof=1) / np.sqrt(len(ahead))
    assert np.mean(np.square(ahead)) <= 1.3 / 24


def test_a_bound_is_given_only_where_it_can_exceed_zero() -> None:
    """A perfect attack on n and n trainings: 2 (e/2)^(1/n) > 1 + δ, e = 5%, takes 6; half of 11 pairs counts them."""
    least = next(n for n in range(1, 99) if 2 * 0.025 ** (1 / n) > 1 + 1e-5)
    assert fewest_trials(1e-5) == least == 6
    assert fewest_trials(1e-5, 0.99) > least
    random = np.random.default_rng(6)
    for models in range(8, 40, 2):
        keep = paired_design(40, models, 0)
        found = bound_from_trials(random.normal(size=keep.shape) + 100 * keep, keep, models)
        assert (found is None) == (models < FEWEST_MODELS)
        assert found is None or found.epsilon > 0
    assert FEWEST_MODELS == 22


def test_too_few_models_for_a_bound_are_told_instead_of_a_zero() -> None:
    from privaudit.report.content.wording import bound_from_trials as said

    def bounds(trials: int | None) -> Epsilon:
        shared = {"delta": 1e-5, "confidence": 0.95}
        found = None if trials is None else TrialsBound(epsilon=0, canary=-1, hits=0, alarms=0, trials=trials, **shared)
        return Epsilon(trials=found, one_run=OneRunBound(epsilon=1, correct=0, canaries=0, **shared))

    few, zero = bounds(None), bounds(5)
    assert said(few) == said(zero)
    assert said(few).startswith("none below 22 shadow models")
    assert said(bounds(6)) == "ε ≥ 0.00"


def test_a_leak_is_bounded_away_from_zero() -> None:
    random = np.random.default_rng(3)
    keep = paired_design(40, 64, 0)
    trials = bound_from_trials(random.normal(size=keep.shape) + 20 * keep, keep, 0)
    assert trials is not None
    assert (trials.hits, trials.alarms, trials.trials) == (16, 0, 16)
    low = stats.beta.ppf(0.025, 16, 1)
    assert trials.epsilon == pytest.approx(math.log((low - 1e-5) / (1 - low)), abs=1e-9)
    coins = random.random(40) < 0.5
    one = bound_of_one_run(random.normal(size=40) + 20 * coins, coins, random.normal(size=keep.shape) + 20 * keep, keep)
    assert one.correct == 40
    # All 40 right: the ε at which (e^ε/(1 + e^ε))^40 = .05, a little less for δ.
    q = 0.05 ** (1 / 40)
    assert one.epsilon == pytest.approx(math.log(q / (1 - q)), abs=0.05)


def test_one_run_is_the_obvious_sum() -> None:
    """δ's part term by term, as the theorem has it."""
    for correct, guesses, canaries, delta in [(30, 40, 60, 1e-3), (55, 60, 60, 1e-5), (8, 10, 100, 1e-2)]:
        found = epsilon_of_one_run(correct, guesses, canaries, delta)
        if found == 0:
            continue
        q = math.exp(found) / (1 + math.exp(found))
        reach = [stats.binom.sf(correct - i - 1, guesses, q) for i in range(correct + 1)]
        gained = max((reach[i] - reach[0]) / i for i in range(1, correct + 1))
        assert reach[0] + 2 * canaries * delta * gained == pytest.approx(0.05, abs=1e-6)
        assert found <= epsilon_of_one_run(correct, guesses, canaries, 0.0)
    assert epsilon_of_one_run(0, 0, 10, 0.0) == 0
    assert epsilon_of_one_run(5, 10, 10, 0.0) == 0
    assert epsilon_of_one_run(10**6, 10**6, 10**6, 0.0) < LARGEST


def test_other_models_are_scored_against_all() -> None:
    random = np.random.default_rng(4)
    keep = paired_design(30, 12, 0)
    values, target = random.normal(size=keep.shape) + keep, random.normal(size=30)
    found = lira.of_other_model(target, values, keep)
    density = {}
    for side in (True, False):
        groups = [values[keep[:, i] == side, i] for i in range(30)]
        squares = [((group - group.mean()) ** 2).sum() for group in groups]
        pooled = sum(squares) / sum(len(group) - 1 for group in groups)
        density[side] = [
            stats.norm.logpdf(target[i], group.mean(), np.sqrt((squares[i] + 8 * pooled) / (len(group) - 1 + 8)))
            for i, group in enumerate(groups)
        ]
    np.testing.assert_allclose(found, np.subtract(density[True], density[False]), atol=1e-9)
