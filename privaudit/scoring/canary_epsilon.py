"""Lower bounds on ε from canaries: many trainings of one canary, and one training of many."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.attacks.risk import separation
from privaudit.results.audit.controls import Epsilon, OneRunBound, TrialsBound
from privaudit.runtime.seeds import generator
from privaudit.statistics.epsilon_bounds import epsilon_from_trials, epsilon_of_one_run, fewest_trials
from privaudit.statistics.intervals import FloatArray

DELTA = 1e-5
CONFIDENCE = 0.95

#: Trainings with a canary, and without it, from which its bound can exceed 0.
FEWEST_TRIALS = fewest_trials(DELTA, CONFIDENCE)

#: Below this many pairs the counting half, the larger of two, is so small that even a perfect test bounds ε by 0.
FEWEST_PAIRS = 2 * FEWEST_TRIALS - 1

#: Shadow models that the bound from trials takes.
FEWEST_MODELS = 2 * FEWEST_PAIRS


def bounds_of_canaries(
    coin_statistic: npt.NDArray[Any],
    coins: npt.NDArray[np.bool_],
    statistic: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    seed: int,
) -> Epsilon:
    """Return both bounds; parameters are those of `bound_from_trials` and `bound_of_one_run`."""
    return Epsilon(
        trials=bound_from_trials(statistic, keep, seed),
        trials_from=FEWEST_MODELS,
        one_run=bound_of_one_run(coin_statistic, coins, statistic, keep),
    )


def bound_from_trials(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_], seed: int) -> TrialsBound | None:
    """Choose the most exposed canary and its threshold on one half of the pairs, count on the other.

    Parameters
    ----------
    statistic, keep
        ``[S, C]`` of the canaries; models 2p and 2p+1 are complements, so each pair is one training with a canary and
        one without.
    seed
        Splits the pairs.

    Returns
    -------
    TrialsBound or None
        None below `FEWEST_PAIRS`, where it could say nothing but 0. The neighbours are datasets that differ in one
        sample replaced: halves have a fixed size.
    """
    pairs = len(keep) // 2
    if pairs < FEWEST_PAIRS:
        return None
    order = generator(seed, "epsilon").permutation(pairs)
    choosing, counting = (
        (2 * np.sort(half)[:, np.newaxis] + [0, 1]).ravel() for half in (order[: pairs // 2], order[pairs // 2 :])
    )
    chosen = int(np.argmax(separation(statistic[choosing], keep[choosing]).accuracy))
    values = np.asarray(statistic, np.float64)[:, chosen]
    threshold = _best_threshold(values[choosing], keep[choosing, chosen])
    called, member = values[counting] >= threshold, keep[counting, chosen]
    hits, alarms, trials = int((called & member).sum()), int((called & ~member).sum()), int(member.sum())
    return TrialsBound(
        epsilon=epsilon_from_trials(hits, trials, alarms, len(member) - trials, DELTA, CONFIDENCE),
        delta=DELTA,
        confidence=CONFIDENCE,
        canary=-1 - chosen,
        hits=hits,
        alarms=alarms,
        trials=trials,
    )


def bound_of_one_run(
    coin_statistic: npt.NDArray[Any],
    coins: npt.NDArray[np.bool_],
    statistic: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
) -> OneRunBound:
    """Guess every canary's coin from the coin model, by LiRA against the shadow models, and count.

    Parameters
    ----------
    coin_statistic
        ``[C]`` under the model whose members were drawn by coins.
    coins
        bool ``[C]``.
    statistic, keep
        ``[S, C]`` of the shadow models, which know nothing of the coins.
    """
    ratio = lira.of_other_model(coin_statistic, statistic, keep)
    correct = int(((ratio > 0) == coins).sum())
    epsilon = epsilon_of_one_run(correct, len(coins), len(coins), DELTA, CONFIDENCE)
    return OneRunBound(epsilon=epsilon, delta=DELTA, confidence=CONFIDENCE, correct=correct, canaries=len(coins))


def _best_threshold(values: FloatArray, member: npt.NDArray[np.bool_]) -> float:
    """Midway between the two values that part members from others best."""
    order = np.argsort(values)
    ordered, inside = values[order], member[order]
    cuts = (ordered[1:] + ordered[:-1]) / 2
    right = np.cumsum(~inside)[:-1] + inside.sum() - np.cumsum(inside)[:-1]
    return float(cuts[int(np.argmax(right))])
