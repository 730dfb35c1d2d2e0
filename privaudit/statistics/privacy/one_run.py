"""One training of many canaries, by trade-off functions (Mahloujifar et al. 2024).

Of m canaries, each in by a fair coin, k are guessed and C guesses are right. With r(i) the mean over canaries of the
chance that a canary is guessed rightly and C ≥ i, and h(i) the same of a wrong guess, a mechanism whose tests of one
record have TPR ≤ B(FPR) has r(i + 1) ≤ B(h(i)): with one coin turned over, the right guess of that canary is a wrong
one, and the others' are as they were. From P(C ≥ c) = α the least that h and r can be at c − 1, c − 2, … follows, and
where they come to more than k/m in the end, P(C ≥ c) < α.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from privaudit.statistics.epsilon_bounds import LARGEST, epsilon_from_trials, epsilon_of_one_run

#: Bounds are found to within this.
PRECISION = 1e-6


def refutes(correct: int, guesses: int, canaries: int, epsilon: float, delta: float, error: float) -> bool:
    """Whether so many right guesses have a chance of at most ``error`` under every (ε, δ)-DP mechanism.

    Parameters
    ----------
    correct, guesses, canaries
        Right guesses, of how many that were made, of how many canaries with a coin each.
    epsilon, delta
        Of datasets with a record more or less.
    error
        0 < error < 1.
    """
    if not correct:
        return False
    right, wrong = error * correct / canaries, error * (guesses - correct) / canaries
    for others in range(correct - 1, -1, -1):
        least = max(wrong, _least_false_alarms(right, epsilon, delta))
        if least == wrong:
            break  # No mass is needed here, nor below: what is needed depends on what is right alone.
        right += others / (guesses - others) * (least - wrong)
        wrong = least
    return right + wrong >= guesses / canaries


def _least_false_alarms(power: float, epsilon: float, delta: float) -> float:
    """The least FPR of a test with this TPR under (ε, δ)-DP."""
    grown = math.exp(epsilon)
    return max(0.0, (power - delta) / grown, 1 - delta - grown * (1 - power))


def epsilon_by_trade_off(correct: int, guesses: int, canaries: int, delta: float, confidence: float = 0.95) -> float:
    """Return the largest ε that the guesses refute at this δ; 0 where they refute none."""
    return _largest(lambda epsilon: refutes(correct, guesses, canaries, epsilon, delta, 1 - confidence))


def best_of_one_run(correct: int, guesses: int, canaries: int, delta: float, confidence: float = 0.95) -> float:
    """Return the larger of the bounds of one run, by trade-off functions and by Steinke et al. (2023).

    Each refutes an ε from some number of right guesses on, which depends on nothing that was drawn: to take the smaller
    number is one test, and costs no confidence.
    """
    by_binomial = epsilon_of_one_run(correct, guesses, canaries, delta, confidence)
    return max(by_binomial, epsilon_by_trade_off(correct, guesses, canaries, delta, confidence))


def epsilon_of_replaced(hits: int, alarms: int, trials: int, delta: float, confidence: float = 0.95) -> float:
    """Return the largest ε of added records that trainings with one record, and with another in its place, refute.

    To take one record out and put another in is two steps, so that (ε, δ)-DP of added records makes it
    (2ε, (1 + e^ε) δ). Counts are those of `epsilon_from_trials`, ``trials`` of either kind.
    """

    def refuted(epsilon: float) -> bool:
        both = (1 + math.exp(epsilon)) * delta
        return both < 1 and epsilon_from_trials(hits, trials, alarms, trials, both, confidence) > 2 * epsilon

    return _largest(refuted)


def _largest(refuted: Callable[[float], bool]) -> float:
    """The largest ε that is refuted, where every smaller one is too."""
    if not refuted(0.0):
        return 0.0
    low, high = 0.0, LARGEST
    if refuted(high):
        return high
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low
