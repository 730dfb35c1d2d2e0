"""Lower bounds on ε: how private training can't be, given what an attack achieved."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special, stats

from privaudit.statistics.intervals import clopper_pearson

#: A bound beyond this is as good as infinite; it is also where the search ends.
LARGEST = 50.0


def epsilon_from_trials(
    hits: int, trials_in: int, alarms: int, trials_out: int, delta: float, confidence: float = 0.95
) -> float:
    """ε that (ε, δ)-DP must at least have, from independent trainings with and without one fixed sample.

    Under (ε, δ)-DP every test of membership has TPR ≤ e^ε FPR + δ and 1 − FPR ≤ e^ε (1 − TPR) + δ (Kairouz et al.
    2015). TPR is bounded from below and FPR from above by Clopper and Pearson, each at half of the error.

    Parameters
    ----------
    hits, trials_in
        Trainings with the sample that the test called so, of how many.
    alarms, trials_out
        Trainings without the sample that the test called members, of how many.
    delta
        0 ≤ δ < 1.
    confidence
        Of the bound.

    Returns
    -------
    float
        ≥ 0. It holds for a test that was fixed before these trainings were looked at.
    """
    tpr, _ = clopper_pearson(hits, trials_in, confidence)
    _, fpr = clopper_pearson(alarms, trials_out, confidence)
    bounds = [0.0]
    if tpr > delta and fpr > 0:
        bounds.append(math.log((tpr - delta) / fpr))
    if 1 - fpr > delta and tpr < 1:
        bounds.append(math.log((1 - fpr - delta) / (1 - tpr)))
    return max(bounds)


def fewest_trials(delta: float, confidence: float = 0.95) -> int:
    """Return the fewest trainings a side from which a bound can exceed 0: with fewer even a perfect test gives 0.

    Of n trainings with the sample all are called so, of n without it none: TPR ≥ (e/2)^(1/n) and FPR ≤ 1 − (e/2)^(1/n)
    with e = 1 − ``confidence``, so that ε > 0 takes 2 (e/2)^(1/n) > 1 + δ.
    """
    trials = 1
    while epsilon_from_trials(trials, trials, 0, trials, delta, confidence) <= 0:
        trials += 1
    return trials


def epsilon_of_one_run(correct: int, guesses: int, canaries: int, delta: float, confidence: float = 0.95) -> float:
    """ε that (ε, δ)-DP must at least have, from one training with independent inclusion coins (Steinke et al. 2023).

    Under (ε, δ)-DP the number of right guesses is at most as large, in distribution, as a binomial with success
    probability e^ε/(1 + e^ε), but for δ. The bound is the largest ε that the count refutes.

    Parameters
    ----------
    correct
        Guesses that were right.
    guesses
        Canaries whose coin was guessed, fixed beforehand.
    canaries
        All that had a coin.
    delta
        0 ≤ δ < 1.
    confidence
        Of the bound.

    Returns
    -------
    float
        ≥ 0.
    """
    error = 1 - confidence

    def excess(epsilon: float) -> float:
        return _chance_of(correct, guesses, canaries, epsilon, delta) - error

    if guesses == 0 or excess(0.0) >= 0:
        return 0.0
    if excess(LARGEST) < 0:
        return LARGEST
    return float(optimize.brentq(excess, 0.0, LARGEST, xtol=1e-9))


def _chance_of(correct: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """Theorem 5.2 of Steinke et al.: the most likely that (ε, δ)-DP makes so many right guesses."""
    success = special.expit(epsilon)
    chance = float(stats.binom.sf(correct - 1, guesses, success))
    if delta == 0 or correct == 0:
        return chance
    # The most that δ can add: max over i of P(correct − i ≤ Bin < correct)/i.
    steps = np.arange(1, correct + 1)
    gained = np.cumsum(stats.binom.pmf(correct - steps, guesses, success)) / steps
    return min(1.0, chance + 2 * canaries * delta * float(gained.max()))
