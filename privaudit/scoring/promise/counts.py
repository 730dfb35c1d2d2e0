"""From canaries' scores to the counts that any claim can be held against."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.results.audit.controls import TrialsBound
from privaudit.results.audit.promise import CountedTrainings, GuessedCoins, Promise
from privaudit.scoring.promise.judgement import CONFIDENCE, DELTA
from privaudit.statistics.epsilon_bounds import epsilon_of_one_run
from privaudit.statistics.intervals import FloatArray

#: Shares of the canaries that may be guessed, those of which the attack is surest: which, the shadow models say.
SHARES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1)

#: Fewer guesses than this can refute next to nothing.
FEWEST_GUESSES = 10


def counts_of_canaries(
    coin_statistic: npt.NDArray[Any],
    coins: npt.NDArray[np.bool_],
    statistic: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    trials: TrialsBound | None,
) -> Promise:
    """Guess the coins of those canaries of which the attack is surest, and count.

    Parameters
    ----------
    coin_statistic, coins
        ``[C]`` under the model whose canaries were drawn by coins, and the coins.
    statistic, keep
        ``[S, C]`` of the shadow models: they say how many to guess, and know nothing of the coins.
    trials
        The counts of many trainings; None where the promise is not one of theirs.
    """
    guesses = guesses_to_make(lira.online(statistic, keep), keep)
    ratio = lira.of_other_model(coin_statistic, statistic, keep)
    correct = int(_right_of_surest(ratio, coins)[guesses - 1])
    return Promise(
        one_run=GuessedCoins(correct=correct, guesses=guesses, canaries=len(coins)),
        trials=None
        if trials is None
        else CountedTrainings(hits=trials.hits, alarms=trials.alarms, trials=trials.trials),
    )


def guesses_to_make(ratio: FloatArray, keep: npt.NDArray[np.bool_]) -> int:
    """Return the number of guesses that would bound ε best if every shadow model's membership were the coins.

    Parameters
    ----------
    ratio, keep
        ``[S, C]``: LiRA's of each shadow model against the others, and who saw what.
    """
    canaries = keep.shape[1]
    right = np.mean([_right_of_surest(row, inside) for row, inside in zip(ratio, keep, strict=True)], axis=0)
    numbers = sorted({max(min(FEWEST_GUESSES, canaries), round(share * canaries)) for share in SHARES}, reverse=True)
    bounds = [epsilon_of_one_run(int(right[number - 1]), number, canaries, DELTA, CONFIDENCE) for number in numbers]
    best: int = numbers[int(np.argmax(bounds))]
    return best


def _right_of_surest(ratio: FloatArray, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many of the k surest guesses are right, for every k from 1 on."""
    surest = np.argsort(-np.abs(np.nan_to_num(ratio)), kind="stable")
    counts: npt.NDArray[np.int64] = np.cumsum((ratio[surest] > 0) == inside[surest])
    return counts
